package memory

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// commit checks everything before it changes anything, so a commit that is refused leaves nothing.
func (sh *shared) commit(c *statestore.Commit) error {
	m, err := sh.fenced(c.Fence)
	if err != nil {
		return fmt.Errorf("commit %d: %w", c.Number, err)
	}
	if c.Number != m.commit+1 {
		return fmt.Errorf("commit %d: the store's last commit of this member is %d", c.Number, m.commit)
	}
	if err := sh.content.checkOutputs(c.Outputs); err != nil {
		return fmt.Errorf("commit %d: %w", c.Number, err)
	}
	for i, a := range c.Acts {
		if _, there := sh.content.acts[a.Number]; there || i > 0 && a.Number == c.Acts[i-1].Number {
			return fmt.Errorf("commit %d: there is an act %d already", c.Number, a.Number)
		}
	}
	m.commit = c.Number
	m.until = sh.now().Add(sh.lease)
	sh.content.apply(cloneCommit(c))
	return nil
}

// checkOutputs refuses outputs that do not continue their lane.
func (k *content) checkOutputs(packs []statestore.OutputPack) error {
	next := map[statestore.LaneID]uint64{}
	for _, p := range packs {
		want, seen := next[p.Lane]
		if l := k.lanes[p.Lane]; !seen && l != nil {
			want, seen = l.next, true
		}
		if !seen || p.First != want {
			return fmt.Errorf("outputs of lane %s/%d begin at %d, the lane's next is %d", p.Lane.Egress, p.Lane.Slot, p.First, want)
		}
		next[p.Lane] = want + uint64(len(p.Outputs))
	}
	return nil
}

// apply takes a commit's parts in their order. The content keeps c's slices.
func (k *content) apply(c *statestore.Commit) {
	k.next = max(k.next, c.NextNumber)
	for _, p := range c.Progress {
		k.progress[p.Source] = p
	}
	for _, f := range c.Functions {
		k.functions[f.Function] = f
	}
	for _, s := range c.States {
		k.setState(s)
	}
	for _, m := range c.PackMarks {
		k.mark(m)
	}
	for _, p := range c.Packs {
		k.packs[p.Number] = p
	}
	for _, t := range c.MailTrims {
		k.mail[t.Address] = slices.DeleteFunc(k.mail[t.Address], func(m statestore.Mail) bool { return m.Number < t.Below })
		if len(k.mail[t.Address]) == 0 {
			delete(k.mail, t.Address)
		}
	}
	for _, chunk := range c.Mail {
		if len(chunk.Messages) > 0 {
			k.mail[chunk.Address] = append(k.mail[chunk.Address], chunk.Messages...)
		}
	}
	k.applyTimers(c)
	k.applyLanes(c)
	for _, d := range c.DeadLetters {
		k.dead[d.Number] = d
	}
	for _, n := range c.DeadEnds {
		delete(k.dead, n)
	}
	k.applyOperator(c)
}

// applyOperator takes what operators have done.
func (k *content) applyOperator(c *statestore.Commit) {
	for i := range c.Pauses {
		p := &c.Pauses[i]
		if key := string(statestore.PauseKey(p)); p.Ended {
			delete(k.pauses, key)
		} else {
			k.pauses[key] = *p
		}
	}
	for _, s := range c.ProgressEnds {
		delete(k.progress, s)
	}
	for _, a := range c.Acts {
		k.acts[a.Number] = a
		k.lastAct = max(k.lastAct, a.Number)
	}
	maps.DeleteFunc(k.acts, func(n uint64, _ statestore.Act) bool { return n+statestore.ActsKept <= k.lastAct })
}

// setState keeps the old value of a state that did not change: that is what other stores do with large ones.
func (k *content) setState(s statestore.AddressState) {
	if len(s.Values) == 0 {
		delete(k.states, s.Address)
		return
	}
	before := k.states[s.Address]
	for i := range s.Values {
		v := &s.Values[i]
		for j := range before.Values {
			if !v.Changed && v.Apart() && before.Values[j].Name == v.Name {
				v.Value = before.Values[j].Value
			}
		}
		v.Changed = false
	}
	k.states[s.Address] = s
}

func (k *content) mark(m statestore.PackMark) {
	if m.Remove {
		delete(k.packs, m.Number)
		delete(k.finished, m.Number)
		return
	}
	k.finished[m.Number] = m.Finished
}

func (k *content) applyTimers(c *statestore.Commit) {
	for _, end := range c.TimerEnds {
		delete(k.timers, end)
	}
	for _, cancel := range c.Cancels {
		for key, t := range k.timers {
			if t.Token != "" && t.Token == cancel.Token && t.Message.Caller.ID == cancel.SenderID && t.Number < cancel.Below {
				delete(k.timers, key)
			}
		}
	}
	for _, t := range c.Timers {
		k.timers[t.TimerKey] = t
	}
}

