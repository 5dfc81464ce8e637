package statestore

import (
	"slices"
	"sort"

	"github.com/stategate/stategate/api"
)

// Progress is how far one source is finished, for each target of its topic apart.
type Progress struct {
	Source  api.Source
	TopicID string // Kafka's topic id; "" where the broker gives none
	// Partitions is how many partitions the topic had when its start positions were first resolved. Kafka only appends: one
	// with a lower number was there then, and begins by the startup position however late; any other was added later.
	Partitions int32
	Start      int64            // where reading began; a target that is new begins at Position
	Targets    []TargetProgress // sorted by key
}

// TargetProgress is what one target of a topic has finished.
type TargetProgress struct {
	Key  string // api.Route.Key
	Done Ranges
}

// Position is the offset from which the source must be read again: the lowest watermark of its targets.
func (p *Progress) Position() int64 {
	if len(p.Targets) == 0 {
		return p.Start
	}
	low := p.Targets[0].Done.Watermark
	for _, t := range p.Targets[1:] {
		low = min(low, t.Done.Watermark)
	}
	return low
}

// Clone is a deep copy.
func (p *Progress) Clone() Progress {
	c := *p
	c.Targets = make([]TargetProgress, len(p.Targets))
	for i, t := range p.Targets {
		c.Targets[i] = TargetProgress{Key: t.Key, Done: t.Done.Clone()}
	}
	return c
}

// Ranges is a set of finished offsets: all below Watermark, and those in Above.
type Ranges struct {
	Watermark int64
	Above     []Range // sorted, apart from each other and above Watermark
}

// Range is the offsets From <= offset < To.
type Range struct{ From, To int64 }

// Clone is a deep copy.
func (r *Ranges) Clone() Ranges {
	return Ranges{Watermark: r.Watermark, Above: slices.Clone(r.Above)}
}

// Contains reports whether the offset is finished.
func (r *Ranges) Contains(offset int64) bool {
	if offset < r.Watermark {
		return true
	}
	i := sort.Search(len(r.Above), func(i int) bool { return r.Above[i].To > offset })
	return i < len(r.Above) && r.Above[i].From <= offset
}

// Add marks from <= offset < to as finished.
func (r *Ranges) Add(from, to int64) {
	if to <= r.Watermark || from >= to {
		return
	}
	if from <= r.Watermark {
		r.Watermark = to
		r.absorb()
		return
	}
	i := sort.Search(len(r.Above), func(i int) bool { return r.Above[i].To >= from })
	j := i
	for j < len(r.Above) && r.Above[j].From <= to {
		from = min(from, r.Above[j].From)
		to = max(to, r.Above[j].To)
		j++
	}
	if i == j {
		r.Above = slices.Insert(r.Above, i, Range{from, to})
		return
	}
	r.Above[i] = Range{from, to}
	r.Above = slices.Delete(r.Above, i+1, j)
}

// absorb moves the watermark over the ranges that it has reached.
func (r *Ranges) absorb() {
	n := 0
	for n < len(r.Above) && r.Above[n].From <= r.Watermark {
		r.Watermark = max(r.Watermark, r.Above[n].To)
		n++
	}
	r.Above = slices.Delete(r.Above, 0, n)
}
