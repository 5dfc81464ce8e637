package module

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// complaintsMax bounds what one application can bring up. A hostile file could otherwise be answered with millions of lines.
const complaintsMax = 1000

// Severity says whether a module with this complaint can be used.
type Severity int

const (
	Error   Severity = iota // the module cannot be used
	Warning                 // it can, but probably not as its author meant
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Place is where something stands in a file; lines and columns count from 1.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Complaint is one thing that is wrong in a module file. It shows no value that came from the environment and none of a
// key that holds a secret.
type Complaint struct {
	File         string
	Line, Column int
	Severity     Severity
	Text         string // what is wrong, what is allowed
}

// String is "file:line:column: text"; the text of a warning begins with "warning: ".
func (c Complaint) String() string {
	prefix := ""
	if c.Severity == Warning {
		prefix = "warning: "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", c.File, c.Line, c.Column, prefix, c.Text)
}

// Complaints are all complaints of one application, sorted by file and place. Where they are more than a thousand the last one says how many are
// left out.
type Complaints []Complaint

// Errors are those with which the module cannot be used.
func (cs Complaints) Errors() Complaints { return cs.of(Error) }

// Warnings are those with which it can.
func (cs Complaints) Warnings() Complaints { return cs.of(Warning) }

// HasErrors reports whether the module cannot be used.
func (cs Complaints) HasErrors() bool {
	return slices.ContainsFunc(cs, func(c Complaint) bool { return c.Severity == Error })
}

// String is a line for each complaint.
func (cs Complaints) String() string {
	var b strings.Builder
	for _, c := range cs {
		b.WriteString(c.String())
		b.WriteByte('\n')
	}
	return b.String()
}

func (cs Complaints) of(s Severity) Complaints {
	var out Complaints
	for _, c := range cs {
		if c.Severity == s {
			out = append(out, c)
		}
	}
	return out
}

// ordered sorts by place, removes what is said twice (an anchored node is read once for each alias) and cuts what is too
// much, warnings first. A note at the end says how much that is.
func (cs Complaints) ordered() Complaints {
	cs.Sort()
	cs = slices.Compact(cs)
	if len(cs) <= complaintsMax {
		return cs
	}
	all := append(cs.Errors(), cs.Warnings()...)
	kept, cut := all[:complaintsMax:complaintsMax], all[complaintsMax:]
	note := cut[0]
	note.Text = fmt.Sprintf("%d more complaints, here and elsewhere, are left out", len(cut))
	kept.Sort()
	return append(kept, note)
}

// Sort brings complaints into the order of their places.
func (cs Complaints) Sort() {
	slices.SortStableFunc(cs, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Text, b.Text))
	})
}
