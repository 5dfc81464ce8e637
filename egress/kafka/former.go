package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// formerMax bounds how long delivery waits for the end of a transaction that the lane's exactly-once past left open.
const formerMax = 5 * time.Second

// former is the exactly-once past of a lane that is not exactly-once now. A gateway that died in a transaction left it open, and
// nobody asks for its transactional id any more: readers at read_committed would see nothing behind it until it times out.
type former struct {
	lane  statestore.LaneID
	tried time.Time // when it was first tried to end; zero: not yet
}

// formerOf is the past of a lane; nil: it has none that could have left something open.
func formerOf(cfg *Config, lane *statestore.Lane) *former {
	if lane.Slot == egress.NoOutbox {
		lane = &cfg.Formerly
	}
	if cfg.Semantic == ExactlyOnce || cfg.StoreID == "" || !lane.Started {
		return nil
	}
	return &former{lane: lane.LaneID}
}

// endFormer opens a producer with the lane's old transactional id, which ends what is open under it, and closes it. What it does not
// reach within its bound is tried again with the next session, until Kafka has ended the transaction by itself.
func (r *Relay) endFormer(ctx context.Context) {
	f := r.former
	if f == nil {
		return
	}
	if f.tried.IsZero() {
		f.tried = time.Now()
	} else if time.Since(f.tried) > transactionTimeoutMax {
		r.former = nil
		return
	}
	cfg, set := r.cfg, r.set
	cfg.Semantic, set.acks = ExactlyOnce, sarama.WaitForAll
	s := newSession(cfg, set, f.lane, r.log)
	bound := time.AfterFunc(r.formerMax, s.cut)
	err := s.open(ctx)
	bound.Stop()
	s.close()
	if err != nil {
		r.log.Info("a transaction of the time when this egress was exactly-once may still be open; readers at read_committed wait for its time-out",
			"transactionalID", cfg.name(f.lane), "cause", err)
		return
	}
	r.former = nil
	r.log.Info("this egress was exactly-once before: no transaction of that time is open any more", "transactionalID", cfg.name(f.lane))
}
