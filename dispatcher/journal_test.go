package dispatcher

import (
	"log/slog"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// TestBulkThatDidNotAnswer: it is said once of the endpoint, in words that blame none of the calls that it carried.
func TestBulkThatDidNotAnswer(t *testing.T) {
	for _, kind := range []endpoint.Kind{endpoint.Unanswered, endpoint.NoBulk} {
		d := &Dispatcher{cfg: Config{Function: func(api.FunctionType) (Function, bool) {
			return Function{Function: machine.Function{Endpoint: "http://one"}}, true
		}}, log: slog.New(slog.DiscardHandler), journal: newJournal(nil)}
		for _, name := range []string{"a", "b"} { // functions of one endpoint
			for range 3 {
				call := &machine.Call{Function: api.FunctionType{Namespace: "test", Name: name}, Target: api.Address{ID: "innocent"}, Attempt: 1}
				d.observe(call, nil, &endpoint.Failure{Kind: kind, Text: "status 500"}, 0)
			}
		}
		if n := len(d.journal.lines); n != 1 {
			t.Fatalf("%v: %d lines, want one", kind, n)
		}
		l := <-d.journal.lines
		if l.level != slog.LevelInfo {
			t.Errorf("%v: %q is said at %v", kind, l.text, l.level)
		}
		for _, arg := range l.args {
			if arg == "id" || arg == "innocent" {
				t.Errorf("%v: %q names an address", kind, l.text)
			}
		}
		d.observe(&machine.Call{}, nil, &endpoint.Failure{Kind: endpoint.Status}, 0)
		if l := <-d.journal.lines; l.level != slog.LevelWarn {
			t.Errorf("a call that failed is said at %v", l.level)
		}
	}
}
