package dev

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	egresslog "github.com/stategate/stategate/egress/log"
	"github.com/stategate/stategate/statestore"
)

func value(text string) api.TypedValue {
	return api.TypedValue{TypeName: "shop.types/x", HasValue: true, Value: []byte(text)}
}

// TestStepsAreShown is one line for each thing that can happen.
func TestStepsAreShown(t *testing.T) {
	var out bytes.Buffer
	screen := newScreen(&out, false)
	var topics []string
	m := &module.Module{KafkaEgresses: []module.KafkaEgress{{ID: "shop/kafka"}}, LogEgresses: []module.LogEgress{{ID: "shop/log"}}}
	counted := 0
	hooks := app.Hooks{}
	hooks.Dispatcher.DeadLetter = func(*api.DeadLetter) { counted++ }
	hooks = newSteps(screen, m, func(name string) { topics = append(topics, name) }).hooks(hooks)

	cart := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "ada\n"}
	stock := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "stock"}, ID: "pen"}
	call := &machine.Call{Function: cart.Type, Target: cart, Attempt: 2, Messages: []api.Message{
		{Target: cart, Argument: value("add\x1b[31m")}, {Target: cart, Caller: stock, Argument: api.TypedValue{TypeName: "a/b"}},
	}}
	record, err := proto.Marshal(&protocol.KafkaProducerRecord{Topic: "receipts", Key: []byte("ada"), ValueBytes: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	kafka := api.TypedValue{TypeName: protocol.TypeKafkaProducerRecord, HasValue: true, Value: record}

	hooks.Arrived(api.Source{Topic: "orders", Partition: 1}, []api.Record{{ID: "ada", Value: value("{ }")}})
	hooks.Sent(&api.Message{Target: stock, Argument: value("3")})
	answered := hooks.Dispatcher.Answered
	answered(call, &machine.Reply{Incomplete: true, Missing: []statestore.StateSpec{{Name: "items", TypeName: "a/b"}}}, nil, time.Millisecond)
	answered(call, nil, &endpoint.Failure{Kind: endpoint.Status, Text: "status 500:\nno"}, time.Millisecond)
	third := *call
	third.Attempt = 3
	answered(&third, nil, &endpoint.Failure{Kind: endpoint.Status, Text: "not shown"}, time.Millisecond)
	answered(call, &machine.Reply{
		Mutations: []machine.Mutation{{Name: "items", Value: value("1")}, {Name: "old", Delete: true}},
		Sends:     []machine.Send{{Target: stock, Argument: value("take")}},
		Delayed:   []machine.Delayed{{Send: machine.Send{Target: cart, Argument: value("expire")}, Delay: 1500, Token: "e"}, {Token: "e", Cancel: true}},
		Outputs:   []machine.Output{{Egress: "shop/kafka", Value: kafka}, {Egress: "shop/log", Value: value("l")}, {Egress: "shop/none", Value: kafka}},
	}, nil, 1234567*time.Nanosecond)
	hooks.Output("shop/log", cart, egresslog.TextOf(value("l")))
	hooks.Output("shop/log", cart, egresslog.TextOf(kafka))
	hooks.Dispatcher.DeadLetter(&api.DeadLetter{Kind: api.DeadRecord, From: "shop/in", Reason: "null key", Detail: "no id"})
	screen.log(0).Warn("odd", "why", "a b")
	screen.close()

	want := `in     orders ada: {}
in     shop/stock/pen: 3
learn  shop/cart has a state items (a/b)
fail   shop/cart/ada\n: status: status 500:\nno (try 2, 1ms)
call   shop/cart/ada\n: add\x1b[31m (1.2ms)
call   shop/cart/ada\n by shop/stock/pen: (no value) (1.2ms)
state  shop/cart/ada\n items = 1
state  shop/cart/ada\n old is removed
send   shop/cart/ada\n -> shop/stock/pen: take
later  shop/cart/ada\n -> shop/cart/ada\n in 1.5s: expire
cancel shop/cart/ada\n takes back e
out    shop/cart/ada\n shop/none receipts ada: v
out    shop/log: l
out    shop/log receipts ada: v
aside  record shop/in: null key: no id
log    level=WARN msg=odd why="a b"
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"receipts"}, topics); diff != "" || counted != 1 {
		t.Errorf("counted %d, topics (-want +got):\n%s", counted, diff)
	}
}

// A terminal that stands still stops nobody; what it misses is counted.
func TestScreenNeverWaits(t *testing.T) {
	read, write := newGate()
	screen := newScreen(write, true)
	screen.step(left, "out", "first")
	<-write.asked
	for range linesMax + 5 {
		screen.said("p", "x")
	}
	close(read)
	<-write.asked // the rest is being written
	screen.close()
	got := write.written.String()
	if !strings.HasPrefix(got, "\x1b[32mout   \x1b[0m first\n\x1b[2mp |\x1b[0m x\n") || !strings.HasSuffix(got, "(5 more lines are not shown)\n") {
		t.Errorf("got %d bytes, %.80q ... %q", len(got), got, got[max(0, len(got)-60):])
	}
}

// gate is a writer that waits.
type gate struct {
	written bytes.Buffer
	open    chan struct{}
	asked   chan struct{}
}

func newGate() (open chan struct{}, g *gate) {
	g = &gate{open: make(chan struct{}), asked: make(chan struct{}, 10)}
	return g.open, g
}

func (g *gate) Write(b []byte) (int, error) {
	g.asked <- struct{}{}
	<-g.open
	return g.written.Write(b)
}
