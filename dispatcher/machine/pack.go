package machine

import (
	"slices"

	"github.com/stategate/stategate/statestore"
)

// pack is a stored pack of messages that wait in memory.
type pack struct {
	number   uint64
	total    int
	strange  int        // of them, those that stay in the store alone: nothing but their number is known
	messages []*message // of the others, those that are not finished, and some that are
	finished []uint64   // sorted
	dirty    bool
}

// repackBelow is the part of a pack's messages, one in so many, that is written anew with the next cut so that the old row can
// go; smaller packs are left alone, and so are those with messages that are not at hand.
const (
	repackBelow = 4
	repackFrom  = 16
)

// packMessages bounds a pack, since each cut that finishes some of its messages writes the numbers of all that are finished.
const packMessages = 1024

func (m *Machine) finishInPack(msg *message) {
	p := msg.pack
	at, found := slices.BinarySearch(p.finished, msg.number)
	if !found {
		p.finished = slices.Insert(p.finished, at, msg.number)
	}
	if !p.dirty {
		p.dirty = true
		m.dirtyPacks = append(m.dirtyPacks, p)
	}
	m.effect(false)
}

// cutPacks writes what is finished in older packs, and one new pack with what has nothing else to live on.
func (m *Machine) cutPacks(c *statestore.Commit) {
	for _, p := range m.dirtyPacks {
		p.dirty = false
		live := p.total - len(p.finished)
		if p.strange == 0 && p.total >= repackFrom && live*repackBelow <= p.total {
			for _, msg := range p.messages {
				if !msg.finished && msg.pack == p {
					msg.pack = nil
					m.unkept = append(m.unkept, msg)
				}
			}
			live = 0
		}
		mark := statestore.PackMark{Number: p.number, Remove: live == 0}
		if !mark.Remove {
			mark.Finished = slices.Clone(p.finished)
		}
		c.PackMarks = append(c.PackMarks, mark)
	}
	m.dirtyPacks = m.dirtyPacks[:0]

	live := m.unkept[:0]
	for _, msg := range m.unkept {
		if !msg.finished && msg.pack == nil && !msg.spilled && msg.source == nil {
			live = append(live, msg)
		}
	}
	slices.SortFunc(live, func(a, b *message) int { return compare(a.number, b.number) })
	live = slices.Compact(live)
	for start := 0; start < len(live); {
		end, bytes := start, 0
		for end < len(live) && end-start < packMessages && (end == start || bytes < packBytes) {
			bytes += live[end].size
			end++
		}
		c.Packs = append(c.Packs, m.newPack(live[start:end]))
		start = end
	}
	clear(m.unkept)
	m.unkept = m.unkept[:0]
}

func (m *Machine) newPack(messages []*message) statestore.Pack {
	p := &pack{number: messages[0].number, total: len(messages), messages: slices.Clone(messages)}
	out := statestore.Pack{Number: p.number, Messages: make([]statestore.Mail, len(messages))}
	for i, msg := range messages {
		msg.pack = p
		out.Messages[i] = statestore.Mail{Number: msg.number, Message: msg.Message}
	}
	return out
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
