package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// watch looks at one stream's shards again and again, and starts a reader for each when its turn comes. Its run owns all fields.
type watch struct {
	*session
	stream *Stream
	kick   chan struct{} // capacity 1: a shard was read to its end, so its children may begin
	wait   sync.WaitGroup

	absent time.Time // since when the stream has not been there; zero: it is
	known  bool      // the store has positions of it
	looked bool      // a look has ended well
	shards map[int32]*progress
}

// progress is what the watch knows of one shard that has a position.
type progress struct {
	shard   shard
	started bool
	ended   bool
	missed  int         // looks in a row that did not show it
	gone    atomic.Bool // two looks have agreed that it is not there: its reader may believe that it cannot be read any more
	latest  *string
}

// Conditions, as the end of their keys.
const (
	streamAbsent   = "stream does not exist"
	streamRefused  = "stream cannot be looked up"
	streamAnew     = "stream was made anew"
	positionLost   = "position is lost"
	positionOther  = "position cannot be read"
	cannotBeRead   = "cannot be read"
	remedyRename   = "decide what to do with the records that it holds: give the ingress another id in the module, then it begins at its startupPosition"
	shardNumberMax = 1 << 20 // that a stream is looked through for in the store
)

func newWatch(s *session, stream *Stream) *watch {
	return &watch{session: s, stream: stream, kick: make(chan struct{}, 1), shards: map[int32]*progress{}}
}

func (w *watch) key(condition string) string {
	return fmt.Sprintf("ingress %s %s: %s", w.ID, w.stream.Name, condition)
}

func (w *watch) source(number int32) api.Source {
	return api.Source{Ingress: w.ID, Topic: w.stream.Name, Partition: number}
}

// stopped ends a watch: only a person can say how to go on.
type stopped struct{ condition, text string }

func (s *stopped) Error() string { return s.condition + ": " + s.text }

// run looks until the context ends. It returns when its readers have ended.
func (w *watch) run(ctx context.Context) {
	reading, stop := context.WithCancel(ctx)
	defer w.wait.Wait()
	defer stop()
	failures := 0
	for ctx.Err() == nil {
		pause := w.pace.discovery
		err := w.look(ctx, reading)
		var engine *engineError
		var why *stopped
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &engine):
			w.fail(engine.cause)
			return
		case errors.As(err, &why):
			stop()
			w.wait.Wait()
			w.conditions.begin(w.key(why.condition), why.text)
			<-ctx.Done()
			return
		case err != nil:
			failures++
			pause = backoff(failures, w.pace.retryMax)
			w.troubled(err, failures)
		default:
			failures = 0
			w.conditions.end(w.key(streamAbsent))
			w.conditions.end(w.key(streamRefused))
			w.absent, w.looked = time.Time{}, true
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-w.kick:
		case <-ctx.Done():
		}
		again.Stop()
	}
}

func (w *watch) troubled(err error, failures int) {
	if isMissing(err) {
		if w.absent.IsZero() {
			w.absent = time.Now()
		}
		w.conditions.begin(w.key(streamAbsent), "it is waited for; create it, or take it out of the module")
		return
	}
	if failures > 1 {
		w.conditions.begin(w.key(streamRefused), err.Error()+"; trying again")
	}
}

// look looks once: what it finds new gets a position, and what may be read gets a reader.
func (w *watch) look(ctx, reading context.Context) error {
	shards, at, err := list(ctx, w.client, w.stream.Name)
	if err != nil {
		return err
	}
	if err := w.recall(shards); err != nil {
		return err
	}
	if err := w.open(ctx, shards, at); err != nil {
		return err
	}
	if err := w.bury(ctx, shards); err != nil {
		return err
	}
	for _, p := range w.shards {
		if !p.started && !p.ended && p.missed == 0 && p.shard.id != "" && w.mayBegin(p) {
			p.started = true
			r := newReader(w, p.shard, p.latest, &p.gone)
			p.latest = nil
			w.wait.Go(func() { r.run(reading) })
		}
	}
	return nil
}

// mayBegin: a shard waits for its parents to be read to their end.
func (w *watch) mayBegin(p *progress) bool {
	for _, parent := range p.shard.parents {
		if before := w.shards[parent]; before != nil && !before.ended {
			return false
		}
	}
	return true
}

// recall looks up what the store knows of the stream's shards, and whether these are the same ones.
func (w *watch) recall(listed []shard) error {
	highest := int32(-1)
	for i := range listed {
		highest = max(highest, listed[i].number)
	}
	for n := int32(0); n <= min(highest, shardNumberMax) && !w.looked; n++ {
		if _, ok := w.engine.Progress(w.source(n)); ok {
			w.known = true
			if w.shards[n] == nil {
				w.shards[n] = &progress{shard: shard{number: n}}
			}
		}
	}
	for n, p := range w.shards {
		stored, ok := w.engine.Progress(w.source(n))
		if !ok {
			continue
		}
		a, err := parseAnchor(stored.TopicID)
		if err != nil {
			return &stopped{positionOther, fmt.Sprintf("shard %d: %v; %s", n, err, remedyRename)}
		}
		p.ended = a.kind == kindEnd
		for i := range listed {
			s := &listed[i]
			if s.number != n {
				continue
			}
			if s.start != a.shard {
				return &stopped{streamAnew, fmt.Sprintf("shard %s began at sequence number %s, and now it begins at %s: the stream was deleted and made again; %s",
					s.id, a.shard, s.start, remedyRename)}
			}
			p.shard = *s
		}
	}
	return nil
}

