package kafka

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/egress"
)

func inTrace(o api.Output, flags byte) api.Output {
	o.Trace = &api.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: flags}
	return o
}

// TestTraces: a record says in its header in which trace it is, with the span of its delivery; what is sampled out passes its trace on as it
// is, and what is in none has no header. The hook is told once of each that is sampled, delivered or refused.
func TestTraces(t *testing.T) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(fmt.Sprint(semantic), func(t *testing.T) {
			_, cfg := fake(t)
			cfg.Semantic = semantic
			var mu sync.Mutex
			var sent []egress.Sent // guarded by mu
			o := newOutbox("shop/out")
			if semantic == None {
				o.id.Slot = -1
			}
			l := begin(t, o, cfg, func(r *Relay) {
				r.cfg.Hooks.Traced = func(s egress.Sent) {
					mu.Lock()
					defer mu.Unlock()
					sent = append(sent, s)
				}
			})
			sampled, out, plain := inTrace(kafkaOutput("out", "k", "sampled"), 1), inTrace(kafkaOutput("out", "k", "out"), 0), kafkaOutput("out", "k", "plain")
			broken := inTrace(kafkaOutput("out", "k", "broken"), 1)
			broken.Value.TypeName = "another/type"
			l.emit(sampled, out, broken, plain, sampled)
			o.waitDelivered(t, 6)
			delivery := egress.Trace(o.id, 1, sampled.Trace)
			want := map[string][]string{
				"sampled": {delivery.String(), egress.Trace(o.id, 5, sampled.Trace).String()}, "out": {out.Trace.String()}, "plain": {""},
			}
			for _, r := range readAll(t, cfg.Brokers, "out", kgo.ReadCommitted()) {
				header, value := "", string(r.Value)
				for _, h := range r.Headers {
					if h.Key != "traceparent" || len(r.Headers) > 1 {
						t.Errorf("%s has headers %v", value, r.Headers)
					}
					header = string(h.Value)
				}
				if len(want[value]) == 0 || header != want[value][0] {
					t.Errorf("%s is in %q, want the first of %q", value, header, want[value])
					continue
				}
				want[value] = want[value][1:]
			}
			mu.Lock()
			defer mu.Unlock()
			told := map[uint64]string{}
			for _, s := range sent {
				if s.Lane != o.id || s.System != "kafka" || s.Began.IsZero() || s.Output.Trace == nil || told[s.Number] != "" {
					t.Errorf("told %+v", s)
				}
				told[s.Number] = s.Destination + " " + s.Refused
			}
			if len(told) != 3 || told[1] != "out " || told[3] != " "+reasonType || told[5] != "out " {
				t.Errorf("told %v, want outputs 1, 3 and 5", told)
			}
		})
	}
}

// TestTraceIsNoReason: a record that is as large as allowed loses its header and goes; so does one that a broker finds too large with it.
func TestTraceIsNoReason(t *testing.T) {
	known, most := noTopics(), 1000
	of := func(size int) *item {
		output := inTrace(kafkaOutput("t", "", strings.Repeat("x", size-recordOverhead)), 1)
		it := &item{number: 7, output: &output}
		it.judge(known, most)
		return it
	}
	if it := of(most); it.reason != "" || it.record.trace != nil || it.record.size() != most {
		t.Errorf("as large as allowed: refused as %q, in %v, %d bytes", it.reason, it.record.trace, it.record.size())
	}
	if it := of(most + 1); it.reason != reasonLarge {
		t.Errorf("too large: refused as %q", it.reason)
	}
	it := of(most - traceMax)
	if it.record.trace == nil || it.record.size() != most {
		t.Fatalf("with room for it: in %v, %d bytes", it.record.trace, it.record.size())
	}
	r := &Relay{limits: newLimits(most), log: slog.New(slog.DiscardHandler)}
	b := &batch{place: place{topic: "t"}, items: []*item{it}, err: sarama.ErrMessageSizeTooLarge}
	r.trace(it)
	if r.blame(b, 1); it.reason != "" || it.record.trace != nil {
		t.Errorf("a broker finds it too large: refused as %q, in %v", it.reason, it.record.trace)
	}
	if r.trace(it); it.record.trace != nil {
		t.Error("the header that was too much comes back")
	}
	if r.blame(b, 1); it.reason != reasonLarge {
		t.Errorf("a broker finds it too large without it: refused as %q", it.reason)
	}
}

// TestTraceHeaderSize: what is reckoned for a header is never less than what is sent.
func TestTraceHeaderSize(t *testing.T) {
	output := inTrace(kafkaOutput("t", "k", "v"), 1)
	it := &item{number: 7, output: &output}
	it.judge(noTopics(), 1<<20)
	h := it.record.headers()
	if got := len(h[0].Key) + len(h[0].Value) + 4; got > traceMax || protocol.TypeKafkaProducerRecord != output.Value.TypeName {
		t.Errorf("a header of %d bytes, reckoned as %d", got, traceMax)
	}
}
