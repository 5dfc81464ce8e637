package dispatcher

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/statestore"
)

// spans makes a span of each attempt that is in a trace, and notes what it is told.
type spans struct {
	mu   sync.Mutex
	made byte     // guarded by mu
	told []string // guarded by mu
}

func (s *spans) note(format string, args ...any) {
	s.mu.Lock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
	s.mu.Unlock()
}

func (s *spans) hooks() Traces {
	return Traces{
		Calling: func(call *machine.Call) *Span {
			in := call.Messages[0].Trace
			if in == nil {
				return nil
			}
			span := &Span{Trace: in, Began: time.Now()}
			if in.Sampled() {
				s.mu.Lock()
				s.made++
				span.Trace = &api.Trace{ID: in.ID, Span: [8]byte{s.made}, Flags: in.Flags}
				s.mu.Unlock()
			}
			return span
		},
		Called: func(call *machine.Call, span *Span, ended time.Time, result string, status int) {
			if ended.Before(span.Began) || len(call.Messages) == 0 {
				s.note("a call of %d messages that took %v", len(call.Messages), ended.Sub(span.Began))
			}
			s.note("call %d of %s: %s %d", span.Trace.Span[0], call.Target.ID, result, status)
		},
		Committed: func(traces []*api.Trace, number uint64, began time.Time, result string) {
			for _, t := range traces {
				s.note("commit of call %d: %s", t.Span[0], result)
			}
			if number == 0 || time.Since(began) < 0 {
				s.note("commit %d that began %v ago", number, time.Since(began))
			}
		},
	}
}

// TestTraces: each attempt has a span of its own, whose trace its request carries and what it causes; a failed one says so. What is sampled
// out carries its header and is told to nobody; what is in no trace carries none.
func TestTraces(t *testing.T) {
	f := serveFunction(t)
	var mu sync.Mutex
	var headers []string // guarded by mu
	fails := true        // guarded by mu
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		headers = append(headers, r.Header.Get(api.TraceHeader))
		refuses := fails
		fails = false
		mu.Unlock()
		if refuses {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := &spans{}
	var delivered []api.Output // guarded by mu
	l := begin(t, newStore(nil), &function{Handler: &testfunction.Handler{}, url: server.URL}, func(c *Config) {
		c.Hooks.Traces = s.hooks()
		c.Machine.BackoffMin = 1
		deliver := c.Deliver
		c.Deliver = func(p statestore.OutputPack) {
			mu.Lock()
			delivered = append(delivered, p.Outputs...)
			mu.Unlock()
			deliver(p)
		}
	})
	sampled := &api.Trace{ID: [16]byte{7}, Span: [8]byte{99}, Flags: api.TraceSampled}
	out := &api.Trace{ID: [16]byte{8}, Span: [8]byte{98}}
	for i, trace := range []*api.Trace{sampled, out, nil} {
		msg := api.Message{Target: api.Address{Type: counter, ID: fmt.Sprint("k", i)}, Argument: api.TypedValue{TypeName: "test/event", HasValue: true, Value: []byte("v")}, Trace: trace}
		if err := l.Send(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		l.until("an output", func() bool { return len(l.outputs[msg.Target.ID]) == 1 })
	}
	attempt := func(n byte) *api.Trace { return &api.Trace{ID: sampled.ID, Span: [8]byte{n}, Flags: sampled.Flags} }
	mu.Lock()
	if o := delivered; o[0].Trace == nil || *o[0].Trace != *attempt(3) || o[1].Trace == nil || *o[1].Trace != *out || o[2].Trace != nil {
		t.Errorf("outputs are in %v, %v, %v", o[0].Trace, o[1].Trace, o[2].Trace)
	}
	// The first attempt failed, the second learned which states the function wants.
	if want := []string{attempt(1).String(), attempt(2).String(), attempt(3).String(), out.String(), ""}; !slices.Equal(slices.Compact(headers), want) {
		t.Errorf("requests were in %q, want %q", headers, want)
	}
	mu.Unlock()
	l.stop()
	<-l.looped
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := []string{"call 1 of k0: status 418", "call 2 of k0: incomplete 0", "call 3 of k0: ok 0", "commit of call 3: ok"}; !slices.Equal(s.told, want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
}

// A request that carries several calls says the trace of the first that is sampled; else what the first call says.
func TestTraceOfAParcel(t *testing.T) {
	out, in, other := &Span{Trace: &api.Trace{ID: [16]byte{1}}}, &Span{Trace: &api.Trace{ID: [16]byte{2}, Flags: api.TraceSampled}}, &Span{Trace: &api.Trace{ID: [16]byte{3}, Flags: api.TraceSampled}}
	for _, test := range []struct {
		spans []*Span
		want  *Span
	}{
		{[]*Span{nil, nil}, nil}, {[]*Span{nil, out, in, other}, in}, {[]*Span{other, in}, other}, {[]*Span{out, nil}, out}, {[]*Span{nil, out}, nil},
	} {
		p := &parcel{}
		for _, s := range test.spans {
			p.calls = append(p.calls, sending{span: s})
		}
		if got := p.trace(); got != test.want.trace() {
			t.Errorf("%v: in %v, want %v", test.spans, got, test.want.trace())
		}
	}
}
