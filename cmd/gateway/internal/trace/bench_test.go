package trace

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/egress"
)

// BenchmarkEvent is what the spans of one event cost beside what they are of: that of its record, of its wait, its call, the commit and the
// delivery. sampled=false is an event whose trace is sampled out.
func BenchmarkEvent(b *testing.B) {
	for _, sampled := range []bool{true, false} {
		b.Run(map[bool]string{true: "sampled=true", false: "sampled=false"}[sampled], func(b *testing.B) {
			ratio := map[bool]float64{true: 1}[sampled]
			t := New(Config{Settings: Settings{Endpoint: "http://127.0.0.1:1", Sample: ratio}, Log: slog.New(slog.DiscardHandler)})
			hooks := t.Dispatcher(func(api.FunctionType) (string, int) { return "functions", 80 })
			target := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "ada"}
			records := []api.Record{{ID: "ada", Routes: []api.Route{{Key: "shop/cart", Target: target.Type}}}}
			arrived := machine.Arrivals{1}
			b.ReportAllocs()
			for b.Loop() {
				records[0].Trace = nil
				t.Arriving(Incoming{"shop/in": "kafka"}, api.Source{Ingress: "shop/in", Topic: "orders"}, records)()
				in := records[0].Trace
				call := &machine.Call{Function: target.Type, Target: target, Attempt: 1, Messages: []api.Message{{Target: target, Trace: in}}}
				if in.Sampled() {
					call.Arrived = &arrived
				}
				span := hooks.Calling(call)
				if !in.Sampled() {
					continue
				}
				hooks.Called(call, span, time.Now(), "ok", 0)
				hooks.Committed([]*api.Trace{span.Trace}, 1, span.Began, "ok")
				t.Sent(egress.Sent{Output: &api.Output{Sender: target, Trace: span.Trace}, System: "kafka", Destination: "out", Began: span.Began})
				for len(t.exporter.queue) > 0 {
					<-t.exporter.queue
				}
			}
		})
	}
}
