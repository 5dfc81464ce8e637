//go:build unix

package commandtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// commandBytesMax is what a command may hold, however long the list is that it writes.
const commandBytesMax = 128 << 20

// TestMany lists many addresses, and lists, replays and discards many dead letters, beside a flow of requests that goes on. -letters and -addresses
// make it 100,000 and a million; what it costs is logged.
func TestMany(t *testing.T) {
	s, functions := newShop(t)
	g := s.newGateway("gateway", functions)
	addresses, letters := *addressesFlag, *lettersFlag/1000*1000
	g.importAddresses(s, addresses)
	g.Open()
	quiet := g.flow()
	<-quiet.many
	t.Logf("quiet: %v", quiet.end())

	g.measure("listing of addresses", func() {
		if n := g.count("addresses", "shop/cart", "--prefix", "c-"); n != addresses {
			t.Errorf("%d addresses are listed, want %d", n, addresses)
		}
	})
	for n := range letters / 1000 {
		g.post(fmt.Sprintf("/v1/call/shop/cart/l-%d", n), lost+" 500 500")
	}
	g.measure("listing of dead letters", func() {
		if n := g.count("deadletters"); n != letters {
			t.Errorf("%d dead letters are listed, want %d", n, letters)
		}
	})
	g.Stop()
	s.module(moduleText + strings.NewReplacer("shop/cart", "shop/gone").Replace(moduleText[strings.Index(moduleText, "---\nkind: io.statefun.endpoints"):strings.Index(moduleText, "---\nkind: io.stategate.log")]))
	g.Open()
	g.measure("replay", func() {
		said := g.call("deadletters", "replay", "--function", "shop/cart", "--yes")
		if want := fmt.Sprintf("replayed %d dead letters in ", letters/2); said.code != 1 || !strings.HasPrefix(said.stdout, want) || !strings.Contains(said.stderr, fmt.Sprintf("%d dead letters are left", letters/2)) || strings.Count(said.stderr, "\n") > 30 {
			t.Errorf("exit %d, %s%.2000s; want %s", said.code, said.stdout, said.stderr, want)
		}
		t.Log(strings.TrimSpace(said.stdout))
		g.held(said)
	})
	if n := g.count("addresses", "shop/gone"); n != letters/2 {
		t.Errorf("%d addresses have had what was replayed, want %d", n, letters/2)
	}
	g.measure("discarding", func() {
		said := g.call("deadletters", "discard", "--function", "shop/cart", "--yes")
		if want := fmt.Sprintf("discarded %d dead letters in ", letters/2); said.code != 0 || !strings.HasPrefix(said.stdout, want) {
			t.Errorf("exit %d, %s%.2000s; want %s", said.code, said.stdout, said.stderr, want)
		}
		t.Log(strings.TrimSpace(said.stdout))
		g.held(said)
	})
	if n := g.count("deadletters"); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
	g.Stop()
}

// importAddresses puts so many addresses of shop/cart into the store that the gateway will open.
func (g *gateway) importAddresses(s *shop, n int) {
	g.t.Helper()
	name := filepath.Join(s.folder, "state.jsonl")
	f, err := os.Create(name)
	if err != nil {
		g.t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, `{"function":"shop/cart","id":"c-%07d","state":"items","type":"io.statefun.types/int","value":1,"touched":1767225600000}`+"\n", i)
	}
	if err := w.Flush(); err != nil {
		g.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		g.t.Fatal(err)
	}
	if said := g.call("state", "import", "--store", "sqlite:"+filepath.Join(s.folder, "store.db"), name); said.code != 0 {
		g.t.Fatalf("%+v", said)
	}
}

// count types a command with -o json and counts what it lists, as it comes: what a process holds is counted from what its parent held when
// it began, so the test must hold little itself.
func (g *gateway) count(args ...string) (n int) {
	g.t.Helper()
	began := time.Now()
	cmd := exec.CommandContext(g.t.Context(), testgateway.Binary(g.t), append(args, "-o", "json")...)
	cmd.Env = g.env
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		g.t.Fatal(err)
	}
	d := json.NewDecoder(out)
	_, err = d.Token() // [
	for ; err == nil && d.More(); n++ {
		var item json.RawMessage
		err = d.Decode(&item)
	}
	if err == nil {
		_, err = d.Token() // ]
	}
	if err = errors.Join(err, cmd.Wait()); err != nil {
		g.t.Fatalf("gateway %s: after %d items: %v: %.2000s", strings.Join(args, " "), n, err, problems.String())
	}
	g.t.Logf("gateway %s: %d items in %v", strings.Join(args, " "), n, time.Since(began).Round(time.Millisecond))
	g.held(said{rss: maxRSS(cmd.ProcessState)})
	return n
}

// held fails the test when a command has held more memory than it should.
func (g *gateway) held(s said) {
	g.t.Helper()
	if g.t.Logf("the command held %d MiB", s.rss>>20); s.rss > commandBytesMax {
		g.t.Errorf("the command held %d MiB, want at most %d", s.rss>>20, commandBytesMax>>20)
	}
}

// measure does something beside the flow, and logs what that cost it, and how much memory the gateway has.
func (g *gateway) measure(what string, do func()) {
	g.t.Helper()
	f := g.flow()
	do()
	g.t.Logf("beside %s: %v; the gateway holds %.0f MiB", what, f.end(), g.Samples().Sum("process_resident_memory_bytes", nil)/(1<<20))
}

// flow is one client that asks one thing after the other.
type flow struct {
	stop  chan struct{}
	many  chan struct{} // closed after manyRequests, or when it has ended
	ended sync.WaitGroup
	took  []time.Duration
}

// manyRequests are enough to know a median by.
const manyRequests = 1000

func (g *gateway) flow() *flow {
	f := &flow{stop: make(chan struct{}), many: make(chan struct{})}
	enough := sync.OnceFunc(func() { close(f.many) })
	f.ended.Go(func() {
		defer enough() // also of a flow that is broken
		for n := 0; ; n++ {
			select {
			case <-f.stop:
				return
			default:
			}
			began := time.Now()
			resp, err := client.Post(fmt.Sprintf("http://%s/v1/call/shop/cart/f-%d", g.events, n%100), "text/plain", strings.NewReader("pen"))
			if err != nil {
				g.t.Errorf("the flow is broken: %v", err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 {
				g.t.Errorf("the flow is answered %s", resp.Status)
				return
			}
			if f.took = append(f.took, time.Since(began)); len(f.took) == manyRequests {
				enough()
			}
		}
	})
	return f
}

// end ends it and says how it went.
func (f *flow) end() string {
	close(f.stop)
	f.ended.Wait()
	if len(f.took) == 0 {
		return "no request"
	}
	slices.Sort(f.took)
	at := func(part float64) time.Duration {
		return f.took[min(len(f.took)-1, int(part*float64(len(f.took))))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d requests, the median took %v, 99 of 100 at most %v, the longest %v", len(f.took), at(0.5), at(0.99), at(1))
}
