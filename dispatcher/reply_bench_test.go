package dispatcher

import (
	"syscall"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
)

// countReply is what a function that counts answers: a state, and a record of 100 bytes.
func countReply() *wireResult {
	return &wireResult{
		StateMutations: []*wireMutation{{MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "seen",
			StateValue: &protocol.TypedValue{Typename: protocol.TypeLong, HasValue: true, Value: []byte("\x09\x01\x00\x00\x00\x00\x00\x00\x00")}}},
		OutgoingEgresses: []*protocol.FromFunction_EgressMessage{{EgressNamespace: "bench", EgressType: "out",
			Argument: &protocol.TypedValue{Typename: protocol.TypeKafkaProducerRecord, HasValue: true, Value: make([]byte, 100)}}},
	}
}

// fanReply sends to ten addresses.
func fanReply() *wireResult {
	r := countReply()
	for i := range 10 {
		r.OutgoingMessages = append(r.OutgoingMessages, &protocol.FromFunction_Invocation{
			Target:   &protocol.Address{Namespace: "bench", Type: "quiet", Id: string(rune('a'+i)) + "-1234"},
			Argument: &protocol.TypedValue{Typename: "bench/value", HasValue: true, Value: make([]byte, 40)}})
	}
	return r
}

func BenchmarkReply(b *testing.B) {
	call := &machine.Call{Target: api.Address{Type: counter, ID: "key-1234"}}
	for name, wire := range map[string]*wireResult{"count": countReply(), "fan": fanReply()} {
		body := onWire(b, resultOf(wire))
		b.Run(name+"/by hand", func(b *testing.B) {
			w := newWords()
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				if _, err := decodeReply(body, call, w); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/generated", func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				if _, err := generatedReply(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// reportCPU tells the CPU that the process has used for each round: on a machine with neighbours the time says little.
func reportCPU(b *testing.B) func() {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}
