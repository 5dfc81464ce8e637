package kafka

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// topicInfo is what a look at the cluster says of one topic.
type topicInfo struct {
	id         string // Kafka's topic id; "" where the broker gives none
	err        error  // why the rest is unknown
	partitions []int32
}

// watch is what the last look at the topics has shown. A topic that is deleted and made again keeps its name, and fetches go
// by name: so what was fetched counts only once a look that began *after* the fetch has shown the topic id that was read
// from before. One look serves all partitions, and it is asked for only where there is reason for doubt: after a fetch that
// failed, where a partition was not being fetched for a moment, and when the last look is old (the process was frozen).
type watch struct {
	oldAfter time.Duration
	kick     chan struct{} // capacity 1: a look is asked for

	mu           sync.Mutex
	asked, done  uint64 // looks are numbered when they are asked for; done: the highest that began after it was asked for
	doneAt       time.Time
	suspectUntil time.Time
	topics       map[string]topicInfo
	changed      chan struct{} // closed and replaced when done moves
}

func newWatch(oldAfter time.Duration) *watch {
	return &watch{oldAfter: oldAfter, kick: make(chan struct{}, 1), topics: map[string]topicInfo{}, changed: make(chan struct{})}
}

// ask asks for a look and answers its number.
func (w *watch) ask() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.askLocked()
}

func (w *watch) askLocked() uint64 {
	w.asked++
	select {
	case w.kick <- struct{}{}:
	default:
	}
	return w.asked
}

// suspect makes everything that is fetched in the coming time wait for a look of its own.
func (w *watch) suspect(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(d); until.After(w.suspectUntil) {
		w.suspectUntil = until
	}
}

// begin is called when a look starts; its answer goes to end.
func (w *watch) begin() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func (w *watch) end(number uint64, began time.Time, topics map[string]topicInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = number
	w.doneAt = began
	w.topics = topics
	close(w.changed)
	w.changed = make(chan struct{})
}

// wait returns when the look with the number, or a later one, has ended well.
func (w *watch) wait(ctx context.Context, number uint64) error {
	for {
		w.mu.Lock()
		done, changed := w.done, w.changed
		w.mu.Unlock()
		if done >= number {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fresh waits for a look that begins now.
func (w *watch) fresh(ctx context.Context) error { return w.wait(ctx, w.ask()) }

// settle waits until the looks cover what was fetched before the call.
func (w *watch) settle(ctx context.Context) error {
	w.mu.Lock()
	now := time.Now()
	number := w.asked
	if now.Before(w.suspectUntil) || now.Sub(w.doneAt) > w.oldAfter {
		number = w.askLocked()
	}
	done := w.done
	w.mu.Unlock()
	if done >= number {
		return nil
	}
	return w.wait(ctx, number)
}

func (w *watch) topic(name string) topicInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, ok := w.topics[name]
	if !ok {
		info.err = sarama.ErrUnknownTopicOrPartition
	}
	return info
}

// lookAt asks a broker for the topics; it never creates one.
func lookAt(client sarama.Client, names []string) (map[string]topicInfo, error) {
	ask := func() (*sarama.MetadataResponse, error) {
		broker := client.LeastLoadedBroker()
		if broker == nil {
			return nil, sarama.ErrOutOfBrokers
		}
		request := sarama.NewMetadataRequest(client.Config().Version, names)
		request.AllowAutoTopicCreation = false
		answer, err := broker.GetMetadata(request)
		if err != nil {
			_ = broker.Close()
		}
		return answer, err
	}
	answer, err := ask()
	if err != nil {
		// The client's own refresh goes on to the next broker and forgets those that are gone; what it finds wrong with a
		// topic the second question shows again.
		_ = client.RefreshMetadata(names...)
		if answer, err = ask(); err != nil {
			return nil, err
		}
	}
	topics := make(map[string]topicInfo, len(answer.Topics))
	for _, t := range answer.Topics {
		info := topicInfo{}
		if t.Uuid != (sarama.Uuid{}) {
			info.id = t.Uuid.String()
		}
		if t.Err != sarama.ErrNoError && t.Err != sarama.ErrLeaderNotAvailable {
			info.err = t.Err
		}
		for _, p := range t.Partitions {
			info.partitions = append(info.partitions, p.ID)
		}
		slices.Sort(info.partitions)
		topics[t.Name] = info
	}
	return topics, nil
}
