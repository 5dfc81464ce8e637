//go:build unix

package commandtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestCommands types every command that sees or mends at a gateway that works.
func TestCommands(t *testing.T) {
	s, functions := newShop(t)
	g := s.newGateway("gateway", functions)
	g.Open()
	for _, text := range []string{"pen", "ink", later, lost + " 3"} {
		g.post("/v1/call/shop/cart/ada", text)
	}
	g.post("/v1/call/shop/cart/%20b%2F%1B", "pen") // an id that is no word, and that a terminal obeys
	g.post("/v1/call/shop/cart?id=..", "pen")
	t.Run("see", func(t *testing.T) { seeAll(t, g) })
	t.Run("state", func(t *testing.T) { changeState(t, g, s) })
	t.Run("letters", func(t *testing.T) { mendLetters(t, g, s, functions) })
	t.Run("pause", func(t *testing.T) { pauseAll(t, g, s) })
	t.Run("skip", func(t *testing.T) { skipOne(t, g) })
	t.Run("forget", func(t *testing.T) { forgetAll(t, g) })
	var acts []struct{ What, By string }
	g.reads("audit", &acts)
	var did []string
	for _, a := range slices.Backward(acts) {
		if a.What != "log-level" { // the audit has it only where the store takes it soon
			did = append(did, a.What)
		}
	}
	want := []string{"set state", "set state", "set state", "delete state", "set state", "set state", "set state", "discard", "pause", "resume", "replay", "replay",
		"pause", "resume", "pause", "resume", "pause", "resume", "retry", "skip"}
	got := slices.Compact(slices.Clone(did))
	if !slices.Equal(got, slices.Compact(want)) {
		t.Errorf("written down are %q, want %q", got, slices.Compact(want))
	}
	g.Stop()
}

// in makes the gateway a subtest's.
func (g *gateway) in(t *testing.T) func() {
	was := g.t
	g.t = t
	return func() { g.t = was }
}

func seeAll(t *testing.T, g *gateway) {
	defer g.in(t)()
	g.does("ok, active", "status")
	g.untilNothing()
	g.does("shop/cart", "functions")
	g.does("items io.statefun.types/int", "functions shop/cart")
	g.refuses(1, "declares no such function", "functions no/ne")
	if said := g.does("ada", "addresses shop/cart"); !strings.Contains(said, `$' b/\033'`) || strings.Contains(said, "\x1b") || strings.Count(said, "\n") != 4 {
		t.Errorf("got %q", said)
	}
	if said := g.does("ada", "addresses shop/cart --prefix a"); strings.Count(said, "\n") != 2 {
		t.Errorf("got %q", said)
	}
	if said := g.does("ada", "addresses show shop/cart ada"); !strings.Contains(said, "token of ada") || !strings.Contains(said, "items") {
		t.Errorf("got %q", said)
	}
	g.does("address", "addresses show shop/cart ..")
	if s := g.call("addresses", "show", "shop/cart", " b/\x1b"); s.code != 0 || !strings.Contains(s.stdout, `$' b/\033'`) || strings.Contains(s.stdout, "\x1b") {
		t.Errorf("%+v", s)
	}
	g.does("token of ada", "timers --function shop/cart")
	g.does("shop/api", "ingresses")
	g.does("shop/api", "ingresses shop/api")
	g.does("shop/receipts", "egresses")
	g.does("shop/receipts", "egresses shop/receipts")
	g.refuses(1, "no such egress", "egresses no/ne")
	g.does("active", "members")
	g.does("module.yaml:", "module")
	if s := g.call("module", "--changes"); s.code != 0 || !strings.Contains(s.stderr, "nothing has changed") {
		t.Errorf("%+v", s)
	}
	g.does("--lease", "settings")
	g.does("info", "log-level")
	g.does("debug", "log-level debug")
	g.does("info", "log-level info")
	for _, line := range []string{"stuck", "functions", "addresses shop/cart", "timers", "ingresses", "egresses", "deadletters", "deadletters totals", "members", "settings", "audit", "state get shop/cart ada"} {
		var items []map[string]any
		g.reads(line, &items)
	}
	for _, line := range []string{"status", "functions shop/cart", "addresses show shop/cart ada", "ingresses shop/api", "egresses shop/receipts", "module", "log-level"} {
		var one map[string]any
		g.reads(line, &one)
	}
}

