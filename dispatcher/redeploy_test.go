package dispatcher

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// named declares one state by StateFun's rules, as its SDKs do: it asks for what is missing by name, never compares types itself, and
// writes what it was given as the state back.
type named struct {
	t        *testing.T
	typeName string

	mu    sync.Mutex
	given []string // types of the values that it was given; guarded by mu
}

func (f *named) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call protocol.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &call)
	}
	if err != nil {
		f.t.Error(err)
	}
	w.Header().Set("Content-Type", protocol.ContentType)
	states := call.GetInvocation().GetState()
	if len(states) == 0 {
		_, _ = w.Write(onWire(f.t, missingOf(&wireSpec{StateName: "seen", TypeTypename: f.typeName})))
		return
	}
	if v := states[0].GetStateValue(); v != nil {
		f.mu.Lock()
		f.given = append(f.given, v.Typename)
		f.mu.Unlock()
	}
	_, _ = w.Write(onWire(f.t, resultOf(&wireResult{StateMutations: []*wireMutation{{MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY,
		StateName: "seen", StateValue: &protocol.TypedValue{Typename: f.typeName, HasValue: true, Value: []byte(f.typeName)}}}})))
}

// TestRedeployWithAnotherType: a function that is deployed with another type for a state, while the gateway is away, is never given the
// value of old; it is told that its declaration does not fit, and when that is restored all goes on.
func TestRedeployWithAnotherType(t *testing.T) {
	store := newStore(nil)
	deploy := func(typeName string) (*named, *life) {
		f := &named{t: t, typeName: typeName}
		server := httptest.NewServer(f)
		t.Cleanup(server.Close)
		return f, begin(t, store, &function{url: server.URL})
	}
	retire := func(l *life) {
		l.stop()
		<-l.ended
		if err := store.Release(t.Context(), l.cfg.Claim.Fence); err != nil {
			t.Fatal(err)
		}
	}
	_, l := deploy(protocol.TypeInt)
	l.arrive(0, "a")
	l.finished(1)
	retire(l)

	f, l := deploy(protocol.TypeLong)
	l.arrive(1, "a")
	l.until("failed calls", func() bool { return l.failed >= 3 })
	v, _, err := l.View(t.Context(), api.Address{Type: counter, ID: "a"})
	if err != nil || !strings.Contains(v.LastError, `declares state "seen" with type "io.statefun.types/long", but it is known with type "io.statefun.types/int"`) {
		t.Errorf("the address says %q, %v", v.LastError, err)
	}
	if len(f.given) > 0 {
		t.Errorf("it was given values of types %q", f.given)
	}
	retire(l)

	f, l = deploy(protocol.TypeInt)
	l.arrive(1, "a")
	l.finished(2)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.given) != 1 || f.given[0] != protocol.TypeInt {
		t.Errorf("it was given values of types %q, want the one of old", f.given)
	}
}
