package kinesis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stategate/stategate/statestore"
)

// anchor ties the offsets of a source to its shard. The engine counts: its positions are offsets without gaps that mean
// anything only together with an anchor. Kinesis names: a record has a sequence number of some 186 bits, and between two of them
// nothing tells how many records lie. So a shard's records are numbered as they are read, from a record on whose sequence number
// and offset are stored, the anchor. It travels with the position, in statestore.Progress.TopicID, and is replaced only by
// Engine.Start, in one commit with the position that goes with it.
//
// # Why that is exactly once
//
// A record may be skipped after a restart for one reason only: the store says that its offset is finished. So it must be the
// same record that had the offset before. It is, because
//
//  1. no record is handed over before an anchor is stored that lies at it or before it. The first anchor of a shard lies at the
//     first record that was read of it; a position that is none yet (the beginning, a time) is only stored while nothing was handed over.
//  2. what a shard holds from a record on is always the same, in the same order: records are neither inserted before one that
//     was read, nor reordered. How many offsets a record takes is in its bytes (aggregate.go).
//  3. after a restart the shard is read from the anchor's record, this included, and that record must come first. If it does, all
//     that follow get the offsets that they had. The engine skips what is finished, and takes the rest.
//
// If the anchor's record does not come first it has left the stream, by age. Where the store says that nothing behind the anchor
// is finished, no offset behind it has a meaning yet: numbering goes on with the first record that is still there, and what was
// deleted unread is lost, which is said unless it cannot have happened. Where something behind it is finished, no one can
// say which records those were: going on would run some of them twice. The shard stops and says so. That takes a crash, and then
// as long as the stream keeps records: a gateway that is stopped leaves its anchor at the last record that it has read.
//
// # Moving on
//
// An anchor is moved with Engine.Start to the last record that was handed over. In one commit it marks everything up to that
// record as finished for the source, and keeps what is not finished of it as messages in the store: no effect is lost, and none
// of these records is asked of the shard again. This is right only because the engine has taken everything up to there before,
// and takes nothing meanwhile: the goroutine that reads the shard makes both calls. Where it does not know whether the
// engine has taken a batch (the context ended while it was handed over) it moves no anchor any more.
//
// What is kept costs a row each; so an anchor is preferably moved at a moment when everything is finished, and otherwise only
// when it is old or far behind.
//
// # Order across shards
//
// A child shard begins when its parents are read to their end and that is stored (kindEnd): by then each of their records is
// finished or kept as a message. So no record of the child can overtake one of its parent, through crashes too.
type anchor struct {
	kind     kind
	shard    string // the shard's first sequence number: a stream that was made anew has others
	sequence string // kindAfter: the record that the next offset follows
	next     int64  // kindAfter, kindEnd: the offset that follows that record
	atMS     int64  // kindTime: where to begin
	seenMS   int64  // kindAfter: the service's time when nothing behind the record was there; 0: there always was
}

// kind is what an anchor holds on to.
type kind string

const (
	kindBegin kind = "begin" // the beginning of the shard; nothing was handed over
	kindTime  kind = "time"  // a point in time; nothing was handed over
	kindAfter kind = "after" // a record
	kindEnd   kind = "end"   // the shard is closed and was read to its end: nothing is to be read
)

// String is the anchor as it is stored: the kind, the shard, and the fields of the kind.
func (a *anchor) String() string {
	switch a.kind {
	case kindTime:
		return fmt.Sprintf("%s %s %d", a.kind, a.shard, a.atMS)
	case kindAfter:
		return fmt.Sprintf("%s %s %s %d %d", a.kind, a.shard, a.sequence, a.next, a.seenMS)
	case kindEnd:
		return fmt.Sprintf("%s %s %d", a.kind, a.shard, a.next)
	}
	return fmt.Sprintf("%s %s", a.kind, a.shard)
}

// parseAnchor reads what String wrote.
func parseAnchor(s string) (a anchor, err error) {
	fields := strings.Split(s, " ")
	a.kind = kind(fields[0])
	want := map[kind]int{kindBegin: 2, kindTime: 3, kindAfter: 5, kindEnd: 3}[a.kind]
	if want == 0 || len(fields) != want {
		return anchor{}, fmt.Errorf("position %q: it is none of a Kinesis shard", s)
	}
	a.shard = fields[1]
	number := func(i int) (n int64) {
		var bad error
		if n, bad = strconv.ParseInt(fields[i], 10, 64); bad != nil || n < 0 {
			err = fmt.Errorf("position %q: field %d is no number", s, i+1)
		}
		return n
	}
	switch a.kind {
	case kindTime:
		a.atMS = number(2)
	case kindAfter:
		a.sequence, a.next, a.seenMS = fields[2], number(3), number(4)
	case kindEnd:
		a.next = number(2)
	}
	return a, err
}

// finishedEnd is the offset behind the highest that any target has finished.
func finishedEnd(p *statestore.Progress) int64 {
	end := p.Start
	for i := range p.Targets {
		d := &p.Targets[i].Done
		end = max(end, d.Watermark)
		if n := len(d.Above); n > 0 {
			end = max(end, d.Above[n-1].To)
		}
	}
	return end
}

// finishedAll reports whether all targets have finished all offsets below n.
func finishedAll(p *statestore.Progress, n int64) bool { return p.Position() >= n }
