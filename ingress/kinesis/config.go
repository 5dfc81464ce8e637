// Package kinesis is the ingress that reads Kinesis streams: each shard in order, a shard's parents before it, from the
// position that the engine keeps. It registers no consumer (shards are polled), writes nothing to AWS, never moves a position
// on its own judgement where records may have been finished, and never drops a record that it cannot use: such a record is
// handed over as a dead letter. anchor.go says how sequence numbers become offsets, and why that is exactly once.
package kinesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/internal/aws"
)

// What the module says of AWS, in the words of internal/aws.
type (
	Region      = aws.Region
	Credentials = aws.Credentials
	Secret      = aws.Secret
)

// Config describes one ingress.
type Config struct {
	ID          string // "namespace/name" in module.yaml; needed
	Region      Region
	Credentials Credentials
	Streams     []Stream          // at least one, each name once
	Startup     Startup           // where a stream begins that the store has never heard of; default StartLatest
	Properties  map[string]string // clientConfigProperties by their full names; Check says which of them have no effect

	Log   *slog.Logger // default slog.Default()
	Hooks ingress.Hooks

	recordsMax int                                       // of one read
	pace       pace                                      // tests quicken it
	dial       func(ctx context.Context) (client, error) // tests replace it
}

// Stream is what is read from one stream and whom it is for.
type Stream struct {
	Name      string
	ValueType string      // type name of each value
	Routes    []api.Route // its targets; none: records are read and finished at once
}

// Startup is where a stream begins that the store has never heard of.
type Startup struct {
	Kind StartupKind
	Date time.Time // StartDate: records that arrived in the stream then or later; in the future: as latest
}

// StartupKind is the type of module.yaml's startupPosition.
type StartupKind uint8

const (
	StartLatest   StartupKind = iota // what arrives from now on
	StartEarliest                    // all that the stream holds
	StartDate                        // Startup.Date
)

// pace is how long things take that no user sets.
type pace struct {
	discovery  time.Duration // between two looks at a stream's shards
	read       time.Duration // between two reads of a shard while records come
	idle       time.Duration // likewise at most, while none come
	retryMax   time.Duration // longest pause between attempts
	appeared   time.Duration // a stream that was missing for longer is a new one when it appears
	trouble    time.Duration // errors of one shard for longer than this are a condition
	settled    time.Duration // before an anchor moves although not all behind it is new: see reader.anchorAnew
	anchored   time.Duration // an anchor is no older than this while records come
	anchoredBy int64         // nor farther back than this many records
	refresh    time.Duration // an idle shard's anchor says this often that nothing was missed
	stop       time.Duration // that the last anchor may take when the ingress stops
}

// Kinesis gives each shard five reads a second and 2 MiB a second, to all its readers together.
const (
	discoveryDefault = 10 * time.Second
	discoveryMin     = 100 * time.Millisecond
	readDefault      = 200 * time.Millisecond
)

func (p pace) withDefaults(s aws.Settings) pace {
	set := func(d *time.Duration, values ...time.Duration) {
		for _, v := range values {
			if *d <= 0 {
				*d = v
			}
		}
	}
	set(&p.discovery, s.Discovery, discoveryDefault)
	p.discovery = max(p.discovery, discoveryMin)
	set(&p.read, s.ReadInterval, readDefault)
	set(&p.idle, time.Second)
	p.idle = max(p.idle, p.read)
	set(&p.retryMax, 5*time.Second)
	set(&p.appeared, 10*time.Second)
	set(&p.trouble, 5*time.Second)
	set(&p.settled, 2*time.Second)
	set(&p.anchored, 10*time.Second)
	set(&p.refresh, time.Hour)
	set(&p.stop, 2*time.Second)
	if p.anchoredBy <= 0 {
		p.anchoredBy = 10_000
	}
	return p
}

func (c *Config) validate() error {
	if c.ID == "" {
		return errors.New("kinesis ingress: no id")
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("kinesis ingress %s: %w", c.ID, fmt.Errorf(format, args...))
	}
	if len(c.Streams) == 0 {
		return fail("no stream")
	}
	seen := map[string]bool{}
	for _, s := range c.Streams {
		switch {
		case s.Name == "":
			return fail("a stream without a name")
		case seen[s.Name]:
			return fail("stream %q is given twice", s.Name)
		case len(s.ValueType) > api.TypeNameBytesMax:
			return fail("stream %q: value type of %d bytes: at most %d are allowed", s.Name, len(s.ValueType), api.TypeNameBytesMax)
		}
		seen[s.Name] = true
	}
	switch c.Startup.Kind {
	case StartLatest, StartEarliest:
	case StartDate:
		if c.Startup.Date.UnixMilli() < 0 {
			return fail("startup date %s lies before 1970", c.Startup.Date)
		}
	default:
		return fail("unknown startup position %d", c.Startup.Kind)
	}
	return nil
}

// Check says which properties have no effect, or what of the configuration cannot be used. It connects to nothing.
func Check(c Config) (warnings []string, err error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	_, warnings, err = aws.Reading(c.Properties)
	if err != nil {
		return nil, fmt.Errorf("kinesis ingress %s: %w", c.ID, err)
	}
	return warnings, nil
}