func (k *content) applyLanes(c *statestore.Commit) {
	for _, p := range c.Outputs {
		l := k.lanes[p.Lane]
		l.next = p.First + uint64(len(p.Outputs))
		if len(p.Outputs) > 0 {
			p.Refused = nil
			l.packs = append(l.packs, p)
		}
	}
	for _, id := range c.LaneStarts {
		k.ensureLane(id).started = true
	}
	for _, t := range c.Trims {
		if l := k.lanes[t.Lane]; l != nil {
			l.packs = slices.DeleteFunc(l.packs, func(p statestore.OutputPack) bool { return p.First+uint64(len(p.Outputs)) <= t.Below })
		}
	}
	for _, r := range c.Refusals {
		k.refuse(r)
	}
}

func (k *content) refuse(r statestore.Refusal) {
	l := k.lanes[r.Lane]
	if l == nil {
		return
	}
	for i := range l.packs {
		p := &l.packs[i]
		if r.Number < p.First || r.Number >= p.First+uint64(len(p.Outputs)) {
			continue
		}
		if at, found := slices.BinarySearch(p.Refused, r.Number); !found {
			p.Refused = slices.Insert(p.Refused, at, r.Number)
		}
	}
}

func (k *content) ensureLane(id statestore.LaneID) *lane {
	l := k.lanes[id]
	if l == nil {
		l = &lane{next: 1}
		k.lanes[id] = l
	}
	return l
}

// cloneCommit copies everything that a commit refers to.
func cloneCommit(c *statestore.Commit) *statestore.Commit {
	d := *c
	d.Progress = cloneEach(c.Progress, func(p statestore.Progress) statestore.Progress { return p.Clone() })
	d.Functions = cloneEach(c.Functions, cloneSpec)
	d.States = cloneEach(c.States, func(s statestore.AddressState) statestore.AddressState {
		s.Values = cloneEach(s.Values, cloneValue)
		return s
	})
	d.PackMarks = cloneEach(c.PackMarks, func(m statestore.PackMark) statestore.PackMark {
		m.Finished = slices.Clone(m.Finished)
		return m
	})
	d.Packs = cloneEach(c.Packs, clonePack)
	d.MailTrims = slices.Clone(c.MailTrims)
	d.Mail = cloneEach(c.Mail, func(m statestore.MailChunk) statestore.MailChunk {
		m.Messages = cloneEach(m.Messages, cloneMail)
		return m
	})
	d.TimerEnds, d.Cancels = slices.Clone(c.TimerEnds), slices.Clone(c.Cancels)
	d.Timers = cloneEach(c.Timers, cloneTimer)
	d.Outputs = cloneEach(c.Outputs, cloneOutputs)
	d.LaneStarts, d.Trims, d.Refusals = slices.Clone(c.LaneStarts), slices.Clone(c.Trims), slices.Clone(c.Refusals)
	d.DeadLetters, d.DeadEnds = cloneEach(c.DeadLetters, cloneDead), slices.Clone(c.DeadEnds)
	d.Pauses, d.ProgressEnds, d.Acts = slices.Clone(c.Pauses), slices.Clone(c.ProgressEnds), slices.Clone(c.Acts)
	return &d
}

func cloneEach[T any](all []T, one func(T) T) []T {
	if all == nil {
		return nil
	}
	out := make([]T, len(all))
	for i := range all {
		out[i] = one(all[i])
	}
	return out
}

func cloneSpec(f statestore.FunctionSpec) statestore.FunctionSpec {
	f.States = slices.Clone(f.States)
	return f
}

func cloneValue(v statestore.StateValue) statestore.StateValue {
	v.Value = slices.Clone(v.Value)
	return v
}

func cloneMail(m statestore.Mail) statestore.Mail {
	m.Message.Argument.Value = slices.Clone(m.Message.Argument.Value)
	return m
}

func clonePack(p statestore.Pack) statestore.Pack {
	p.Messages = cloneEach(p.Messages, cloneMail)
	return p
}

func cloneTimer(t statestore.Timer) statestore.Timer {
	t.Message.Argument.Value = slices.Clone(t.Message.Argument.Value)
	return t
}

func cloneOutputs(p statestore.OutputPack) statestore.OutputPack {
	p.Outputs = cloneEach(p.Outputs, func(o api.Output) api.Output {
		o.Value.Value = slices.Clone(o.Value.Value)
		return o
	})
	p.Refused = slices.Clone(p.Refused)
	return p
}

func cloneDead(d api.DeadLetter) api.DeadLetter {
	d.Key, d.Value = slices.Clone(d.Key), slices.Clone(d.Value)
	d.Headers = cloneEach(d.Headers, func(h api.Header) api.Header {
		h.Value = slices.Clone(h.Value)
		return h
	})
	return d
}
