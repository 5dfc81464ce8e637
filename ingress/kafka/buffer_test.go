package kafka

import (
	"testing"

	"github.com/IBM/sarama"
)

func TestBufferBounds(t *testing.T) {
	pauses, resumes := 0, 0
	b := newBuffer(10, 4<<20, func() { pauses++ }, func() { resumes++ })
	put := func(n, size int) {
		for range n {
			b.put(&sarama.ConsumerMessage{Value: make([]byte, size)})
		}
	}
	put(9, 1)
	if pauses != 0 {
		t.Errorf("got %d pauses below the bound, want 0", pauses)
	}
	put(3, 1)
	if pauses != 1 || !b.isPaused() {
		t.Errorf("got %d pauses at the bound, want 1", pauses)
	}
	batch, _, resumed, ended := b.take()
	if len(batch) != 12 || !resumed || ended || resumes != 1 {
		t.Errorf("got %d records, resumed %v, ended %v, want 12, true, false", len(batch), resumed, ended)
	}
	put(4, 1<<20) // the byte bound, each a batch of its own
	if pauses != 2 {
		t.Errorf("got %d pauses at the byte bound, want 2", pauses)
	}
	for i, want := range []bool{false, false, true, false} {
		batch, _, resumed, _ := b.take()
		if len(batch) != 1 || resumed != want {
			t.Errorf("take %d: got %d records, resumed %v, want 1, %v", i, len(batch), resumed, want)
		}
	}
	put(2, 10)
	b.close()
	if batch, _, _, ended := b.take(); len(batch) != 2 || ended {
		t.Errorf("got %d records, ended %v, want 2, false: what is held is handed out first", len(batch), ended)
	}
	if batch, _, _, ended := b.take(); batch != nil || !ended {
		t.Errorf("got %d records, ended %v, want none, true", len(batch), ended)
	}
}

func TestBufferBatches(t *testing.T) {
	b := newBuffer(1<<20, 1<<30, func() {}, func() {})
	for i := range 2*batchRecordsMax + 1 {
		b.put(&sarama.ConsumerMessage{Offset: int64(i)})
	}
	next := int64(0)
	for _, want := range []int{batchRecordsMax, batchRecordsMax, 1} {
		batch, _, _, _ := b.take()
		if len(batch) != want {
			t.Errorf("got a batch of %d, want %d", len(batch), want)
		}
		for _, m := range batch {
			if m.Offset != next {
				t.Fatalf("got offset %d, want %d", m.Offset, next)
			}
			next++
		}
	}
	if b.bytes != 0 || b.records != 0 {
		t.Errorf("got %d records of %d bytes left, want none", b.records, b.bytes)
	}
}
