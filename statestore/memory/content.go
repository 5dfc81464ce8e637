package memory

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// content is what a store keeps.
type content struct {
	next      uint64 // first message number that was never used
	progress  map[api.Source]statestore.Progress
	functions map[api.FunctionType]statestore.FunctionSpec
	states    map[api.Address]statestore.AddressState
	packs     map[uint64]statestore.Pack
	finished  map[uint64][]uint64
	mail      map[api.Address][]statestore.Mail
	timers    map[statestore.TimerKey]statestore.Timer
	lanes     map[statestore.LaneID]*lane
	dead      map[uint64]api.DeadLetter
	claims    map[string]bool             // tokens
	pauses    map[string]statestore.Pause // by key
	acts      map[uint64]statestore.Act
	lastAct   uint64
	notes     map[string]note
}

type note struct {
	data []byte
	at   int64
}

type lane struct {
	next    uint64
	started bool
	packs   []statestore.OutputPack // what is not trimmed, in order
}

func newContent() content {
	return content{
		next: 1, progress: map[api.Source]statestore.Progress{}, functions: map[api.FunctionType]statestore.FunctionSpec{},
		states: map[api.Address]statestore.AddressState{}, packs: map[uint64]statestore.Pack{}, finished: map[uint64][]uint64{},
		mail: map[api.Address][]statestore.Mail{}, timers: map[statestore.TimerKey]statestore.Timer{},
		lanes: map[statestore.LaneID]*lane{}, dead: map[uint64]api.DeadLetter{}, claims: map[string]bool{},
		pauses: map[string]statestore.Pause{}, acts: map[uint64]statestore.Act{}, notes: map[string]note{},
	}
}

// claim answers everything that a new owner must know.
func (k *content) claim() *statestore.Claim {
	c := &statestore.Claim{NextNumber: k.next, NextAct: k.lastAct + 1, Finished: map[uint64][]uint64{}}
	for _, s := range slices.SortedFunc(maps.Keys(k.progress), func(a, b api.Source) int { return bytes.Compare(statestore.SourceKey(a), statestore.SourceKey(b)) }) {
		p := k.progress[s]
		c.Progress = append(c.Progress, p.Clone())
	}
	for _, f := range slices.SortedFunc(maps.Keys(k.functions), compareFunctions) {
		c.Functions = append(c.Functions, cloneSpec(k.functions[f]))
	}
	for _, n := range slices.Sorted(maps.Keys(k.packs)) {
		p := clonePack(k.packs[n])
		p.Messages = slices.DeleteFunc(p.Messages, func(m statestore.Mail) bool { return slices.Contains(k.finished[n], m.Number) })
		c.Packs = append(c.Packs, p)
		if len(k.finished[n]) > 0 {
			c.Finished[n] = slices.Clone(k.finished[n])
		}
	}
	for id, l := range k.lanes {
		c.Lanes = append(c.Lanes, l.stored(id))
	}
	slices.SortFunc(c.Lanes, func(a, b statestore.Lane) int {
		return cmp.Or(cmp.Compare(a.Egress, b.Egress), cmp.Compare(a.Slot, b.Slot))
	})
	c.Spilled = k.spillTotals()
	c.Dead = k.deadTotals()
	for _, key := range slices.Sorted(maps.Keys(k.pauses)) {
		c.Pauses = append(c.Pauses, k.pauses[key])
	}
	return c
}

func (l *lane) stored(id statestore.LaneID) statestore.Lane {
	s := statestore.Lane{LaneID: id, Next: l.next, Started: l.started, Low: l.next}
	for i, p := range l.packs {
		if i == 0 {
			s.Low = p.First
		}
		s.Bytes += packSize(p)
	}
	return s
}

func packSize(p statestore.OutputPack) (sum int64) {
	for i := range p.Outputs {
		sum += int64(p.Outputs[i].Size())
	}
	return sum
}

func (k *content) spillTotals() (totals []statestore.SpillTotal) {
	sums := map[api.FunctionType]*statestore.SpillTotal{}
	for a, messages := range k.mail {
		sum := sums[a.Type]
		if sum == nil {
			sum = &statestore.SpillTotal{Function: a.Type}
			sums[a.Type] = sum
		}
		for i := range messages {
			sum.Messages++
			sum.Bytes += int64(messages[i].Message.Size())
		}
	}
	for _, f := range slices.SortedFunc(maps.Keys(sums), compareFunctions) {
		totals = append(totals, *sums[f])
	}
	return totals
}

func compareFunctions(a, b api.FunctionType) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func (k *content) loaded(a api.Address) statestore.Loaded {
	l := k.mailbox(a)
	l.Values = cloneEach(k.states[a].Values, cloneValue)
	return l
}

func (k *content) mailbox(a api.Address) (l statestore.Loaded) {
	messages := k.mail[a]
	for i := range messages {
		l.Spilled++
		l.SpilledBytes += int64(messages[i].Message.Size())
	}
	if len(messages) > 0 {
		l.First, l.Last = messages[0].Number, messages[len(messages)-1].Number
	}
	return l
}

