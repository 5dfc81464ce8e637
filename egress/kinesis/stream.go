package kinesis

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// stream is what the window holds for one stream, and what is known of it. Owned by Run.
type stream struct {
	turns map[string][]*item // not done, by partition key, in the order of their numbers; the first of each may go
	ready []*item            // those first ones that are not on their way and need not wait

	calls    int       // on their way
	failures int       // calls in a row that failed as a whole
	after    time.Time // no call before
	missing  time.Time // since when it is; zero: it is not
	gone     bool      // it was waited for
	probing  bool      // a call finds out whether it is there
	used     time.Time // when something last asked for it
}

// streamsKnownMax bounds the streams that are remembered without anything waiting for them.
const streamsKnownMax = 1000

// longWait is how long Run may wait when there is nothing to wait for.
const longWait = time.Minute

func (r *Relay) stream(name string) *stream {
	s := r.streams[name]
	if s == nil {
		if len(r.streams) >= streamsKnownMax {
			maps.DeleteFunc(r.streams, func(_ string, s *stream) bool { return len(s.turns) == 0 })
		}
		s = &stream{turns: map[string][]*item{}}
		r.streams[name] = s
	}
	return s
}

// queue puts an output behind those of its key.
func (s *stream) queue(it *item) {
	s.used = time.Now()
	key := it.place.key
	s.turns[key] = append(s.turns[key], it)
	if len(s.turns[key]) == 1 {
		s.ready = append(s.ready, it)
	}
}

// leave takes the first output of a key out; the next may go.
func (s *stream) leave(it *item) {
	key := it.place.key
	turn := s.turns[key]
	i := slices.Index(turn, it)
	switch {
	case i < 0:
		return
	case len(turn) == 1:
		delete(s.turns, key)
		return
	case i == 0:
		s.ready = append(s.ready, turn[1])
	}
	s.turns[key] = slices.Delete(turn, i, i+1)
}

// launch makes the calls that can be made now. It answers what is refused because its stream is gone, and how long nothing else
// is to be done unless something happens.
func (r *Relay) launch(ctx context.Context, now time.Time) (refused []*item, wait time.Duration) {
	wait = longWait
	soon := func(at time.Time) { wait = max(min(wait, at.Sub(now)), 0) }
	still := r.later[:0]
	for _, l := range r.later {
		switch {
		case l.it.done:
		case l.at.After(now):
			soon(l.at)
			still = append(still, l)
		default:
			s := r.stream(l.it.place.stream)
			s.ready = append(s.ready, l.it)
		}
	}
	clear(r.later[len(still):])
	r.later = still
	for name, s := range r.streams {
		if forget := s.used.Add(streamForget); s.gone && forget.After(now) {
			soon(forget)
		}
		for len(s.ready) > 0 && !s.probing && r.flying < r.cfg.calls {
			if s.after.After(now) {
				if s.gone && s.calls == 0 { // what is on its way may yet be delivered
					refused = append(refused, s.giveUp(name)...)
				} else {
					soon(s.after)
				}
				break
			}
			r.call(ctx, name, s)
		}
	}
	r.report(now)
	if at := r.movedAt.Add(r.cfg.pace.held); !r.full() || at.After(now) {
		r.trouble.end(troubleHeld, "outputs leave again, for all streams")
		if r.full() {
			soon(at)
		}
	} else {
		r.heldUp()
	}
	return refused, wait
}

// call sends what is ready of a stream, or one output of it while the stream is missing.
func (r *Relay) call(ctx context.Context, name string, s *stream) {
	s.probing = !s.missing.IsZero()
	n, bytes := 0, 0
	for n < len(s.ready) && n < r.cfg.callRecords {
		it := s.ready[n]
		bytes += it.size()
		if n > 0 && (bytes > r.cfg.callBytes || it.alone || s.ready[0].alone || s.probing) {
			break
		}
		n++
	}
	p := &put{stream: name, items: slices.Clone(s.ready[:n]), began: time.Now()}
	s.ready = slices.Delete(s.ready, 0, n)
	r.flying++
	s.calls++
	go func() {
		p.run(ctx, r.client)
		r.landed <- p
	}()
}

// giveUp refuses all outputs of a stream that does not exist and was waited for.
func (s *stream) giveUp(name string) (refused []*item) {
	for _, turn := range s.turns {
		for _, it := range turn {
			it.refuse(reasonMissing, fmt.Sprintf("stream %s does not exist", name))
			refused = append(refused, it)
		}
	}
	slices.SortFunc(refused, func(a, b *item) int { return int(int64(a.number) - int64(b.number)) })
	clear(s.turns)
	s.ready = nil
	return refused
}

