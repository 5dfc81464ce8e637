package machine

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Edits: an operator changes one state of an address, as a call of its function would. An edit takes its turn among the calls: while one
// is out, which was built before it and whose reply would undo it, it waits, and the next one begins with it.

// Edit is what an operator makes of one state of an address.
type Edit struct {
	State  string
	Delete bool
	Value  api.TypedValue // when it is not deleted
	If     *string        // nil: whatever is there; "": only if it is not set; else only if what is set has this version (statestore.Version)
}

// Edited is what has become of an edit.
type Edited struct {
	Token   uint64
	Outcome EditOutcome
	Version string // of what is set now; "" when nothing is
	Detail  string // why it is refused
}

// EditOutcome says whether an edit took place.
type EditOutcome uint8

const (
	EditDone    EditOutcome = iota
	EditChanged             // the state is not as the edit wants it to be
	EditNothing             // what is to be deleted is not set
	EditRefused             // the function has not declared such a state, or it would be too large
	EditCrowded             // too many edits wait for their turn
)

// edit waits for its turn.
type edit struct {
	Edit
	by    string
	token uint64
}

// editsMax and editBytesMax bound the edits that wait for their turn, of all addresses. One may always wait.
const (
	editsMax     = 100
	editBytesMax = api.ValueBytesMax
)

// EditState tells that an operator changes a state. What came of it is in Work.Edited under the token.
func (m *Machine) EditState(a api.Address, e Edit, by string, token uint64) {
	refuse := func(format string, args ...any) {
		m.work.Edited = append(m.work.Edited, Edited{Token: token, Outcome: EditRefused, Detail: fmt.Sprintf(format, args...)})
	}
	if err := api.CheckAddress(a); err != nil {
		refuse("%v", err)
		return
	}
	f := m.functions[a.Type] // one that nobody has heard of has declared nothing; names of requests do not gather
	if f == nil || f.spec(e.State) == nil || a.Type == OnceType {
		refuse("function %s has not declared a state %q", a.Type, cutText(e.State))
		return
	}
	if m.edits > 0 && (m.edits >= editsMax || m.editBytes+len(e.Value.Value) > editBytesMax) {
		m.work.Edited = append(m.work.Edited, Edited{Token: token, Outcome: EditCrowded})
		return
	}
	c := m.cell(a)
	if len(c.edits) == 0 {
		c.pins++ // until they are made
		m.editing = append(m.editing, c)
	}
	c.edits = append(c.edits, &edit{e, by, token})
	m.edits++
	m.editBytes += len(e.Value.Value)
}

// WithdrawEdit takes back an edit that waits for its turn. When it does not wait any more the answer is no.
func (m *Machine) WithdrawEdit(a api.Address, token uint64) bool {
	c := m.cells[a]
	if c == nil {
		return false
	}
	at := slices.IndexFunc(c.edits, func(e *edit) bool { return e.token == token })
	if at < 0 {
		return false
	}
	m.countEdit(c.edits[at])
	c.edits = slices.Delete(c.edits, at, at+1) // who has none left is settled with the others
	return true
}

func (m *Machine) countEdit(e *edit) {
	m.edits--
	m.editBytes -= len(e.Value.Value)
}

// takeEdits makes the edits whose turn it is, unless too much is uncommitted. When that can be committed now, they come behind it, and before
// the calls for which it makes room: else those would be ahead of them again and again.
func (m *Machine) takeEdits() {
	if len(m.editing) == 0 {
		return
	}
	if m.saturated() && m.commitDue() {
		m.cutNow()
	}
	if !m.saturated() {
		m.runEdits()
	}
}

func (m *Machine) runEdits() {
	waiting := m.editing
	m.editing = nil
	for _, c := range waiting {
		if c.phase == loading || c.phase == calling {
			m.editing = append(m.editing, c)
			continue
		}
		for _, e := range c.edits {
			m.countEdit(e)
			if done := m.edit(c, e); done.Outcome == EditDone {
				m.edited = append(m.edited, done)
			} else {
				m.work.Edited = append(m.work.Edited, done)
			}
		}
		c.edits = nil
		c.pins--
		m.settle(c)
	}
}

// edit compares and sets.
func (m *Machine) edit(c *cell, e *edit) Edited {
	m.expire(c)
	before := c.version(e.State)
	out := Edited{Token: e.token, Version: before}
	switch {
	case e.If != nil && *e.If != before:
		out.Outcome = EditChanged
		return out
	case e.Delete && before == "":
		out.Outcome = EditNothing
		return out
	}
	change := []Mutation{{Name: e.State, Delete: e.Delete, Value: e.Value}}
	if err := checkMutations(c, change); err != nil {
		out.Outcome, out.Detail = EditRefused, "the edit "+err.Error()
		return out
	}
	m.mutate(c, change, 0) // no call was built: what counts from calls goes on counting
	out.Version = c.version(e.State)
	what, detail := "set state", fmt.Sprintf("%d bytes of %s, version %s", len(e.Value.Value), e.Value.TypeName, out.Version)
	if e.Delete {
		what, detail = "delete state", "nothing is set"
	}
	if before != "" {
		detail += ", was " + before
	}
	m.act(e.by, what, fmt.Sprintf("%s of %s/%s", e.State, c.address.Type, c.address.ID), detail)
	return out
}

// version is of a state as it is set, "" when it is not.
func (c *cell) version(state string) string {
	at, set := findValue(c.values, state)
	if !set {
		return ""
	}
	return statestore.Version(c.values[at].TypeName, c.values[at].Value)
}
