//go:build unix

package exampletest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// command is one thing that the interpreters of testdata/statefun/smoke-* carry out; one of its fields is set.
type command struct {
	Increment       *struct{}  `json:"increment,omitempty"`
	Send            *sending   `json:"send,omitempty"`
	SendAfter       *sending   `json:"sendAfter,omitempty"`
	CancelSendAfter *calledOff `json:"cancelSendAfter,omitempty"`
	SendEgress      *int       `json:"sendEgress,omitempty"`
	AsyncOperation  *operation `json:"asyncOperation,omitempty"`
	Verify          *int       `json:"verify,omitempty"`
}

type sending struct {
	Target   int       `json:"target"`
	Commands []command `json:"commands"`
	Delay    int       `json:"delay"` // in milliseconds, of SendAfter
	Token    string    `json:"token,omitempty"`
}

type calledOff struct {
	Token string `json:"token"`
}

type operation struct {
	Failure  bool      `json:"failure"`
	Commands []command `json:"commands"`
}

// generator draws trees of commands as StateFun's smoke test does, and knows what they come to. What is called off would count one
// up if it ran: there it holds nothing, and its running goes unseen.
type generator struct {
	rand    *rand.Rand
	ids     int
	depth   int
	most    int   // commands at one depth, bound
	counts  []int // by id: what all drawn trees come to
	egress  int   // records drawn; their values are 1 to this
	tokens  int
	actions [len(weights)]int // drawn, by kind
}

// The kinds of what is drawn, with StateFun's weights; the last three are a message that is called off, one that takes the place of
// another with its token, and one that is sent anew after its token was called off.
const (
	kindIncrement = iota
	kindSend
	kindSendAfter
	kindNothing
	kindSendEgress
	kindAsyncOperation
	kindCancelled
	kindReplaced
	kindSentAnew
)

var weights = [...]float64{0.4, 0.9, 0.1, 0.2, 0.03, 0.1, 0.1, 0.05, 0.05}

// source is one command from outside: for whom it is, and the tree.
func (g *generator) source() (target int, tree []command) {
	depth := g.rand.IntN(g.depth)
	target = g.rand.IntN(g.ids)
	tree = g.commands(depth)
	g.count(target, tree)
	return target, tree
}

func (g *generator) commands(depth int) (out []command) {
	if depth > 0 {
		for range g.rand.IntN(g.most) {
			out = append(out, g.draw(depth)...)
		}
	}
	if len(out) == 0 {
		out = []command{increment()}
	}
	return out
}

func increment() command { return command{Increment: &struct{}{}} }

func (g *generator) draw(depth int) []command {
	kind := g.kind()
	g.actions[kind]++
	id, delay := g.rand.IntN(g.ids), 1+g.rand.IntN(20)
	after := func(token string) command {
		return command{SendAfter: &sending{Target: id, Commands: []command{increment()}, Delay: delay, Token: token}}
	}
	switch kind {
	case kindIncrement:
		return []command{increment()}
	case kindSend:
		return []command{{Send: &sending{Target: id, Commands: g.commands(depth - 1)}}}
	case kindSendAfter:
		return []command{{SendAfter: &sending{Target: id, Commands: g.commands(depth - 1), Delay: 1}}}
	case kindSendEgress:
		g.egress++
		number := g.egress
		return []command{{SendEgress: &number}}
	case kindAsyncOperation:
		return []command{{AsyncOperation: &operation{Failure: g.rand.IntN(2) == 0, Commands: g.commands(depth - 1)}}}
	case kindCancelled:
		token := g.token()
		return []command{after(token), {CancelSendAfter: &calledOff{token}}}
	case kindReplaced:
		token := g.token()
		return []command{after(token), after(token)}
	case kindSentAnew:
		token := g.token()
		return []command{after(token), {CancelSendAfter: &calledOff{token}}, after(token)}
	}
	return nil
}

func (g *generator) kind() int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	at := g.rand.Float64() * sum
	for kind, w := range weights {
		if at -= w; at < 0 {
			return kind
		}
	}
	return kindNothing
}

func (g *generator) token() string {
	g.tokens++
	return fmt.Sprint("token-", g.tokens)
}

// count adds what a tree comes to. Within one list, a cancellation takes back what was sent with its token before, and so does
// another sending.
func (g *generator) count(id int, tree []command) {
	pending := map[string]*sending{}
	for _, c := range tree {
		switch {
		case c.Increment != nil:
			g.counts[id]++
		case c.Send != nil:
			g.count(c.Send.Target, c.Send.Commands)
		case c.SendAfter != nil && c.SendAfter.Token == "":
			g.count(c.SendAfter.Target, c.SendAfter.Commands)
		case c.SendAfter != nil:
			pending[c.SendAfter.Token] = c.SendAfter
		case c.CancelSendAfter != nil:
			delete(pending, c.CancelSendAfter.Token)
		case c.AsyncOperation != nil:
			g.count(id, c.AsyncOperation.Commands)
		}
	}
	for _, s := range pending {
		g.count(s.Target, s.Commands)
	}
}

// TestCount: the books are right, and every kind of command is drawn.
func TestCount(t *testing.T) {
	one := []command{increment()}
	g := generator{counts: make([]int, 4)}
	g.count(0, []command{
		increment(), {Send: &sending{Target: 1, Commands: []command{increment(), {Send: &sending{Target: 0, Commands: one}}}}},
		{SendAfter: &sending{Target: 2, Commands: one}},
		{SendAfter: &sending{Target: 3, Commands: one, Token: "off"}}, {CancelSendAfter: &calledOff{"off"}},
		{SendAfter: &sending{Target: 3, Commands: one, Token: "twice"}}, {SendAfter: &sending{Target: 2, Commands: one, Token: "twice"}},
		{SendAfter: &sending{Target: 3, Commands: one, Token: "anew"}}, {CancelSendAfter: &calledOff{"anew"}}, {SendAfter: &sending{Target: 1, Commands: one, Token: "anew"}},
		{AsyncOperation: &operation{Failure: true, Commands: one}}, {CancelSendAfter: &calledOff{"unknown"}},
	})
	if diff := cmp.Diff([]int{3, 2, 2, 0}, g.counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	g = newGenerator(1)
	for range 1000 {
		g.source()
	}
	for kind, n := range g.actions {
		if n == 0 {
			t.Errorf("kind %d is never drawn", kind)
		}
	}
}

func newGenerator(seed uint64) generator {
	const ids = 128
	return generator{rand: rand.New(rand.NewPCG(seed, 2)), ids: ids, depth: 10, most: 3, counts: make([]int, ids)}
}
