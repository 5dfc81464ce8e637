// Package kinesis delivers the outputs of one lane to Kinesis streams, at least once. It never delivers what was not offered or read
// from the store as committed, and never passes over an output that was neither acknowledged nor made a dead letter.
//
// # Order
//
// Outputs with the same stream and partition key are delivered in the order of their numbers, whatever their explicit hash keys: one
// leaves when the one before it is acknowledged. No call carries two of them, because PutRecords promises no order among its
// records, and one of them may fail and the next succeed. Others overtake freely: order means something within a shard only, and
// to readers it is the partition key that has one. (Two hash keys may lie in one shard or not, and reshardings change that, so a
// key that spreads over several with them has its order in all.)
//
// # What becomes of an output
//
//   - Its stream is missing: it is waited for, 5 s from when that was first noticed; then its outputs are set aside as dead letters, at
//     once, until the stream takes one that is tried every second.
//   - It is no KinesisEgressRecord, names no valid stream, has no partition key or too long a one, an explicit hash key that is
//     no 128-bit number, or is too large; or Kinesis refuses it when it is alone in its call: it is set aside, the others go on.
//   - Its shard takes no more for now: it is tried again with growing pauses, and outputs with other keys go on.
//   - Kinesis does not answer, or does not let the gateway write: it waits in the outbox, for as long as it takes.
//   - It waits in either way, and as many outputs have come behind it as may be in memory (Config.Outstanding): the others wait, too,
//     those of other streams as well. To go on would mean to send again, after a crash, any number of them.
//   - The gateway ends or is killed: what was not acknowledged is sent by the lane's next owner, from the first such number on; what
//     is behind that and was acknowledged comes again.
package kinesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/internal/aws"
)

// What the module says of AWS, in the words of internal/aws.
type (
	Region      = aws.Region
	Credentials = aws.Credentials
	Secret      = aws.Secret
)

// Config is one egress.
type Config struct {
	ID          string // of the egress in module.yaml, "namespace/name"; needed
	Region      Region
	Credentials Credentials
	// Outstanding is how many outputs may be on their way or wait for their turn in memory, behind those that are not acknowledged. Default
	// 1000; more than 10,000 count as 10,000. So many outputs from the oldest on that is not acknowledged are all that a successor
	// may have to send again, and all that leave while that one cannot.
	Outstanding int
	// Properties are clientConfigProperties: names of the Kinesis Producer Library. Check says which are not used.
	Properties map[string]string
	// MemoryBytes bounds the outputs that Offer holds. Default 16 MiB. Beyond it they are read back from the store.
	MemoryBytes int64

	Log   *slog.Logger // default slog.Default()
	Hooks egress.Hooks

	callRecords, callBytes, calls int // of one PutRecords, and how many of these at once
	pace                          pace
	dial                          func(ctx context.Context) (client, error) // tests replace it
}

// pace is how long things take that no user sets.
type pace struct {
	grace    time.Duration // that a missing stream is waited for
	probe    time.Duration // between two tries of a stream that was given up
	retry    time.Duration // first pause before an output is tried again; it doubles
	retryMax time.Duration
	stop     time.Duration // that calls may still take when the relay stops
	pending  time.Duration // between two reports of what waits
	held     time.Duration // that a full window may stand still before operators hear that other streams wait for it
}

// Bounds. Kinesis takes 500 records in a call, and 5 MiB with their keys; a larger record goes alone, for a stream may allow up to
// 10 MiB.
const (
	outstandingDefault = 1000
	outstandingMax     = 10_000
	memoryDefault      = 16 << 20
	callRecordsMax     = 500
	callBytesMax       = 5 << 20
	callsDefault       = 8
	callsMax           = 64
)

// withDefaults checks and fills in.
func (c Config) withDefaults() (Config, error) {
	if c.ID == "" {
		return c, errors.New("kinesis egress: no id")
	}
	settings, _, err := aws.Writing(c.Properties)
	if err != nil {
		return c, fmt.Errorf("kinesis egress %s: %w", c.ID, err)
	}
	if c.Outstanding < 0 {
		return c, fmt.Errorf("kinesis egress %s: %d outstanding records: want at least 1", c.ID, c.Outstanding)
	}
	or := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	or(&c.Outstanding, outstandingDefault)
	c.Outstanding = min(c.Outstanding, outstandingMax)
	c.callRecords, c.callBytes = settings.CallRecordsMax, settings.CallBytesMax
	or(&c.callRecords, callRecordsMax)
	or(&c.callBytes, callBytesMax)
	c.callBytes = min(c.callBytes, callBytesMax)
	c.calls = min(settings.Client.MaxConnections, callsMax)
	or(&c.calls, callsDefault)
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = memoryDefault
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.pace = c.pace.withDefaults()
	if c.dial == nil {
		c.dial = dialer(c, settings)
	}
	return c, nil
}

func (p pace) withDefaults() pace {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&p.grace, 5*time.Second)
	set(&p.probe, time.Second)
	set(&p.retry, 50*time.Millisecond)
	set(&p.retryMax, time.Second)
	set(&p.stop, 3*time.Second)
	set(&p.pending, time.Second)
	set(&p.held, 10*time.Second)
	return p
}

// Check says which properties have no effect, or what of the configuration cannot be used. It connects to nothing.
func Check(c Config) (warnings []string, err error) {
	if _, err := c.withDefaults(); err != nil {
		return nil, err
	}
	_, warnings, err = aws.Writing(c.Properties)
	return warnings, err
}