func (k *content) mailFrom(a api.Address, from uint64, bytesMax int) (found []statestore.Mail) {
	sum := 0
	for _, m := range k.mail[a] {
		if m.Number < from {
			continue
		}
		if sum > bytesMax {
			break
		}
		sum += m.Message.Size()
		found = append(found, cloneMail(m))
	}
	return found
}

func (k *content) spilledAddresses(f api.FunctionType, cursor []byte, limit int) (found []api.Address, next []byte) {
	for a := range k.mail {
		if a.Type == f && bytes.Compare(statestore.AddressKey(a), cursor) > 0 {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b api.Address) int { return bytes.Compare(statestore.AddressKey(a), statestore.AddressKey(b)) })
	if len(found) > limit {
		found = found[:limit]
		if limit > 0 {
			next = statestore.AddressKey(found[limit-1])
		}
	}
	return found, next
}

// addresses looks at everything, and so may take long.
func (k *content) addresses(f api.FunctionType, prefix string, cursor []byte, limit int) (found []api.Address, next []byte, err error) {
	if limit <= 0 {
		return nil, nil, nil
	}
	p := statestore.NewAddressPage(f, prefix, cursor, limit)
	whose := map[string]api.Address{}
	add := func(a api.Address) {
		if a.Type != f || !strings.HasPrefix(a.ID, prefix) {
			return
		}
		if key := statestore.AddressKey(a); bytes.Compare(key, p.Span.Low) >= 0 {
			whose[string(key)] = a
		}
	}
	for a := range k.states {
		add(a)
	}
	for a := range k.mail {
		add(a)
	}
	var keys [][]byte
	for _, key := range slices.Sorted(maps.Keys(whose)) {
		keys = append(keys, []byte(key))
	}
	return p.Answer([][][]byte{keys[:min(len(keys), p.Limit)]}, func(key []byte) (api.Address, bool, error) { return whose[string(key)], true, nil })
}

func compareTimers(a, b statestore.TimerKey) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Number, b.Number))
}

func (k *content) timersBetween(after statestore.TimerKey, dueMS int64, limit int) (found []statestore.Timer) {
	for key, t := range k.timers {
		if compareTimers(key, after) > 0 && key.Due < dueMS {
			found = append(found, cloneTimer(t))
		}
	}
	slices.SortFunc(found, func(a, b statestore.Timer) int { return compareTimers(a.TimerKey, b.TimerKey) })
	return found[:min(len(found), max(limit, 0))]
}

func (k *content) expired(ms int64, limit int) (found []api.Address) {
	var rows []statestore.AddressState
	for _, s := range k.states {
		if s.Expires != 0 && s.Expires < ms {
			rows = append(rows, s)
		}
	}
	slices.SortFunc(rows, func(a, b statestore.AddressState) int {
		return cmp.Or(cmp.Compare(a.Expires, b.Expires), bytes.Compare(statestore.AddressKey(a.Address), statestore.AddressKey(b.Address)))
	})
	for _, r := range rows[:min(len(rows), max(limit, 0))] {
		found = append(found, r.Address)
	}
	return found
}

func (k *content) outputsFrom(id statestore.LaneID, from uint64, bytesMax int) (found []statestore.OutputPack) {
	l := k.lanes[id]
	if l == nil {
		return nil
	}
	sum := int64(0)
	for _, p := range l.packs {
		if p.First+uint64(len(p.Outputs)) <= from {
			continue
		}
		if sum > int64(bytesMax) {
			break
		}
		sum += packSize(p)
		found = append(found, cloneOutputs(p))
	}
	return found
}

func (k *content) deadTotals() (totals []statestore.DeadTotal) {
	sums := map[string]statestore.DeadTotal{}
	for n := range k.dead {
		d := k.dead[n]
		t := sums[d.Origin]
		sums[d.Origin] = statestore.DeadTotal{Origin: d.Origin, Letters: t.Letters + 1, Bytes: t.Bytes + int64(d.Size())}
	}
	for _, origin := range slices.Sorted(maps.Keys(sums)) {
		totals = append(totals, sums[origin])
	}
	return totals
}

func (k *content) deadAfter(after uint64, limit int) (found []api.DeadLetter) {
	sum := 0
	for _, n := range slices.Sorted(maps.Keys(k.dead)) {
		if n <= after {
			continue
		}
		d := k.dead[n]
		sum += d.Size()
		if len(found) >= limit || len(found) > 0 && sum > statestore.DeadPageBytes {
			break
		}
		found = append(found, cloneDead(d))
	}
	return found
}

func (k *content) actsBefore(before uint64, limit int) (found []statestore.Act) {
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(k.acts))) {
		if (before == 0 || n < before) && len(found) < limit {
			found = append(found, k.acts[n])
		}
	}
	return found
}
