package kafka

import (
	"sync"

	"github.com/IBM/sarama"
)

const (
	batchRecordsMax = 512     // records of one Arrive
	batchBytesMax   = 1 << 20 // bytes of one Arrive; a larger record goes alone
	recordOverhead  = 200     // what a buffered record costs beside its key, value and headers
)

// buffer holds what one partition has read and not yet handed over. One goroutine puts and never waits, one takes; fetching
// is paused while more than the bound is held.
type buffer struct {
	recordsMax, bytesMax int
	pause, resume        func()
	filled               chan struct{} // capacity 1: something was put, or the buffer was closed

	mu      sync.Mutex
	queue   []*sarama.ConsumerMessage
	records int
	bytes   int
	paused  bool
	closed  bool
}

func newBuffer(recordsMax, bytesMax int, pause, resume func()) *buffer {
	return &buffer{recordsMax: recordsMax, bytesMax: bytesMax, pause: pause, resume: resume, filled: make(chan struct{}, 1)}
}

func (b *buffer) put(m *sarama.ConsumerMessage) {
	b.mu.Lock()
	b.queue = append(b.queue, m)
	b.records++
	b.bytes += size(m)
	if !b.paused && (b.records >= b.recordsMax || b.bytes >= b.bytesMax) {
		b.paused = true
		b.pause()
	}
	b.mu.Unlock()
	b.signal()
}

// close says that nothing more will be put.
func (b *buffer) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.signal()
}

func (b *buffer) signal() {
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// take answers the next batch, nil when there is none now; ended when there will be none. resumed says that fetching was
// paused until now.
func (b *buffer) take() (batch []*sarama.ConsumerMessage, bytes int, resumed, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil, 0, false, b.closed
	}
	n := 0
	for n < len(b.queue) && n < batchRecordsMax {
		s := size(b.queue[n])
		if n > 0 && bytes+s > batchBytesMax {
			break
		}
		bytes += s
		n++
	}
	batch = append(batch, b.queue[:n]...)
	clear(b.queue[:n])
	b.queue = b.queue[n:]
	b.records -= n
	b.bytes -= bytes
	if b.records == 0 {
		b.queue = nil
	}
	if b.paused && b.records <= b.recordsMax/2 && b.bytes <= b.bytesMax/2 {
		b.paused = false
		b.resume()
		resumed = true
	}
	return batch, bytes, resumed, false
}

func (b *buffer) isPaused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.paused
}

func size(m *sarama.ConsumerMessage) int {
	n := recordOverhead + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}