// open gives a position to each shard that has none: all in one commit, so that a crash leaves all of them or none.
func (w *watch) open(ctx context.Context, listed []shard, at time.Time) error {
	var starts []statestore.Progress
	fresh := map[int32]*progress{}
	for i := range listed {
		s := &listed[i]
		if w.shards[s.number] != nil {
			continue
		}
		a, latest, err := w.begins(ctx, s, at)
		if err != nil {
			return err
		}
		starts = append(starts, progressOf(w.source(s.number), w.stream, a, 0))
		fresh[s.number] = &progress{shard: *s, ended: a.kind == kindEnd, latest: latest}
	}
	if len(starts) == 0 {
		return nil
	}
	if err := w.engine.Start(ctx, starts); err != nil {
		return &engineError{fmt.Errorf("start %d shards of %s: %w", len(starts), w.stream.Name, err)}
	}
	for _, p := range starts {
		w.Log.Info("kinesis ingress: source begins", "source", p.Source.String(), "at", p.TopicID)
	}
	for n, p := range fresh {
		w.shards[n] = p
	}
	w.known = true
	return nil
}

// begins says where a shard begins that the store has never heard of. Kinesis has no name for "latest" that could be stored but
// the time: that is stored, and until the process ends the iterator is used that names it exactly.
func (w *watch) begins(ctx context.Context, s *shard, at time.Time) (anchor, *string, error) {
	a := anchor{kind: kindBegin, shard: s.start}
	kindOf := w.Startup.Kind
	if kindOf == StartDate && w.Startup.Date.After(at) {
		kindOf = StartLatest
	}
	switch {
	case w.known: // a child, or one that came while nobody looked
	case kindOf == StartEarliest:
	case kindOf == StartDate:
		a.kind, a.atMS = kindTime, w.Startup.Date.UnixMilli()
	case !w.absent.IsZero() && time.Since(w.absent) > w.pace.appeared: // all that it holds came after the ingress
	case s.closed:
		a.kind = kindEnd
	default:
		a.kind, a.atMS = kindTime, at.UnixMilli()
		it, err := w.iterator(ctx, s, types.ShardIteratorTypeLatest, nil, nil)
		return a, it, err
	}
	return a, nil, nil
}

// bury ends shards that the stream does not list any more: by then all that they held is too old. Two looks must agree. One that has a
// reader is ended by that.
func (w *watch) bury(ctx context.Context, listed []shard) error {
	there := map[int32]bool{}
	for i := range listed {
		there[listed[i].number] = true
	}
	for n, p := range w.shards {
		if there[n] {
			p.missed = 0
			p.gone.Store(false)
			continue
		}
		p.missed++
		p.gone.Store(p.missed > 1)
		if p.ended || p.started || p.missed < 2 {
			continue
		}
		stored, _ := w.engine.Progress(w.source(n))
		a, err := parseAnchor(stored.TopicID)
		if err != nil {
			return &stopped{positionOther, err.Error()}
		}
		w.Log.Error("kinesis ingress: a shard is gone that was not read to its end; what it held is lost", "source", w.source(n).String(), "at", stored.TopicID)
		end := anchor{kind: kindEnd, shard: a.shard, next: max(a.next, stored.Position())}
		if err := w.engine.Start(ctx, []statestore.Progress{progressOf(w.source(n), w.stream, end, end.next)}); err != nil {
			return &engineError{fmt.Errorf("end %s: %w", w.source(n), err)}
		}
		p.ended = true
	}
	return nil
}

// iterator asks for one.
func (w *watch) iterator(ctx context.Context, s *shard, typ types.ShardIteratorType, sequence *string, at *time.Time) (*string, error) {
	out, err := w.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: &w.stream.Name, ShardId: &s.id, ShardIteratorType: typ, StartingSequenceNumber: sequence, Timestamp: at,
	})
	if err != nil {
		return nil, fmt.Errorf("ask for an iterator of %s %s: %w", w.stream.Name, s.id, err)
	}
	return out.ShardIterator, nil
}

// progressOf is a position with its anchor: all offsets below are finished.
func progressOf(source api.Source, stream *Stream, a anchor, offset int64) statestore.Progress {
	p := statestore.Progress{Source: source, TopicID: a.String(), Start: offset}
	for _, route := range stream.Routes {
		p.Targets = append(p.Targets, statestore.TargetProgress{Key: route.Key, Done: statestore.Ranges{Watermark: offset}})
	}
	sort.Slice(p.Targets, func(i, j int) bool { return p.Targets[i].Key < p.Targets[j].Key })
	return p
}
