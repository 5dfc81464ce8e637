package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/egress"
)

// resume makes sure of the cursor and leaves out what is below it. The lane halts when it is lost, or not of this store's past.
func (r *Relay) resume(ctx context.Context, s *session) error {
	if err := s.cursorTopic(ctx, r.cfg.CursorTopic, r.log); err != nil {
		return err
	}
	c, err := r.fetchCursor(ctx, s)
	if err != nil {
		return err
	}
	if err := r.owns(ctx); err != nil {
		return err
	}
	at := r.standing()
	remembered, err := r.remembers(ctx, &at, c)
	if err != nil {
		return err
	}
	switch at.Judge(c, remembered) {
	case egress.CursorLost:
		return r.lost()
	case egress.CursorAhead:
		return r.ahead(c.Next, at.Committed())
	case egress.CursorBegins:
		if err := r.commit(ctx, s, nil, r.next); err != nil {
			return fmt.Errorf("write the first cursor: %w", err)
		}
		r.reached("first cursor", s)
		return r.start(ctx)
	case egress.CursorStarts:
		return r.start(ctx)
	case egress.CursorLags:
		r.log.Warn("the cursor is below outputs that were delivered: Kafka has lost its newest commits; delivery goes on behind them", "cursor", c.Next, "next", r.next)
	case egress.CursorSkips:
		r.log.Info("outputs are delivered already, by the cursor", "skipped", c.Next-r.next, "next", c.Next)
		r.count("skipped", int(c.Next-r.next))
		r.queue.seek(c.Next)
		r.advance(c.Next)
	case egress.CursorMeets:
	}
	r.resumed = true
	r.cursorAt = time.Now()
	return nil
}

// standing is what the lane's cursor is judged by.
func (r *Relay) standing() egress.Standing {
	return egress.Standing{
		Claim: r.cfg.Claim, Started: r.started, Resumed: r.resumed, Low: r.low, Claimed: r.claimed, Known: r.queue.known(), Next: r.next,
	}
}

// remembers asks the store for the claim under which the cursor was moved, if that counts.
func (r *Relay) remembers(ctx context.Context, at *egress.Standing, c egress.Cursor) (remembered bool, err error) {
	if !at.Asks(c) {
		return false, nil
	}
	err = r.insist(ctx, "ask for the claim of the cursor", func() (err error) {
		remembered, err = r.engine.Claimed(ctx, c.Claim)
		return err
	})
	return remembered, err
}

// start makes durable that the first cursor is written.
func (r *Relay) start(ctx context.Context) error {
	err := r.insist(ctx, "mark the lane as started", func() error { return r.engine.Started(ctx, r.lane) })
	if err != nil {
		return err
	}
	r.started, r.resumed = true, true
	r.cursorAt = time.Now()
	return nil
}

// lost halts a lane whose cursor is gone: nobody knows which of its outputs were delivered.
func (r *Relay) lost() error {
	return r.halts(troubleLost, "its cursor is gone", fmt.Sprintf("Nobody knows which outputs from number %d on were delivered", r.next))
}

// ahead halts a lane whose cursor is not of its store's past.
func (r *Relay) ahead(cursor, known uint64) error {
	return r.halts(troubleBack, "its cursor is not of this store's past, which went back, to an older copy perhaps",
		fmt.Sprintf("The cursor says that outputs below %d were delivered, and the store had committed those below %d. Restoring the newer copy is the other way out", cursor, known))
}

// halts says what is wrong with a lane, and first of all what lets it go on: where texts are cut the command must be whole.
func (r *Relay) halts(key, what, why string) error {
	lane := fmt.Sprintf("%s/%d", r.lane.Egress, r.lane.Slot)
	return &haltError{key, fmt.Sprintf("lane %s stands still: %s. Decide: gateway egresses decide %s --lane %d --deliver stored|new|NUMBER. %s. stored: all that the store has, from %d on (some may be there "+
		"twice then); new: none of them (some may be missing); NUMBER: from that one on, the one behind the last that is in the output topics. The cursor is the offset of group %q in topic %s",
		lane, what, r.lane.Egress, r.lane.Slot, why, r.next, r.cfg.name(r.lane), r.cfg.CursorTopic)}
}