func changeState(t *testing.T, g *gateway, s *shop) {
	defer g.in(t)()
	g.does("value    4\n", "state get shop/cart ada items")
	version := func() string {
		var state struct {
			Version string
			Value   json.RawMessage
		}
		g.reads("state get shop/cart ada items", &state)
		return state.Version
	}
	before := version()
	g.does("is set: version", "state set shop/cart ada items 40")
	g.refuses(1, "changed", "state set shop/cart ada items 41 --if-version "+before)
	g.does("is set: version", "state set shop/cart ada items 41 --if-version "+version())
	g.refuses(1, "changed", "state set shop/cart ada items 42 --if-unset")
	g.does("is set: version", "state set shop/cart ada items 42 --force")
	g.refuses(1, "nothing has happened", "state set shop/cart ada other 1 --type io.statefun.types/int")
	g.refuses(1, "nothing has happened", "state set shop/cart ada items x --type io.statefun.types/string")
	g.refuses(2, "the value is no int; nothing has happened", "state set shop/cart ada items 1.5")
	g.post("/v1/call/shop/cart/ada", "pen")
	g.does("value    43\n", "state get shop/cart ada items")
	raw := g.call("state", "get", "shop/cart", "ada", "items", "--raw")
	name := filepath.Join(s.folder, "value")
	if err := os.WriteFile(name, []byte(raw.stdout), 0o600); err != nil || raw.code != 0 || raw.stdout == "" {
		t.Fatalf("%+v, %v", raw, err)
	}
	g.does("is removed", "state delete shop/cart ada items")
	g.refuses(1, "not set", "state get shop/cart ada items")
	g.does("is set: version", "state set shop/cart ada items @"+name+" --bytes")
	g.does("value    43\n", "state get shop/cart ada items")
	g.does("is set: version", "state set shop/cart .. items 7")
	g.does("value    7\n", "state get shop/cart .. items")
	g.does("is set: version", "state set shop/cart new items -- -7")
	g.does("value    -7\n", "state get shop/cart new items")
}

func mendLetters(t *testing.T, g *gateway, s *shop, functions string) {
	defer g.in(t)()
	g.does("shop/cart", "deadletters totals")
	var letters []struct {
		Number uint64
		Origin struct{ Kind, Name string }
	}
	g.reads("deadletters", &letters)
	if len(letters) != 3 {
		t.Fatalf("%d dead letters, want 3", len(letters))
	}
	of := fmt.Sprintf("--%s %s", letters[0].Origin.Kind, letters[0].Origin.Name)
	g.does("shop/gone ada-0", fmt.Sprintf("deadletters show %d", letters[0].Number))
	g.refuses(1, "there is no dead letter 99999", "deadletters show 99999")
	g.does("is discarded", fmt.Sprintf("deadletters discard %d --yes", letters[0].Number))
	g.refuses(1, "there is no dead letter", fmt.Sprintf("deadletters discard %d --yes", letters[0].Number))
	g.refuses(1, fmt.Sprintf("dead letter %d", letters[1].Number), fmt.Sprintf("deadletters replay %d", letters[1].Number)) // nobody serves shop/gone
	g.Stop()
	s.module(strings.Replace(moduleText, "shop/cart", "shop/*", 1))
	g.Open()
	if said := g.does("endpoint shop/", "module --changes"); !strings.Contains(said, "(all of it)") {
		t.Errorf("got %s", said)
	}
	if said := g.call("functions", "pause", "shop/nope"); said.stdout != "function shop/nope is paused\n" || !strings.Contains(said.stderr, "no message has come for function shop/nope since the gateway began to work, and nothing is kept for it: is the name right?") {
		t.Errorf("a pause of what nobody knows: %q, %q", said.stdout, said.stderr)
	}
	g.does("is resumed", "functions resume shop/nope")
	g.does("is replayed", fmt.Sprintf("deadletters replay %d", letters[1].Number))
	g.does("replayed 1 dead letter in", "deadletters replay --yes "+of)
	g.does("replayed 0 dead letters in", "deadletters replay --yes "+of)
	g.until("value    1\n", "state get shop/gone ada-1 items")
	g.until("value    1\n", "state get shop/gone ada-2 items")
	g.does("", "deadletters discard --all") // of none nobody is asked
	g.does("discarded 0 dead letters in", "deadletters discard --all --yes")
}

