package kafka

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/IBM/sarama"
)

// packing is outputs that were judged, and a packer for topics of some partitions.
func packing(partitions int, sizes []int) ([]item, *packer) {
	var all []int32
	for id := range partitions {
		all = append(all, int32(id))
	}
	part := make([]item, len(sizes))
	for i, size := range sizes {
		part[i] = item{number: uint64(i) + 1, judged: true, record: record{topic: "out", key: fmt.Appendf(nil, "key-%d", i%7), value: make([]byte, size)}}
	}
	return part, newPacker(func(topic string) ([]int32, []int32, error) {
		if topic == "gone" {
			return nil, nil, sarama.ErrUnknownTopicOrPartition
		}
		return all, all, nil
	})
}

// TestBatchesAreBounded: a partition's outputs follow each other in batches of which none is above the bound, but one output
// always goes; and no batch ends before the next output would pass the bound. The packer forgets what it packed before.
func TestBatchesAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	sizes := make([]int, 500)
	for i := range sizes {
		sizes[i] = rng.IntN(300)
	}
	sizes[99] = 5000
	const bound = 1000
	part, p := packing(4, sizes)
	part[10].aside = true
	l := newLimits(bound)
	for range 3 {
		lots, failed := p.pack(part, l)
		if len(failed) > 0 || len(lots) != 4 {
			t.Fatalf("%d lots, %d failed", len(lots), len(failed))
		}
		got := 0
		for _, lot := range lots {
			last := uint64(0)
			for n, b := range lot.batches {
				size := batchOverhead
				for i, it := range b.items {
					size += recordMax + len(it.record.key) + len(it.record.value)
					r := b.records[i]
					if it.number <= last || string(r.Key) != string(it.record.key) || len(r.Value) != len(it.record.value) || r.OffsetDelta != int64(i) {
						t.Fatalf("output %d behind %d: record %+v", it.number, last, r)
					}
					if int(b.partition) != partition(it.record.key, 4) || b.topic != "out" {
						t.Errorf("key %s is in partition %d", it.record.key, b.partition)
					}
					last = it.number
					got++
				}
				if b.bytes != size || size > bound && len(b.items) > 1 {
					t.Errorf("a batch of %d outputs has %d bytes, and says %d", len(b.items), size, b.bytes)
				}
				if n > 0 && lot.batches[n-1].bytes+size-batchOverhead <= bound && len(b.items) == 1 {
					t.Errorf("a batch of %d bytes was closed before one of %d", lot.batches[n-1].bytes, size)
				}
			}
		}
		if got != len(sizes)-1 {
			t.Errorf("%d outputs were packed, want all but the one that is set aside", got)
		}
	}
	l.shrink("out", 600)
	for lots, _ := p.pack(part, l); len(lots) > 0; lots = lots[1:] {
		for _, b := range lots[0].batches {
			if b.bytes > 300 && len(b.items) > 1 {
				t.Errorf("a batch has %d bytes after one of 600 was refused", b.bytes)
			}
		}
	}
}

// TestTopicWithoutPartitions: its outputs fail together, and those of other topics wait.
func TestTopicWithoutPartitions(t *testing.T) {
	part, p := packing(2, make([]int, 6))
	part[1].record.topic, part[4].record.topic = "gone", "gone"
	_, failed := p.pack(part, newLimits(1000))
	if len(failed) != 1 || len(failed[0].items) != 2 || failed[0].items[1].number != 5 || !errors.Is(failed[0].err, sarama.ErrUnknownTopicOrPartition) {
		t.Fatalf("failed: %+v", failed)
	}
}

// TestNoKeyAvoidsPartitionsWithoutALeader, as Kafka's clients do; a key's partition does not depend on who leads it.
func TestNoKeyAvoidsPartitionsWithoutALeader(t *testing.T) {
	sp := &spread{all: []int32{0, 1, 2, 3}, writable: []int32{1, 3}}
	seen := map[int]bool{}
	for range 1000 {
		seen[sp.choose(nil)] = true
	}
	if len(seen) != 2 || !seen[1] || !seen[3] {
		t.Errorf("partitions %v, want 1 and 3", seen)
	}
	for n := range 100 {
		key := fmt.Appendf(nil, "%d", n)
		if got, want := sp.choose(key), partition(key, 4); got != want {
			t.Errorf("key %s: partition %d, want %d", key, got, want)
		}
	}
}

func TestSequenceNumbersBeginAgain(t *testing.T) {
	for _, c := range []struct {
		from int32
		n    int
		want int32
	}{
		{0, 1, 1}, {7, 2000, 2007}, {math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 2, 5, 2},
	} {
		if got := after(c.from, c.n); got != c.want {
			t.Errorf("%d records behind %d: %d, want %d", c.n, c.from, got, c.want)
		}
	}
}
