package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// groupState is what was last shown to the consumer group.
type groupState struct {
	committed map[TopicPartition]int64
	wholeAt   time.Time // when all positions were last committed, changed or not
	refused   bool      // said once until it works again
}

// groupWholeEvery is how often positions that do not change are committed again: Kafka forgets those of a group that nobody
// joins some days after their last commit.
const groupWholeEvery = time.Hour

// keepGroup shows the positions to the consumer group, for lag tools. Nothing is ever read back from there but at a source's
// first start, when the module asks for it.
func (s *session) keepGroup(ctx context.Context) {
	if s.Group == "" {
		return
	}
	for sleep(ctx, s.pace.groupCommit) {
		err := s.commitGroup()
		switch {
		case err != nil && !s.group.refused:
			s.group.refused = true
			s.Log.Warn("kafka ingress: positions are not shown to the consumer group; reading goes on", "ingress", s.ID, "group", s.Group, "error", s.told(err, ""))
		case err == nil && s.group.refused:
			s.group.refused = false
			s.Log.Info("kafka ingress: positions are shown to the consumer group again", "ingress", s.ID, "group", s.Group)
		}
	}
}

// commitGroup commits what has changed since the last time.
func (s *session) commitGroup() error {
	if s.Group == "" {
		return nil
	}
	whole := time.Since(s.group.wholeAt) > groupWholeEvery
	request := sarama.NewOffsetCommitRequest(s.control.Config(), s.Group)
	sent := map[TopicPartition]int64{}
	for _, r := range s.all() {
		p, ok := s.engine.Progress(r.source)
		if !ok || r.stopped.Load() {
			continue
		}
		tp, position := TopicPartition{r.source.Topic, r.source.Partition}, p.Position()
		if before, ok := s.group.committed[tp]; ok && before == position && !whole {
			continue
		}
		sent[tp] = position
		request.AddBlockWithLeaderEpoch(tp.Topic, tp.Partition, position, -1, 0, "")
	}
	if len(sent) == 0 {
		return nil
	}
	coordinator, err := s.control.Coordinator(s.Group)
	if err != nil {
		return err
	}
	response, err := coordinator.CommitOffset(request)
	if err != nil {
		_ = coordinator.Close()
		_ = s.control.RefreshCoordinator(s.Group)
		return err
	}
	var refused error
	for tp, position := range sent {
		code, ok := response.Errors[tp.Topic][tp.Partition]
		switch {
		case !ok:
			refused = sarama.ErrIncompleteResponse
		case code != sarama.ErrNoError:
			refused = fmt.Errorf("%s/%d: %w", tp.Topic, tp.Partition, code)
		default:
			s.group.committed[tp] = position
		}
	}
	if errors.Is(refused, sarama.ErrNotCoordinatorForConsumer) || errors.Is(refused, sarama.ErrConsumerCoordinatorNotAvailable) {
		_ = s.control.RefreshCoordinator(s.Group)
	}
	if refused == nil && whole {
		s.group.wholeAt = time.Now()
	}
	return refused
}

// committed asks what the consumer group has committed; ok is false only when Kafka says that there is nothing. Every other
// answer (the coordinator is elsewhere, loads, an offset is pending) is an error to try again after.
func (s *session) committed(topic string, partition int32) (offset int64, ok bool, err error) {
	coordinator, err := s.control.Coordinator(s.Group)
	if err != nil {
		return 0, false, err
	}
	request := sarama.NewOffsetFetchRequest(s.control.Config().Version, s.Group, map[string][]int32{topic: {partition}})
	request.RequireStable = true
	response, err := coordinator.FetchOffset(request)
	if err != nil {
		_ = coordinator.Close()
		_ = s.control.RefreshCoordinator(s.Group)
		return 0, false, err
	}
	again := func(err error) (int64, bool, error) {
		_ = s.control.RefreshCoordinator(s.Group)
		return 0, false, err
	}
	switch code := response.GroupError(); code {
	case sarama.ErrNoError:
	case sarama.ErrGroupIDNotFound:
		return 0, false, nil
	default:
		return again(code)
	}
	block := response.GetBlock(topic, partition)
	switch {
	case block == nil:
		return again(sarama.ErrIncompleteResponse)
	case block.Err == sarama.ErrGroupIDNotFound:
		return 0, false, nil
	case block.Err != sarama.ErrNoError:
		return again(block.Err)
	}
	return block.Offset, block.Offset >= 0, nil
}
