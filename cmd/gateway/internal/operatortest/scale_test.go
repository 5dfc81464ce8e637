//go:build linux

package operatortest

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

var fullFlag = flag.Bool("full", false, "1,000,000 addresses and 100,000 dead letters instead of a tenth of each")

// What listing and replaying may do to a gateway and its flow. Who lists, the functions and the flow share the machine with it, and tests
// of other packages may: what is judged is half of the events, and that none stands still.
const (
	moreMiB    = 96 // than it has taken before
	worseTimes = 10
	worseFree  = 100 * time.Millisecond // that is no matter, however quick the flow is alone
	stillMax   = 10 * time.Second       // for 99 of 100
	pace       = 4 * time.Second        // of the flow alone
)

// TestManyAddressesAndLetters: who lists a million addresses and a hundred thousand dead letters page by page, and replays them all, has
// each of them once; the gateway's memory stays bounded, and its flow goes on beside it.
func TestManyAddressesAndLetters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute for each store")
	}
	addresses, letters := 100_000, 10_000
	if *fullFlag {
		addresses, letters = 1_000_000, 100_000
	}
	t.Run("sqlite", func(t *testing.T) { scale(t, onSQLite(filepath.Join(t.TempDir(), "state.db")), addresses, letters) })
	t.Run("postgres", func(t *testing.T) { scale(t, onPostgres(testserver.Postgres(t).URL()), addresses, letters) })
}

func scale(t *testing.T, k kind, addresses, letters int) {
	fill(t, k, addresses, letters)
	f := serveFunctions(t)
	g, events := start(t, k, f)
	a := asker{t, g.Admin()}
	flow := startFlow(t, events)
	flow.during(g, func() { time.Sleep(pace / 2) }) // it warms up
	alone := flow.during(g, func() { time.Sleep(pace) })
	t.Logf("the flow alone: %v", alone)

	beside := func(what string, do func()) {
		t.Helper()
		began := time.Now()
		p := flow.during(g, do)
		t.Logf("%s, in %.1f s: %v; %.1f times the median of the flow alone, %.1f times its 99th of 100", what, time.Since(began).Seconds(), p, ms(p.half)/ms(alone.half), ms(p.worst)/ms(alone.worst))
		if p.resident > alone.resident+moreMiB {
			t.Errorf("%s: %d MiB are resident, and were %d", what, p.resident, alone.resident)
		}
		if p.half > max(worseFree, worseTimes*alone.half) {
			t.Errorf("%s: half of the events take more than %v, and %v without it", what, p.half, alone.half)
		}
		if p.worst > stillMax {
			t.Errorf("%s: one event in a hundred takes more than %v", what, p.worst)
		}
	}
	beside(fmt.Sprint(addresses, " addresses are listed"), func() { a.addresses(addresses) })
	beside("addresses with a prefix that few have are listed", func() { a.few(addresses) })
	beside(fmt.Sprint(letters, " dead letters are listed"), func() { a.letters(letters) })
	beside(fmt.Sprint(letters, " dead letters are replayed"), func() {
		a.replay(letters)
		testgateway.Poll(t, "all letters have come", func() (bool, string) { n, _ := f.arrived(); return n == letters, fmt.Sprint(n) })
	})
	if n, again := f.arrived(); n != letters || again > 0 {
		t.Errorf("%d letters have come, %d of them more than once; want %d, once", n, again, letters)
	}
	a.letters(0)
	again := flow.during(g, func() { time.Sleep(pace) })
	t.Logf("the flow alone again: %v", again)
	flow.end()
	g.Stop()
}

// start runs the gateway.
func start(t *testing.T, k kind, f *functions) (*testgateway.Gateway, string) {
	t.Helper()
	folder := t.TempDir()
	text := fmt.Sprintf(`kind: io.statefun.endpoints.v2/http
spec: {functions: scale/*, urlPathTemplate: "%s/all"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: scale/letter, urlPathTemplate: "%s/letter"}
---
kind: io.stategate.http.v1/ingress
spec: {id: scale/api, functions: [scale/flow]}
`, f.url, f.url)
	file := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	address, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := testgateway.New(t, folder, "gateway", nil, "--module", file, "--store", k.url, "--listen", address)
	g.Program = testgateway.PlainBinary(t)
	g.Open()
	return g, "http://" + address
}

