package dispatcher

import (
	"runtime"
	"testing"
	"weak"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestClaimedMessagesLeaveMemory: of the messages that an incarnation has found in the store nothing is held that it does not need: neither
// those that the module declares no function for, nor those that are finished.
func TestClaimedMessagesLeaveMemory(t *testing.T) {
	var values []weak.Pointer[byte]
	nobody := api.FunctionType{Namespace: "test", Name: "gone"}
	l := begin(t, newStore(nil), serveFunction(t), func(c *Config) {
		all := c.Function
		c.Function = func(t api.FunctionType) (Function, bool) {
			f, _ := all(t)
			return f, t != nobody
		}
		p := statestore.Pack{Number: 1}
		for i, to := range []api.FunctionType{nobody, counter, nobody} {
			value := make([]byte, 1<<16)
			values = append(values, weak.Make(&value[0]))
			p.Messages = append(p.Messages, statestore.Mail{Number: uint64(i + 1), Message: api.Message{
				Target: api.Address{Type: to, ID: "a"}, Argument: api.TypedValue{TypeName: "test/value", HasValue: true, Value: value},
			}})
		}
		c.Claim.Packs, c.Claim.NextNumber = []statestore.Pack{p}, 10
	})
	l.until("it is called", func() bool { return l.got("a") == "1" })
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, _, err := l.View(t.Context(), api.Address{Type: nobody, ID: "a"})
	if err != nil || v.Strange != 2 || v.Front.Bytes != 1<<16 {
		t.Errorf("what waits for nobody is shown as %+v, %v", v, err)
	}
	runtime.GC()
	for i, v := range values {
		if v.Value() != nil {
			t.Errorf("the value of message %d is still in memory", i+1)
		}
	}
}