func pauseAll(t *testing.T, g *gateway, s *shop) {
	defer g.in(t)()
	for _, what := range []struct{ pause, resume, on string }{
		{"functions pause shop/cart", "functions resume shop/cart", "functions shop/cart"},
		{"addresses pause shop/cart ada", "addresses resume shop/cart ada", "addresses show shop/cart ada"},
		{"ingresses pause shop/api", "ingresses resume shop/api", "ingresses shop/api"},
	} {
		g.does("is paused", what.pause)
		g.does("is paused", what.pause)
		g.does("since", what.on)
		calls, waiting := s.calls.Load(), false
		if what.on != "ingresses shop/api" {
			g.post("/v1/send/shop/cart/ada", "pen")
			g.until("paused", "stuck")
			if now := s.calls.Load(); now != calls {
				t.Errorf("%s: %d calls", what.pause, now-calls)
			}
			waiting = true
		} else if s := g.call("status"); !strings.Contains(s.stdout, "paused") {
			t.Errorf("a status of a paused ingress:\n%s", s.stdout)
		}
		mistyped := g.does("is not paused; there is nothing to resume; did you mean ", what.resume+"e")
		if !strings.HasSuffix(mistyped, strings.TrimPrefix(what.resume, strings.Join(strings.Fields(what.resume)[:2], " ")+" ")+"?\n") {
			t.Errorf("%s with a letter too many: %s", what.resume, mistyped)
		}
		g.does("is resumed", what.resume)
		g.does("is not paused; there is nothing to resume\n", what.resume)
		testgateway.Poll(t, "the call of what has waited", func() (bool, string) {
			now := s.calls.Load()
			return !waiting || now > calls, fmt.Sprint(now-calls, " calls")
		})
	}
	g.refuses(1, "", "functions pause no/ne")
	g.refuses(1, "", "ingresses pause no/ne")
	g.untilNothing()
	g.until("value    45\n", "state get shop/cart ada items")
}

func skipOne(t *testing.T, g *gateway) {
	defer g.in(t)()
	g.post("/v1/send/shop/cart/bob", poison)
	g.post("/v1/send/shop/cart/bob", "pen")
	said := g.until("-> gateway addresses skip shop/cart bob --message ", "stuck") // once a commit holds the message's number
	_, command, _ := strings.Cut(said, "-> gateway ")
	command, _, _ = strings.Cut(command, "\n")
	if !strings.HasPrefix(command, "addresses skip shop/cart bob --message ") {
		t.Fatalf("to do is %q in\n%s", command, said)
	}
	if failing := g.does("bob", "addresses shop/cart --failing"); strings.Count(failing, "\n") != 2 {
		t.Errorf("those that fail: %q", failing)
	}
	g.refuses(1, "", "addresses skip shop/cart bob --message 999999")
	g.until("is tried now", "addresses retry shop/cart bob") // neither is done while a call is out
	g.until("is set aside", command)
	g.until("value    1\n", "state get shop/cart bob items")
	g.refuses(1, "", "addresses retry shop/cart bob")
	if s := g.call("deadletters", "--function", "shop/cart", "--reason", "skipped by an operator"); s.code != 0 || !strings.Contains(s.stdout, "shop/cart bob") {
		t.Errorf("%+v", s)
	}
	g.does("shop/cart bob", "deadletters --function shop/cart")
}

func forgetAll(t *testing.T, g *gateway) {
	defer g.in(t)()
	g.refuses(1, "declares", "egresses forget shop/receipts")
	g.refuses(1, "declares", "ingresses forget shop/api")
	g.refuses(1, "there is nothing to decide", "egresses decide shop/receipts --deliver new")
	g.refuses(1, "declares", "egresses forget shop/receipts --yes")
	g.refuses(1, "declares", "ingresses forget shop/api --yes")
	g.refuses(1, "", "egresses forget no/ne --yes")
	g.refuses(1, "", "egresses decide shop/receipts --deliver stored --yes")
	g.refuses(1, "", "egresses decide no/ne --deliver new --yes")
}
