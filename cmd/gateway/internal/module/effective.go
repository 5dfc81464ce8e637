package module

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// Item is a component of the module with all that counts for it, for people.
type Item struct {
	Kind     string // endpoint, ingress or egress
	ID       string // of an endpoint: the functions that it serves
	Place    Place
	Settings []Setting
}

// Setting is one thing that a component can be told, whether the module says it or not.
type Setting struct {
	// Path is its name as the file has it, such as transport.call. An item of a list is named by what it is about: topics[orders].valueType.
	Path string
	// Value is what counts, as the file would say it; *** in the place of what may be a secret.
	Value string
	// From says where it comes from: "default", or FILE:LINE and the placeholders that stand there.
	From string

	hidden string // what *** stands for
}

// Effective is every endpoint, ingress and egress, in the order of the files, with each of its settings. Secrets are in none of them. The
// slices are the module's.
func (m *Module) Effective() []Item { return m.items }

const byDefault = "default"

// lister gathers the settings of one component while its part of the file is at hand.
type lister struct {
	p    *parser
	item Item
}

func (p *parser) list(kind, id string, at Place, full string) *lister {
	l := &lister{p: p, item: Item{Kind: kind, ID: id, Place: at}}
	l.add("kind", full, nil)
	l.item.Settings[0].From = fileLine(at)
	return l
}

func (l *lister) done() { l.p.module.items = append(l.p.module.items, l.item) }

// add adds a setting that n says, or nobody.
func (l *lister) add(path, value string, n *yaml.Node) {
	s := Setting{Path: path, Value: strings.ToValidUTF8(value, "\ufffd"), From: l.p.from(n)}
	if len(s.Value) > valueShownMax {
		s.Value, s.hidden = strings.ToValidUTF8(s.Value[:valueShownMax], "")+"...", s.Value
	}
	l.item.Settings = append(l.item.Settings, s)
}

// valueShownMax bounds what is shown of one value, such as a list of targets.
const valueShownMax = 4 << 10

// amount is add for a number, a duration or a size, which a variable that is set to nothing leaves at its default.
func (l *lister) amount(path, value string, n *yaml.Node) {
	l.add(path, value, n)
	if n != nil && l.p.emptied(n) {
		l.last().From = byDefault + ", for " + l.last().From + " is nothing"
	}
}

// hide adds a setting whose value nobody sees; "" is shown, there is nothing to be hidden in it.
func (l *lister) hide(path, value string, n *yaml.Node) {
	l.add(path, value, n)
	if value != "" {
		l.last().Value, l.last().hidden = hidden, value
	}
}

func (l *lister) last() *Setting { return &l.item.Settings[len(l.item.Settings)-1] }

// from says where the value of a node comes from.
func (p *parser) from(n *yaml.Node) string {
	if n == nil {
		return byDefault
	}
	text := fileLine(p.place(n))
	if p.unused[n] {
		return byDefault + ", for " + text + " cannot be used"
	}
	for _, v := range p.placeholdersOf(n) {
		source := "environment"
		if v.byDefault {
			source = "its default"
		}
		text += fmt.Sprintf(", placeholder %s (%s)", v.name, source)
	}
	return text
}

// placeholdersShownMax bounds how many placeholders of one value are named.
const placeholdersShownMax = 8

// placeholdersOf are those of a value, or of the values of a list, each once.
func (p *parser) placeholdersOf(n *yaml.Node) (out []variable) {
	add := func(n *yaml.Node) {
		for _, v := range p.variables[n] {
			if len(out) == placeholdersShownMax {
				return
			}
			if !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	add(n)
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			add(item)
		}
	}
	return out
}

func fileLine(at Place) string { return at.File + ":" + strconv.Itoa(at.Line) }

// child is the value of a key of a map, the last one as everywhere; nil when there is no map, no such key, or no value.
func child(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		var found *yaml.Node
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; key.Kind == yaml.ScalarNode && key.Value == name {
				found = n.Content[i+1]
			}
		}
		if found == nil || isNull(found) {
			return nil
		}
		n = found
	}
	return n
}

// spot is where something stands in the file that is read.
type spot struct{ line, column int }

func spotOf(at Place) spot { return spot{at.Line, at.Column} }

// itemsAt are the items of a list by where they stand, or where the value of a key of theirs stands.
func itemsAt(list *yaml.Node, names ...string) map[spot]*yaml.Node {
	out := map[spot]*yaml.Node{}
	if list == nil || list.Kind != yaml.SequenceNode {
		return out
	}
	for _, item := range list.Content {
		if at := child(item, names...); at != nil {
			out[spot{at.Line, at.Column}] = item
		}
	}
	return out
}

// inWords is a duration as a module writes it; zero says what that means.
func inWords(d time.Duration, zero string) string {
	if d == 0 {
		return zero
	}
	for _, u := range []struct {
		name string
		is   time.Duration
	}{{"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}} {
		if d%u.is == 0 {
			return strconv.FormatInt(int64(d/u.is), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// numberOr is a number, or words for none.
func numberOr[T int | int64](n T, zero string) string {
	if n == 0 {
		return zero
	}
	return strconv.FormatInt(int64(n), 10)
}

func bytesInWords(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n > 0 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10) + "B"
}

func functionList(targets []api.FunctionType) string {
	if len(targets) == 0 {
		return ""
	}
	return joinTargets(targets)
}

// under makes paths of the names below one.
func under(prefix string) func(name string) string {
	return func(name string) string { return prefix + "." + name }
}
