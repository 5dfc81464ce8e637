//go:build unix

package stategate

import (
	"context"
	"fmt"
	"testing"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// BenchmarkCall is one request through Handler.Call: a state read and written, a message sent, a record for Kafka, for each message.
func BenchmarkCall(b *testing.B) {
	counter := ValueSpec[int32]{Name: "seen", Type: Int}
	h := newHandler(b, Function{Type: "a.b/st", States: []State{counter}, Call: func(_ context.Context, in *Invocation) error {
		s, err := String.From(in.Argument())
		if err != nil {
			return err
		}
		n, _, err := counter.Get(in)
		if err != nil {
			return err
		}
		counter.Set(in, n+1)
		in.Send(To("a.b/next", in.Self().ID), Int.Of(n+1))
		in.SendKafka("a.b/out", KafkaRecord{Topic: "out", Key: []byte(in.Self().ID), Value: []byte(s)})
		return nil
	}})
	for _, size := range []int{1, 100} {
		messages := make([]*protocol.ToFunction_Invocation, size)
		for i := range messages {
			messages[i] = argument(String.Of("hello"))
		}
		body := request(state("seen", Int.Of(5).wire()), messages...)
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				if _, err := h.Call(context.Background(), body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N*size), "cpu-ns/message")
		})
	}
}
