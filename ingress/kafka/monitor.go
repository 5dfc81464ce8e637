package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// fault is the recent trouble of one partition.
type fault struct {
	since, last time.Time
	err         error
	at          int64 // what had been handed over when it was noted first
}

// troubled notes an error that is tried again after. It becomes a condition only when it lasts.
func (r *reader) troubled(err error) {
	if r.watch.topic(r.topic.Name).err != nil {
		return // said of the topic already
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, handed := time.Now(), r.handed.Load()
	if r.fault.since.IsZero() || handed != r.fault.at {
		r.fault.since, r.fault.at = now, handed
	}
	r.fault.last, r.fault.err = now, err
	r.Log.Debug("kafka ingress: trouble, tries again", "source", r.source.String(), "error", err)
}

func (s *session) all() []*reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	readers := make([]*reader, 0, len(s.readers))
	for _, r := range s.readers {
		readers = append(readers, r)
	}
	return readers
}

// monitor reports lag, and which partitions are in trouble.
func (s *session) monitor(ctx context.Context) {
	for sleep(ctx, s.pace.lag) {
		away := s.conditions.has(s.awayKey())
		for _, r := range s.all() {
			if ctx.Err() != nil {
				return
			}
			if away {
				continue // one line for the cluster, not one for each partition
			}
			r.judge(time.Now())
			r.report()
		}
	}
}

// judge begins or ends the condition that a partition cannot be read.
func (r *reader) judge(now time.Time) {
	r.mu.Lock()
	f := r.fault
	over := !f.since.IsZero() && (r.handed.Load() != f.at || now.Sub(f.last) > 2*r.pace.retryMax+r.pace.trouble)
	if over {
		r.fault = fault{}
	}
	r.mu.Unlock()
	switch {
	case over || f.since.IsZero():
		r.conditions.end(r.key(cannotBeRead))
	case f.last.Sub(f.since) > r.pace.trouble:
		r.conditions.begin(r.key(cannotBeRead), r.told(f.err, r.topic.Name)+"; trying again")
	}
}

// report tells the lag. The end of the log is what the last fetch has said, or is asked for while none runs.
func (r *reader) report() {
	if r.Hooks.Lag == nil || r.stopped.Load() {
		return
	}
	p, ok := r.engine.Progress(r.source)
	if !ok {
		return
	}
	r.mu.Lock()
	stream := r.stream
	r.mu.Unlock()
	fetched := stream != nil
	if fetched {
		_, paused := stream.buffer.isPaused()
		fetched = !paused
	}
	var end int64
	if fetched {
		end = stream.end.Load()
	} else {
		var err error
		if end, err = r.control.GetOffset(r.topic.Name, r.source.Partition, sarama.OffsetNewest); err != nil {
			return
		}
	}
	r.Hooks.Lag(r.source, max(0, end-p.Position()))
}
