//go:build linux

package operatortest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// waits is what is told of an address that waits, beside what changes from moment to moment.
type waits struct {
	ID               string
	Messages, Stored int
	Failing, Paused  bool
	InMemory         bool
}

type waiting struct {
	listed
	Messages, Stored          int
	Failing, Paused, InMemory bool
	Phase                     string
}

// TestWaitingAddresses: an address whose messages only wait, that has no state, is listed like all others: one that fails, one that is
// paused, one whose messages are in the store alone, and those of a function that the module does not declare any more.
func TestWaitingAddresses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) }))
	defer server.Close()
	folder := t.TempDir()
	file := filepath.Join(folder, "module.yaml")
	declare := func(functions string) {
		t.Helper()
		text := fmt.Sprintf("kind: io.statefun.endpoints.v2/http\nspec: {functions: %s, urlPathTemplate: %q}\n---\nkind: io.stategate.http.v1/ingress\nspec: {id: scale/api, functions: [%s]}\n",
			functions, server.URL, functions)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	declare("scale/cart")
	events, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := testgateway.New(t, folder, "gateway", []string{"STATEGATE_MAIL_BYTES_MAX=1MiB"}, "--module", file, "--store", "sqlite:"+filepath.Join(folder, "state.db"), "--listen", events)
	g.Start()
	g.Until("active", testgateway.IsActive)
	a := asker{t, g.Admin()}

	a.act("/v1/addresses/scale/cart/paused/pause")
	a.act("/v1/addresses/scale/cart/spilled/pause")
	send(t, events, "failing", []byte("x"))
	send(t, events, "paused", []byte("x"))
	send(t, events, "paused", []byte("x"))
	const large = 30
	for range large {
		send(t, events, "spilled", bytes.Repeat([]byte("x"), 100<<10))
	}
	list := func() (got map[string]waiting) {
		got = map[string]waiting{}
		pages(a, "/v1/addresses?function=scale/cart&limit=2", func(w waiting) string { got[w.Address.ID] = w; return w.Address.ID })
		return got
	}
	var got map[string]waiting
	testgateway.Poll(t, "one fails and the messages of another one are in the store alone", func() (bool, string) {
		got = list()
		return got["failing"].Failing && got["spilled"].Stored > large/2, fmt.Sprint(got)
	})
	for id, want := range map[string]waits{
		"failing": {Messages: 1, Failing: true, InMemory: true},
		"paused":  {Messages: 2, Paused: true, InMemory: got["paused"].InMemory, Stored: got["paused"].Stored}, // it may have left memory with the other one
		"spilled": {Messages: large, Paused: true, InMemory: got["spilled"].InMemory, Stored: got["spilled"].Stored},
	} {
		w := got[id]
		if diff := cmp.Diff(want, waits{"", w.Messages, w.Stored, w.Failing, w.Paused, w.InMemory}); diff != "" || w.InMemory == (w.Phase == "") {
			t.Errorf("%s, in phase %q (-want +got):\n%s", id, w.Phase, diff)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d addresses are listed: %v", len(got), got)
	}
	wantTold(t, g, "gateway addresses", []string{"addresses", "scale/cart", "--prefix", "fail"}, "failing", "1 attempt|attempts", "backoff|ready|calling")

	g.Stop()
	declare("scale/other")
	g.Start()
	g.Until("active", testgateway.IsActive)
	got = list()
	if len(got) != 3 || got["failing"].Messages != 1 || got["failing"].Stored != 1 || got["paused"].Messages != 2 || got["spilled"].Messages != large {
		t.Errorf("of a function that is not declared any more: %v", got)
	}
	var function struct {
		Declared bool
		Waiting  struct{ Messages, Bytes int }
	}
	a.ask(http.MethodGet, "/v1/functions/scale/cart", "", &function)
	if w := function.Waiting; function.Declared || w.Messages != 3+large || w.Bytes < large*100<<10 {
		t.Errorf("the function is %+v", function)
	}
	wantTold(t, g, "gateway stuck", []string{"stuck"}, "undeclared", fmt.Sprint(3+large, " messages wait"), "gateway addresses scale/cart")
	wantTold(t, g, "gateway addresses show", []string{"addresses", "show", "scale/cart", "failing"}, "messages 1", "front message")
	g.Stop()
}

// act does what needs no body.
func (a asker) act(path string) {
	a.t.Helper()
	resp, err := client.Post(a.url+path, "application/json", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		a.t.Fatalf("POST %s: %s", path, resp.Status)
	}
}

func send(t *testing.T, events, id string, body []byte) {
	t.Helper()
	resp, err := client.Post("http://"+events+"/v1/send/scale/cart/"+url.PathEscape(id), "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("send to %s: %s", id, resp.Status)
	}
}

// wantTold asks a command, of whose answer each part must be there; a part may be one of several.
func wantTold(t *testing.T, g *testgateway.Gateway, what string, command []string, parts ...string) {
	t.Helper()
	said, err := exec.Command(testgateway.Binary(t), append(command, "--url", g.Admin())...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", what, err, said)
	}
	line := strings.Join(strings.Fields(string(said)), " ")
	for _, part := range parts {
		found := false
		for one := range strings.SplitSeq(part, "|") {
			found = found || strings.Contains(line, one)
		}
		if !found {
			t.Errorf("%s says nothing of %q:\n%s", what, part, said)
		}
	}
}
