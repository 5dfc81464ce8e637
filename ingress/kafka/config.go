// Package kafka is the ingress that reads Kafka topics: each partition in order, from the position that the engine keeps,
// into a bounded buffer of its own. It never joins a consumer group, never moves a position on its own judgement and never
// drops a record that it cannot use: such a record is handed over as a dead letter.
package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

// Config describes one ingress.
type Config struct {
	ID      string   // "namespace/name" in module.yaml; needed
	Brokers []string // bootstrap servers, "host:port"; at least one
	Group   string   // consumer group that progress is shown under; "" shows none. StartGroupOffsets needs it
	Topics  []Topic  // at least one, each name once
	Startup Startup  // where a source begins that the store has never heard of; default StartLatest
	Reset   Reset    // where to begin when a position is missing; default ResetLatest
	// ResetWritten says that the module writes Reset itself. Only then may a position that is lost (another topic under the
	// name, a log that no longer holds it) be replaced by Reset; otherwise the partition stops and says so.
	ResetWritten bool
	Properties   map[string]string // Java consumer properties; Check says which of them have no effect

	// BufferRecords and BufferBytes bound what one partition holds read and not yet handed over; fetching pauses above them
	// and goes on below half. Beyond them comes at most what was already on its way: as much again, and one batch. While an answer
	// is unpacked all that it holds is in memory besides. Defaults 4096 and 8 MiB.
	BufferRecords, BufferBytes int
	// DiscoveryInterval is how often topics are looked up for new partitions and for having been made anew. Default 5 s, or
	// flink.partition-discovery.interval-millis where that is shorter; more than 5 s counts as 5 s, less than 10 ms as 10 ms.
	DiscoveryInterval time.Duration
	// Traces: each record is in the trace that its headers name.
	Traces bool

	Log   *slog.Logger // default slog.Default()
	Hooks ingress.Hooks

	pace pace // tests quicken it
}

// Topic is what is read from one topic and whom it is for.
type Topic struct {
	Name        string
	ValueType   string      // type name of each value
	Routes      []api.Route // its targets; none: records are read and finished at once
	OnNullKey   Policy      // default NullDeadLetter
	OnNullValue Policy      // default NullDeadLetter

	traced bool // Config.Traces
}

// Policy is what becomes of records without a key or without a value.
type Policy uint8

const (
	NullDeadLetter Policy = iota // set aside, with where it stood
	NullSkip                     // counted (Hooks.Skipped) and finished
)

// Startup is where a source begins that the store has never heard of.
type Startup struct {
	Kind    StartupKind
	Offsets map[TopicPartition]int64 // StartSpecificOffsets: partitions that are not named begin as with StartGroupOffsets
	Date    time.Time                // StartDate: the first record with this timestamp or a later one; none: the end
}

// StartupKind is the type of module.yaml's startupPosition.
type StartupKind uint8

const (
	StartLatest          StartupKind = iota // the end of the log, transactions still open included
	StartEarliest                           // the first record that the log holds
	StartGroupOffsets                       // what Group has committed; Reset where it has committed nothing
	StartSpecificOffsets                    // Startup.Offsets
	StartDate                               // Startup.Date
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Reset is module.yaml's autoOffsetResetPosition.
type Reset uint8

const (
	ResetLatest Reset = iota
	ResetEarliest
)

func (r Reset) String() string {
	if r == ResetEarliest {
		return "earliest"
	}
	return "latest"
}

// pace is how long things take that no user sets.
type pace struct {
	confirm     time.Duration // between two looks that must agree before a position counts as lost
	retryMax    time.Duration // longest pause between attempts
	appeared    time.Duration // a topic that was missing for longer is a new one when it appears
	lag         time.Duration // between two reports of lag
	groupCommit time.Duration // between two commits to the consumer group
	idle        time.Duration // without a record, before what lies behind the position is looked at
	trouble     time.Duration // errors of one partition for longer than this are a condition
	silence     time.Duration // a look that has no answer for longer than this is a condition, long before it times out
	stop        time.Duration // grace for each step of stopping
}

const (
	discoveryIntervalMax = 5 * time.Second
	discoveryIntervalMin = 10 * time.Millisecond
	bufferRecordsDefault = 4096
	bufferBytesDefault   = 8 << 20
)

func (p pace) withDefaults() pace {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&p.confirm, time.Second)
	set(&p.retryMax, 5*time.Second)
	set(&p.appeared, 10*time.Second)
	set(&p.lag, 2*time.Second)
	set(&p.groupCommit, 5*time.Second)
	set(&p.idle, time.Second)
	set(&p.trouble, 3*time.Second)
	set(&p.silence, 10*time.Second)
	set(&p.stop, 2*time.Second)
	return p
}

// withDefaults fills in what is left out; discovery is what the properties say about it, 0 for nothing.
func (c Config) withDefaults(discovery time.Duration) Config {
	if c.DiscoveryInterval <= 0 {
		c.DiscoveryInterval = discovery
	}
	if c.DiscoveryInterval <= 0 {
		c.DiscoveryInterval = discoveryIntervalMax
	}
	c.DiscoveryInterval = max(discoveryIntervalMin, min(c.DiscoveryInterval, discoveryIntervalMax))
	if c.BufferRecords <= 0 {
		c.BufferRecords = bufferRecordsDefault
	}
	if c.BufferBytes <= 0 {
		c.BufferBytes = bufferBytesDefault
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.pace = c.pace.withDefaults()
	c.Topics = slices.Clone(c.Topics)
	for i := range c.Topics {
		c.Topics[i].traced = c.Traces
	}
	return c
}

func (c Config) validate() error {
	if c.ID == "" {
		return errors.New("kafka ingress: no id")
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("kafka ingress %s: %w", c.ID, fmt.Errorf(format, args...))
	}
	if len(c.Brokers) == 0 {
		return fail("no broker address")
	}
	if len(c.Topics) == 0 {
		return fail("no topic")
	}
	seen := map[string]bool{}
	for _, t := range c.Topics {
		switch {
		case t.Name == "":
			return fail("a topic without a name")
		case seen[t.Name]:
			return fail("topic %q is given twice", t.Name)
		case len(t.ValueType) > api.TypeNameBytesMax:
			return fail("topic %q: value type of %d bytes: at most %d are allowed", t.Name, len(t.ValueType), api.TypeNameBytesMax)
		case t.OnNullKey > NullSkip || t.OnNullValue > NullSkip:
			return fail("topic %q: unknown policy for null keys or values", t.Name)
		}
		seen[t.Name] = true
	}
	if c.Reset > ResetEarliest {
		return fail("unknown reset position %d", c.Reset)
	}
	switch c.Startup.Kind {
	case StartLatest, StartEarliest:
	case StartGroupOffsets:
		if c.Group == "" {
			return fail("startup position group-offsets needs a consumer group")
		}
	case StartSpecificOffsets:
		for tp, offset := range c.Startup.Offsets {
			if offset < 0 || tp.Partition < 0 {
				return fail("startup offset %s/%d: %d is not an offset", tp.Topic, tp.Partition, offset)
			}
		}
	case StartDate:
		if c.Startup.Date.UnixMilli() < 0 {
			return fail("startup date %s lies before 1970", c.Startup.Date)
		}
	default:
		return fail("unknown startup position %d", c.Startup.Kind)
	}
	return nil
}
