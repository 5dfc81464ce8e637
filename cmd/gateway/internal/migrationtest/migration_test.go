//go:build unix

package migrationtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// ids of carts: what is odd in Kafka's tools or in JSON must come along.
var ids = []string{"ada", `quoted "id" \ with spaces`, "grüße 😀", "x"}

// TestMigration goes through the document from its first step to its last, into each kind of store.
func TestMigration(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { migrate(t, "sqlite:"+filepath.Join(t.TempDir(), "stategate.db")) })
	t.Run("postgres", func(t *testing.T) { migrate(t, testserver.Postgres(t).URL()+"&schema=moved") })
}

func migrate(t *testing.T, store string) {
	w := newWorld(t, store)
	if out := w.step("check"); !strings.Contains(out, "module.yaml: good\n") {
		t.Errorf("check says:\n%s", out)
	}

	// The application has run for a while.
	old := w.gateway("old", "sqlite:"+filepath.Join(w.folder, "old.db"))
	for i, id := range ids {
		for n := range i + 1 {
			w.add(id, fmt.Sprint("item", n), n+1)
			w.expect("carts", cartText(id, n+1))
			w.expect("wallets", walletText(id, n+1))
		}
	}

	w.add("gone", "item0", 1)
	w.expect("carts", cartText("gone", 1))
	w.expect("wallets", walletText("gone", 1))
	w.store = "sqlite:" + filepath.Join(w.folder, "trial.db")
	moveState(t, w, 1, 5*len(ids)+5)
	w.says("import", fmt.Sprintf("%d values written, 0 were there already", 5*len(ids)+5))

	// Then a value is deleted, and the real move must not bring it back.
	w.add("gone", "nothing", 0)
	w.caughtUp("adds", int64(1+2+3+4+2))
	kept := 5*len(ids) + 4
	moveState(t, w, 2, kept)
	old.Stop()
	w.add("ada", "item1", 2) // between the two
	if out, err := w.try("import"); err == nil || !strings.Contains(out, "the store holds state already") {
		t.Errorf("import into the trial's store: %v\n%s", err, out)
	}
	w.store = store
	w.says("import", fmt.Sprintf("%d values written, 0 were there already", kept))
	w.says("again", fmt.Sprintf("0 values written, %d were there already", kept))
	if !strings.Contains(w.doc.steps["run"], "gateway run --module module.yaml\n") {
		t.Errorf("the document starts the gateway by %q", w.doc.steps["run"])
	}
	moved := w.gateway("moved", store)

	// Nothing that was done is done again, nothing that was not is left out, and the state has come along.
	w.expect("carts", cartText("ada", 2))
	w.expect("wallets", walletText("ada", 2))
	for i, id := range ids[1:] {
		w.add(id, fmt.Sprint("item", i+2), i+3)
		w.expect("carts", cartText(id, i+3))
		w.expect("wallets", walletText(id, i+3))
	}
	namedMetrics(t, w, moved)
	look(t, w)
	reminders(t, w)
	moved.Stop()

	// And back again, into a runtime that knows nothing but what the group has committed.
	if _, err := exec.LookPath("jq"); err != nil {
		t.Log("jq is not installed: the way back is not tried")
		return
	}
	w.gateway("back", "sqlite:"+filepath.Join(w.folder, "back.db"))
	w.step("back")
	w.caughtUp("state-restore", int64(kept))
	w.add("x", "item5", 6)
	w.expect("carts", cartText("x", 6))
	w.expect("wallets", walletText("x", 6))
	w.add("ada", "item2", 3)
	w.expect("carts", cartText("ada", 3))
	w.expect("wallets", walletText("ada", 3))
}

// moveState makes the run-th file of the state, which has so many values.
func moveState(t *testing.T, w *world, run, values int) {
	t.Helper()
	w.fresh()
	w.step("ids")
	w.step("ask")
	w.caughtUp("state-export", int64(run*(len(ids)+1)))
	w.says("collect", fmt.Sprintf("%s.jsonl: good, %d values\n", w.run, values))
}

// reminders are delayed messages that the new application has sent again.
func reminders(t *testing.T, w *world) {
	t.Helper()
	w.step("delays")
	want := []string{"gone: 0 still in the cart"}
	for i, id := range ids {
		want = append(want, fmt.Sprintf("%s: %d still in the cart", id, (i+2)*(i+3)/2))
	}
	var got []string
	for range want {
		got = append(got, w.next("carts", "reminders"))
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// cartText is the result of a cart's n-th addition; the k-th is of k pieces of item k-1.
func cartText(id string, n int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprint("item", i))
	}
	return fmt.Sprintf("%s: %d, last %s, all %s", id, n*(n+1)/2, items[n-1], strings.Join(items, " "))
}

func walletText(id string, n int) string {
	cents := int64(n*(n+1)/2) << 40
	mean, _ := json.Marshal(float64(cents) / 7)
	text := string(mean)
	if !strings.Contains(text, ".") {
		text += ".0" // as Python shows it
	}
	return fmt.Sprintf("%s: %d cents, mean %s", id, cents, text)
}

// look does what the document tells to look at.
func look(t *testing.T, w *world) {
	t.Helper()
	out := w.step("look")
	for _, want := range []string{`"status":"ok"`, `"items":[]`, "\nstategate_dead_letters 0\n", "\nstategate_ingress_lag_records{", "\nstategate_invocations_total ", "\nshop adds ", `"id":"ada","state":"items","type":"io.statefun.types/int","value":3,`} {
		if !strings.Contains(regexp.MustCompile(`[ ]+`).ReplaceAllString(strings.ReplaceAll(out, ": ", ":"), " "), want) {
			t.Errorf("there is no %q in:\n%s", want, out)
		}
	}
	// The function has told what no line did: that items expire.
	var address struct {
		State []struct {
			Name    string  `json:"name"`
			Expires *string `json:"expires"`
		} `json:"state"`
	}
	_, text, _ := strings.Cut(out, "\n")
	if err := json.NewDecoder(strings.NewReader(text[strings.Index(text, "{"):])).Decode(&address); err != nil || len(address.State) != 3 {
		t.Fatalf("%v in:\n%s", err, text)
	}
	for _, s := range address.State {
		if (s.Expires != nil) != (s.Name == "items") {
			t.Errorf("state %s expires %v", s.Name, s.Expires)
		}
	}
}

// troubles are metrics that are not there as long as all is well; the names are those of the package that counts.
var troubles = []string{"stategate_restarts_total", "stategate_degraded"}

// namedMetrics checks the document's table against what a gateway shows.
func namedMetrics(t *testing.T, w *world, moved *testgateway.Gateway) {
	t.Helper()
	names := w.doc.metrics()
	if len(names) < 12 {
		t.Errorf("the document names %d metrics", len(names))
	}
	sources, err := filepath.Glob(filepath.Join(root, "cmd/gateway/internal/metrics/*.go"))
	var counted strings.Builder
	for _, file := range sources {
		text, e := os.ReadFile(file)
		err = errors.Join(err, e)
		counted.Write(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if slices.Contains(troubles, name) {
			if !strings.Contains(counted.String(), `"`+strings.TrimPrefix(name, "stategate_")+`", "`) {
				t.Errorf("there is no metric %s", name)
			}
			continue
		}
		testgateway.Poll(t, "metric "+name, func() (bool, string) { // some are there only when somebody has looked for the first time
			_, body, err := moved.Get("/metrics")
			return strings.Contains(string(body), "# TYPE "+name+" "), fmt.Sprint("other metrics, ", err)
		})
	}
}
