package module

import (
	"fmt"
	"slices"
	"strconv"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
)

const (
	nodesMax = 1_000_000 // of one file
	depthMax = 100       // of maps and lists within each other
	itemsMax = 1_000_000 // of all lists, each counted once for each alias that leads to it

	searchedMax = 100_000 // values that stand where the text of a property should
)

// parser gathers a module and all that is wrong with it, file after file.
type parser struct {
	file         string // that is read now
	placeholders placeholders
	source       map[*yaml.Node]string // what the file says where placeholders were replaced; what is shown instead of the value
	unresolved   map[*yaml.Node]bool   // where one could not be: whatever else is wrong there follows from it
	variables    map[*yaml.Node][]variable
	unused       map[*yaml.Node]bool // values that are wrong, in the place of which the default counts
	kind         string              // of the component that is read now
	nodes, items int                 // of the file
	searched     int                 // of the file; see searchedMax
	complaints   Complaints

	module               Module
	bound                map[string]Place // by "ingress ns/name", "egress ns/name", "endpoint ns/name"
	anIngress, anyServed bool             // whether there is one at all, good or not
}

func (p *parser) complain(at *yaml.Node, s Severity, format string, args ...any) {
	if p.unresolved[at] {
		return
	}
	p.complainAt(p.place(at), s, format, args...)
}

// complainAt is for what comes to light when the file is no longer read.
func (p *parser) complainAt(at Place, s Severity, format string, args ...any) {
	p.complaints = append(p.complaints, Complaint{File: at.File, Line: max(at.Line, 1), Column: max(at.Column, 1), Severity: s, Text: fmt.Sprintf(format, args...)})
}

func (p *parser) place(n *yaml.Node) Place {
	return Place{File: p.file, Line: n.Line, Column: n.Column}
}

// prepare replaces the placeholders and the aliases below n. Keys of maps have no placeholders.
//
// StateFun reads an alias as the text of its name, for its YAML reader knows no anchors; almost nothing that a module says
// so can be meant. Here an alias is what it is in YAML, and a warning says that the two differ. Merge keys (<<) are keys
// that nobody knows, in both.
func (p *parser) prepare(n *yaml.Node, depth int) bool {
	if p.nodes++; p.nodes > nodesMax {
		p.complain(n, Error, "the file has more than %d values", nodesMax)
		return false
	}
	if depth > depthMax {
		p.complain(n, Error, "maps and lists are nested deeper than %d", depthMax)
		return false
	}
	for i, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			p.complain(c, Warning, "alias *%s is resolved, but StateFun reads it as the text %s", c.Value, quote(c.Value))
			target := *c.Alias
			target.Line, target.Column = c.Line, c.Column
			if source, ok := p.source[c.Alias]; ok {
				p.source[&target], p.variables[&target] = source, p.variables[c.Alias]
			}
			if p.unresolved[c.Alias] {
				p.unresolved[&target] = true
			}
			n.Content[i] = &target
			continue
		}
		if isKey := n.Kind == yaml.MappingNode && i%2 == 0; isKey {
			continue
		}
		if !p.prepare(c, depth+1) {
			return false
		}
	}
	if n.Kind == yaml.ScalarNode {
		p.substitute(n)
	}
	return true
}

func (p *parser) substitute(n *yaml.Node) {
	value, replaced, err := p.placeholders.expand(n.Value)
	if !replaced {
		return
	}
	p.source[n], p.variables[n] = n.Value, p.placeholders.used
	if err != nil {
		p.complain(n, Error, "%v", err)
		p.unresolved[n] = true
		return
	}
	n.Value = value
	if n.Style != 0 {
		return
	}
	n.Tag = "" // so that its type is found anew, as for plain text: a number is one
	if isNull(n) {
		n.Tag = "!!str" // but what is written is never taken for what is not, or less than was asked for would do
	}
}

// emptied reports whether there is nothing in a plain scalar because its placeholders yielded nothing.
func (p *parser) emptied(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Value == "" && p.source[n] != ""
}

// describe names a node for a complaint: a scalar by its text in the file, never by what a variable brought in.
func (p *parser) describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case p.source[n] != "":
		return "what " + quote(withoutDefaults(p.source[n])) + " stands for"
	case isNull(n):
		return "nothing"
	}
	return quote(n.Value)
}

// quote shows text from a file: cut where it is long, and without the user and password of an URL.
func quote(s string) string {
	return strconv.Quote(cut(redact(s)))
}

func cut(s string) string {
	const shown = 80
	if len(s) > shown {
		return s[:shown] + "..."
	}
	return s
}