// readCursor asks until there is an answer that can be trusted: an offset, or -1 without any error. Everything else (a
// coordinator that moved, loads or still settles a transaction: brokers then leave the partition out of their answer) is asked again.
func (r *Relay) readCursor(ctx context.Context, s *session) (egress.Cursor, error) {
	group := r.cfg.name(r.lane)
	begin := time.Now()
	for wait := askFirst; ; wait = min(2*wait, askMax) {
		var offset int64
		var claim string
		err := s.do(ctx, func() error {
			var err error
			offset, claim, err = s.fetchOffset(group, r.cfg.CursorTopic)
			if err != nil && !errors.Is(err, sarama.ErrUnstableOffsetCommit) {
				_ = s.client.RefreshCoordinator(group)
			}
			return err
		})
		switch {
		case ctx.Err() != nil:
			return egress.Cursor{}, ctx.Err()
		case err == nil && offset == -1:
			return egress.Cursor{}, nil
		case err == nil && offset >= 0:
			return egress.Cursor{Found: true, Next: uint64(offset), Claim: claim}, nil
		case err == nil:
			err = fmt.Errorf("offset %d", offset)
		}
		if time.Since(begin) > time.Second {
			r.trouble.begin(troubleKafka, fmt.Sprintf("Kafka does not tell the cursor, outputs are kept: %v", r.ofLane(err)), slog.LevelWarn)
		}
		r.pause(ctx, wait)
	}
}

// fetchOffset asks the group's coordinator once. No error and -1: there is none.
func (s *session) fetchOffset(group, topic string) (offset int64, metadata string, err error) {
	coordinator, err := s.client.Coordinator(group)
	if err != nil {
		return 0, "", fmt.Errorf("find coordinator: %w", err)
	}
	req := sarama.NewOffsetFetchRequest(s.conf.Version, group, map[string][]int32{topic: {0}})
	req.RequireStable = true
	resp, err := coordinator.FetchOffset(req)
	if err != nil {
		_ = coordinator.Close() // else the broken connection would be used again
		return 0, "", fmt.Errorf("fetch cursor: %w", err)
	}
	err = resp.GroupError()
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		// Brokers say -1 instead; in-process ones for development say this. It is as definite, and at worst halts a lane.
		return -1, "", nil
	}
	if !errors.Is(err, sarama.ErrNoError) {
		return 0, "", fmt.Errorf("fetch cursor: %w", err)
	}
	block := resp.GetBlock(topic, 0)
	if block == nil {
		return 0, "", errors.New("fetch cursor: the answer leaves it out")
	}
	if block.Err != sarama.ErrNoError {
		return 0, "", fmt.Errorf("fetch cursor: %w", block.Err)
	}
	return block.Offset, block.Metadata, nil
}

// cursorTopic makes sure that the cursor's topic exists. Without it a commit would fail seconds later, and unclearly.
func (s *session) cursorTopic(ctx context.Context, topic string, log *slog.Logger) error {
	found, err := s.lookup(ctx, []string{topic})
	if err != nil {
		return err
	}
	if err := found[topic]; !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		if err != nil {
			return fmt.Errorf("look up cursor topic %s: %w", topic, err)
		}
		return nil
	}
	err = s.do(ctx, func() error {
		controller, err := s.client.Controller()
		if err != nil {
			return err
		}
		detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: -1}
		resp, err := controller.CreateTopics(sarama.NewCreateTopicsRequest(s.conf.Version, map[string]*sarama.TopicDetail{topic: detail}, createMax, false))
		if err != nil {
			return err
		}
		if e := resp.TopicErrors[topic]; e != nil && e.Err != sarama.ErrNoError && e.Err != sarama.ErrTopicAlreadyExists {
			return e
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cursor topic %s does not exist and making it fails (make it by hand: one partition, nothing is ever written to it): %w", topic, err)
	}
	log.Info("cursor topic is made", "topic", topic)
	return nil
}

const createMax = 10 * time.Second