// settle takes the answer of a call. It answers what is refused for good.
func (r *Relay) settle(p *put, now time.Time) (refused []*item) {
	s := r.stream(p.stream)
	s.probing = false
	s.calls--
	switch {
	case p.err == nil:
		s.failures, s.missing, s.gone = 0, time.Time{}, false
		r.acknowledge(p, now)
	case isMissing(p.err):
		r.absent(p, s, now)
	case atFault(p.err) && len(p.items) == 1:
		p.items[0].refuse(reasonRefused, fmt.Sprintf("record of %d bytes for stream %s: %v", p.items[0].size(), p.stream, p.err))
		refused = p.items
	case atFault(p.err): // of several it cannot be told which one it is
		for _, it := range p.items {
			it.alone = true
		}
		s.ready = append(slices.Clone(p.items), s.ready...)
	default:
		r.doubt = true
		s.failures++
		s.after = now.Add(r.cfg.pace.backoff(s.failures))
		s.ready = append(slices.Clone(p.items), s.ready...)
		r.trouble.begin(troubleOf(troubleKinesis, p.stream), fmt.Sprintf("Kinesis does not take outputs for stream %s, they are kept and tried again: %v", p.stream, p.err), slog.LevelWarn)
	}
	return refused
}

// acknowledge ends what Kinesis has taken; the rest comes again, each after a pause of its own.
func (r *Relay) acknowledge(p *put, now time.Time) {
	taken, example := 0, ""
	throttled := false
	for i, it := range p.items {
		why := sdk.ToString(p.out.Records[i].ErrorCode)
		if why == "" {
			taken++
			r.traced(it, p.began)
			r.done(it)
			continue
		}
		it.tries++
		r.later = append(r.later, later{now.Add(r.cfg.pace.backoff(it.tries)), it})
		if why == codeThrottled {
			throttled = throttled || it.tries > throttleTries
		} else if example == "" {
			example = why + ": " + sdk.ToString(p.out.Records[i].ErrorMessage)
		}
	}
	r.count("ok", taken)
	r.advance()
	switch {
	case throttled:
		r.trouble.begin(troubleOf(troubleThrottle, p.stream), fmt.Sprintf("stream %s takes no more for now: its outputs are kept and tried again; give it more shards", p.stream), slog.LevelWarn)
	case taken == len(p.items):
		r.trouble.end(troubleOf(troubleThrottle, p.stream), fmt.Sprintf("stream %s takes outputs again", p.stream))
	}
	switch {
	case example != "":
		r.trouble.begin(troubleOf(troubleKinesis, p.stream), fmt.Sprintf("Kinesis does not take some outputs for stream %s, they are kept and tried again: %s", p.stream, example), slog.LevelWarn)
	case taken > 0:
		r.trouble.end(troubleOf(troubleKinesis, p.stream), fmt.Sprintf("Kinesis takes outputs for stream %s again", p.stream))
	}
}

// troubleOf is the key of a condition of one stream: another one's success does not end it.
func troubleOf(key, stream string) string { return key + ": stream " + stream }

// throttleTries is how often one output is refused in a row before operators hear of it: a burst is nothing.
const throttleTries = 6

// absent notes that a stream does not exist. What asked for it is tried again while the stream is waited for, and then given up.
func (r *Relay) absent(p *put, s *stream, now time.Time) {
	s.used = now
	if s.missing.IsZero() {
		s.missing = now
	}
	s.ready = append(slices.Clone(p.items), s.ready...)
	if !s.gone && now.Sub(s.missing) < r.cfg.pace.grace {
		s.after = now.Add(min(r.cfg.pace.retry, r.cfg.pace.grace))
		return
	}
	s.gone = true
	s.after = now.Add(r.cfg.pace.probe) // until then launch gives up what there is
}

// streamForget is how long a missing stream is told of after it was last asked for.
const streamForget = 5 * time.Minute

// report tells operators of streams that were given up.
func (r *Relay) report(now time.Time) {
	gone, example := 0, ""
	for name, s := range r.streams {
		if s.gone && now.Sub(s.used) <= streamForget {
			gone++
			if example == "" || name < example {
				example = name
			}
		}
	}
	if gone == 0 {
		r.trouble.end(troubleStream, "no stream is missing any more that outputs ask for")
		return
	}
	r.trouble.begin(troubleStream, fmt.Sprintf("%d streams do not exist, %s for one: outputs for them become dead letters at once, but for one a second that finds out whether the stream is there", gone, example), slog.LevelWarn)
}

// heldUp tells operators which output all others wait for: those behind it fill the window.
func (r *Relay) heldUp() {
	it := r.window[0]
	r.trouble.begin(troubleHeld, fmt.Sprintf("output %d for stream %s is not taken, and as many wait behind it as may: nothing leaves this egress, for other streams neither, "+
		"until that stream takes it; a stream with an egress of its own holds up no other", it.number, it.place.stream), slog.LevelWarn)
}
