package trace

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/stategate/stategate/api"
)

// Config is what a Tracer needs.
type Config struct {
	Settings
	Version string // of the program
	Log     *slog.Logger
	Dropped func(spans int) // counts those that the collector does not get; may be nil
}

// Tracer makes spans. Its methods are hooks of the parts.
type Tracer struct {
	cfg      Config
	sampler  sampler
	exporter *exporter
}

// New makes a tracer of settings that are on. Run sends its spans.
func New(cfg Config) *Tracer {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Dropped == nil {
		cfg.Dropped = func(int) {}
	}
	host, _ := os.Hostname() // for people only
	return &Tracer{cfg: cfg, sampler: newSampler(cfg.Sample), exporter: newExporter(cfg.Settings, cfg.Version, uuid.NewString(), host, cfg.Log, cfg.Dropped)}
}

// Run sends spans until ctx ends, and then what is left, for a moment.
func (t *Tracer) Run(ctx context.Context) { t.exporter.run(ctx) }

// Names of attributes of ours.
const (
	keyFunction = "stategate.function"
	keyID       = "stategate.address.id"
	keyIngress  = "stategate.ingress"
	keyEgress   = "stategate.egress"
)

func (t *Tracer) add(s *span) { t.exporter.add(s) }

// address are the attributes of an address.
func address(a api.Address) []attribute {
	return []attribute{text(keyFunction, a.Type.String()), text(keyID, a.ID)}
}

const (
	internal = otlp.Span_SPAN_KIND_INTERNAL
	server   = otlp.Span_SPAN_KIND_SERVER
	client   = otlp.Span_SPAN_KIND_CLIENT
	producer = otlp.Span_SPAN_KIND_PRODUCER
	consumer = otlp.Span_SPAN_KIND_CONSUMER
)

// Incoming is where events come from in the words of OpenTelemetry: the kind of the system by the id of its ingress.
type Incoming map[string]string

// Arriving begins spans of records: each has its own, below the one that its headers name, and is in that from now on. The answer ends
// them.
func (t *Tracer) Arriving(systems Incoming, source api.Source, records []api.Record) (arrived func()) {
	began := time.Now()
	var spans []*span
	for i := range records {
		r := &records[i]
		if r.Dead == nil && len(r.Routes) == 0 { // it is passed over
			continue
		}
		parent := r.Trace
		r.Trace = t.sampler.under(parent)
		if !r.Trace.Sampled() {
			continue
		}
		spans = append(spans, received(systems[source.Ingress], source, r, parent, began))
	}
	return func() {
		ended := time.Now()
		for _, s := range spans {
			s.end = ended
			t.add(s)
		}
	}
}

// received is the span of a record.
func received(system string, source api.Source, r *api.Record, parent *api.Trace, began time.Time) *span {
	s := &span{at: *r.Trace, name: "receive " + cut(source.Topic), kind: consumer, begin: began, attributes: make([]attribute, 0, 9)}
	if parent != nil {
		s.parent, s.remote = parent.Span, true
	}
	s.attributes = append(s.attributes, text("messaging.system", system), text("messaging.operation.type", "receive"), text("messaging.operation.name", "receive"),
		text("messaging.destination.name", source.Topic), number("messaging.destination.partition.id", int64(source.Partition)), text(keyIngress, source.Ingress))
	if system == "kafka" {
		s.attributes = append(s.attributes, number("messaging.kafka.offset", r.Offset))
	}
	if r.Dead != nil {
		s.wrong = r.Dead.Reason
		return s
	}
	s.attributes = append(s.attributes, text(keyID, r.ID), number("messaging.message.body.size", int64(len(r.Value.Value))))
	return s
}

// Sending begins the span of an event that has no source and is in no trace yet; nil: it is in one. The answer ends it.
func (t *Tracer) Sending(event *api.Message) (sent func(error)) {
	if event.Trace != nil {
		return nil
	}
	event.Trace = t.sampler.begin()
	if !event.Trace.Sampled() {
		return nil
	}
	s := &span{at: *event.Trace, name: "receive " + cut(event.Target.Type.String()), kind: consumer, begin: time.Now(), attributes: address(event.Target)}
	return func(err error) {
		if s.end = time.Now(); err != nil {
			s.wrong = "not taken"
		}
		t.add(s)
	}
}