// asker is an operator's program.
type asker struct {
	t   *testing.T
	url string
}

var client = &http.Client{Timeout: time.Minute}

// ask makes one request. Its answer must not be large, whatever there is.
func (a asker) ask(method, path, body string, into any) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	const most = 20 << 20
	said, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		a.t.Fatal(err)
	case resp.StatusCode != http.StatusOK:
		a.t.Fatalf("%s %s: %s %.500s", method, path, resp.Status, said)
	case len(said) > most:
		a.t.Fatalf("%s %s: more than %d bytes", method, path, most)
	}
	if err := json.Unmarshal(said, into); err != nil {
		a.t.Fatalf("%s %s: %v in %.500s", method, path, err, said)
	}
}

// pages goes through a list; what each item is called must rise.
func pages[T any](a asker, path string, name func(T) string) (n int) {
	a.t.Helper()
	before := ""
	for after, more := "", true; more; {
		var page struct {
			Items []T     `json:"items"`
			Next  *string `json:"next"`
		}
		a.ask(http.MethodGet, path+after, "", &page)
		for _, item := range page.Items {
			if called := name(item); called <= before {
				a.t.Fatalf("%s: %s comes behind %s", path, called, before)
			} else {
				before = called
			}
			n++
		}
		if more = page.Next != nil; more {
			after = "&after=" + url.QueryEscape(*page.Next)
		}
	}
	return n
}

type listed struct {
	Address struct{ Namespace, Name, ID string } `json:"address"`
}

func (a asker) addresses(want int) {
	a.t.Helper()
	if n := pages(a, "/v1/addresses?function=scale/cart&limit=1000", func(l listed) string { return l.Address.ID }); n != want {
		a.t.Errorf("%d addresses are listed, want %d", n, want)
	}
}

// few asks for a while for what few of the addresses have.
func (a asker) few(addresses int) {
	a.t.Helper()
	for i, until := 0, time.Now().Add(pace/2); time.Now().Before(until); i++ {
		id := cartID(i * 7919 % addresses / 10 * 10)
		if n := pages(a, "/v1/addresses?function=scale/cart&limit=1000&prefix="+id[:len(id)-1], func(l listed) string { return l.Address.ID }); n != 10 {
			a.t.Errorf("%d addresses begin with %s, want 10", n, id[:len(id)-1])
		}
	}
	if n := pages(a, "/v1/addresses?function=scale/cart&limit=1000&prefix=nobody", func(l listed) string { return l.Address.ID }); n != 0 {
		a.t.Errorf("%d addresses of nobody", n)
	}
}

func (a asker) letters(want int) {
	a.t.Helper()
	type letter struct{ Number json.Number }
	if n := pages(a, "/v1/deadletters?limit=1000", func(l letter) string { return fmt.Sprintf("%20s", l.Number) }); n != want {
		a.t.Errorf("%d dead letters are listed, want %d", n, want)
	}
}

// replay asks for batch after batch, as the command line does.
func (a asker) replay(want int) {
	a.t.Helper()
	done, body := 0, `{"all":true}`
	for {
		var batch struct {
			Done    int
			Refused []json.RawMessage
			Through json.Number
			Next    *string
		}
		a.ask(http.MethodPost, "/v1/deadletters/replay", body, &batch)
		if done += batch.Done; len(batch.Refused) > 0 {
			a.t.Fatalf("refused: %s", batch.Refused[0])
		}
		if batch.Next == nil {
			break
		}
		body = fmt.Sprintf(`{"all":true,"after":%q,"through":%s}`, *batch.Next, batch.Through)
	}
	if done != want {
		a.t.Errorf("%d dead letters are replayed, want %d", done, want)
	}
}