// isNull reports whether a node says nothing.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// object is a map that is being read. What is asked for by name is known; close complains of the rest.
type object struct {
	p      *parser
	node   *yaml.Node
	what   string   // as complaints name it: "the spec", "transport" ...
	wrong  Severity // of a value that cannot be used. Warning where StateFun would find out only when it first calls a function
	hides  bool     // its values are shown in no complaint: a secret may have slipped into a wrong one
	ours   bool     // a kind of ours: unknown and repeated keys are errors
	kafka  bool     // a spec with properties of Kafka: what of it is left out must hold none that concerns security
	fields map[string]field
	keys   []field // as they stand in the file, the last of each name
	known  []string
	told   map[string]bool // unknown ones that are complained of already
}

type field struct {
	name       string
	key, value *yaml.Node
}

// object reads n as a map; nil if it is none.
func (p *parser) object(n *yaml.Node, what string, wrong Severity) *object {
	if n.Kind != yaml.MappingNode {
		instead := ""
		if wrong == Warning {
			instead = "; it is left out, StateFun would fail at the first call"
		}
		p.complain(n, wrong, "%s: want a map, got %s%s", what, p.describe(n), instead)
		return nil
	}
	o := &object{p: p, node: n, what: what, wrong: wrong, fields: map[string]field{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := key.Value
		if key.Kind != yaml.ScalarNode {
			name = p.describe(key) + " as a key"
		}
		o.fields[name] = field{name, key, value}
		o.keys = append(o.keys, o.fields[name])
	}
	return o
}

// take is the value of a key, or nil when it is absent or says nothing.
func (o *object) take(name string) *yaml.Node {
	o.knows(name)
	if f, ok := o.fields[name]; ok && !isNull(f.value) {
		return f.value
	}
	return nil
}

// need is the value of a key that must be there; nil after a complaint.
func (o *object) need(name string) *yaml.Node {
	n := o.take(name)
	if n == nil {
		if f, ok := o.fields[name]; ok {
			o.p.complain(f.key, o.wrong, "%s of %s has no value", name, o.what)
		} else {
			o.p.complain(o.node, o.wrong, "%s has no %s, which is required%s", o.what, name, o.misspelt(name))
		}
	}
	return n
}

// misspelt finds a key in the file that may be the one that is missing.
func (o *object) misspelt(name string) string {
	var others []string
	for _, f := range o.keys {
		others = append(others, f.name)
	}
	if near := nearest.Word(name, others); near != "" && near != name {
		return fmt.Sprintf(" (it has %s)", quoteKey(near))
	}
	return ""
}

// has reports whether a key is written with a value.
func (o *object) has(name string) bool {
	f, ok := o.fields[name]
	return ok && !isNull(f.value)
}

// written reports whether a key is there, with a value or without.
func (o *object) written(name string) bool {
	_, ok := o.fields[name]
	return ok
}

// shown is an unknown key behind a blank. One without a value between braces is not shown: it is mostly what stands behind a comma in a
// value without quotes, a password maybe.
func (o *object) shown(f field) string {
	if o.node.Style&yaml.FlowStyle != 0 && isNull(f.value) {
		return " without a value (it is not shown; a value with a comma wants quotes)"
	}
	return " " + quoteKey(f.name)
}

// ignored complains of keys that are known but mean nothing here.
func (o *object) ignored(why string, names ...string) {
	for _, name := range names {
		if f, ok := o.fields[name]; ok {
			o.p.complain(f.key, Warning, "%s has no meaning here: %s", name, why)
		}
	}
	o.knows(names...)
}

// knows makes keys known without reading them.
func (o *object) knows(names ...string) {
	for _, name := range names {
		if !slices.Contains(o.known, name) {
			o.known = append(o.known, name)
		}
	}
}

// close complains of keys that nobody asked for and of keys given twice. StateFun accepts both in silence.
func (o *object) close() {
	severity := Warning
	if o.ours {
		severity = Error
	}
	known := map[string]bool{}
	for _, name := range o.known {
		known[name] = true
	}
	first, before := map[string]*yaml.Node{}, map[string]field{}
	for _, f := range o.keys {
		switch at := first[f.name]; {
		case at != nil && o.kafka && o.p.leavesOutSecurity(before[f.name]):
			o.p.complain(f.key, Error, "key%s is given twice in %s (first in line %d), and what concerns security is never left out: write one list", o.shown(f), o.what, at.Line)
		case at != nil:
			o.p.complain(f.key, severity, "key%s is given twice in %s (first in line %d): the last one counts", o.shown(f), o.what, at.Line)
		case o.told[f.name]:
		case !known[f.name] && o.kafka && o.p.leavesOutSecurity(f):
			o.p.complain(f.key, Error, "unknown key%s in %s, and what concerns security is never left out: properties is the list that counts", o.shown(f), o.what)
		case !known[f.name]:
			o.p.complain(f.key, severity, "unknown key%s in %s: %s", o.shown(f), o.what, guess(f.name, o.known))
		}
		if first[f.name] == nil {
			first[f.name] = f.key
		}
		before[f.name] = f
	}
}
