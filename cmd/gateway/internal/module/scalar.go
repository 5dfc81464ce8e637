package module

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// scalarText is the text of a scalar as StateFun turns it into text: numbers lose their underscores, truth values are in
// small letters. What a variable brought in stays as it is: a password may look like a number.
func (p *parser) scalarText(n *yaml.Node) string {
	if p.source[n] != "" {
		return n.Value
	}
	switch n.ShortTag() {
	case "!!int":
		return strings.ReplaceAll(n.Value, "_", "")
	case "!!bool":
		return strings.ToLower(n.Value)
	}
	return n.Value
}

// textOf reads a node as text; ok is false after a complaint.
func (p *parser) textOf(n *yaml.Node, what string, wrong Severity) (text string, ok bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		p.complain(n, wrong, "%s: want text, got %s", what, p.describe(n))
		return "", false
	}
	return p.scalarText(n), true
}

// text is the value of an optional key, or def.
func (o *object) text(name, def string) string {
	if n := o.take(name); n != nil {
		if text, ok := o.p.textOf(n, name, o.wrong); ok {
			return text
		}
	}
	return def
}

// needText is the value of a required key, "" after a complaint.
func (o *object) needText(name string) string {
	n := o.need(name)
	if n == nil {
		return ""
	}
	text, ok := o.p.textOf(n, name, o.wrong)
	if ok && text == "" {
		o.p.complain(n, o.wrong, "%s of %s is empty", name, o.what)
	}
	return text
}

// typeName reads "namespace/name"; the zero value after a complaint.
func (p *parser) typeName(n *yaml.Node, what string) api.FunctionType {
	text, ok := p.textOf(n, what, Error)
	if !ok {
		return api.FunctionType{}
	}
	ft, err := api.ParseFunctionType(text)
	if err != nil {
		p.complain(n, Error, "%s: want namespace/name with exactly one slash, got %s", what, p.describe(n))
		return api.FunctionType{}
	}
	if len(ft.Namespace) > api.NameBytesMax || len(ft.Name) > api.NameBytesMax {
		p.complain(n, Error, "%s: namespace and name may have %d bytes each", what, api.NameBytesMax)
		return api.FunctionType{}
	}
	return ft
}

// needID reads the id of an ingress or egress, in its normal form "namespace/name"; "" after a complaint.
func (o *object) needID() (id string, at *yaml.Node) {
	n := o.need("id")
	if n == nil {
		return "", o.node
	}
	if ft := o.p.typeName(n, "id"); !ft.IsZero() {
		return ft.String(), n
	}
	return "", n
}

// takeAmount is take for a number, a duration or a size. A variable that is set to nothing leaves those at their defaults; text it
// makes empty, and where a map or a list is wanted it is wrong.
func (o *object) takeAmount(name string) *yaml.Node {
	if n := o.take(name); n != nil && !o.p.emptied(n) {
		return n
	}
	return nil
}

// decimal is what StateFun's YAML reader takes for an integer; octal and hexadecimal forms are text to it.
var decimal = regexp.MustCompile(`^[-+]?(0|[1-9][0-9_]*)$`)

// wholeNumber reads an integer. quoted says whether text that looks like one will do.
func (p *parser) wholeNumber(n *yaml.Node, quoted bool) (int64, bool) {
	if n.Kind != yaml.ScalarNode {
		return 0, false
	}
	if tag := n.ShortTag(); tag != "!!int" && !(quoted && tag == "!!str") {
		return 0, false
	}
	text := strings.TrimSpace(n.Value)
	if !decimal.MatchString(text) {
		return 0, false
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	return v, err == nil
}

// number is the value of an optional key between lo and hi, or def.
func (o *object) number(name string, def, lo, hi int64) int64 {
	n := o.takeAmount(name)
	if n == nil {
		return def
	}
	v, ok := o.p.wholeNumber(n, true)
	if !ok || v < lo || v > hi {
		o.p.complain(n, o.wrong, "%s: want an integer%s, got %s%s", name, interval(lo, hi), o.p.describe(n), o.insteadOf(strconv.FormatInt(def, 10)))
		o.p.unused[n] = true
		return def
	}
	return v
}

func interval(lo, hi int64) string {
	if lo == math.MinInt32 {
		return " of 32 bits"
	}
	return fmt.Sprintf(" from %d to %d", lo, hi)
}

// duration is the value of an optional key, or def. Zero is refused unless zeroAllowed.
func (o *object) duration(name string, def time.Duration, zeroAllowed bool) time.Duration {
	n := o.takeAmount(name)
	if n == nil {
		return def
	}
	if n.Kind != yaml.ScalarNode {
		o.p.complain(n, o.wrong, "%s: want a duration, got %s%s", name, o.p.describe(n), o.insteadOf(def.String()))
		o.p.unused[n] = true
		return def
	}
	text := o.p.scalarText(n)
	d, err := parseDuration(text)
	if err != nil {
		o.p.complain(n, o.wrong, "%s: %s is no duration: %v%s", name, o.p.describe(n), err, o.insteadOf(def.String()))
		o.p.unused[n] = true
		return def
	}
	if d == 0 && !zeroAllowed {
		o.p.complain(n, o.wrong, "%s: want a duration above zero%s", name, o.insteadOf(def.String()))
		o.p.unused[n] = true
		return def
	}
	return d
}

// insteadOf says what takes the place of a wrong value where that does not refuse the module.
func (o *object) insteadOf(def string) string {
	if o.wrong == Error {
		return ""
	}
	return "; " + def + " is used, StateFun would fail at the first call"
}

// list is the items of a key, nil if it is absent or after a complaint; required says whether absence is one.
func (o *object) list(name string, required bool) (items []*yaml.Node, ok bool) {
	n := o.take(name)
	if required {
		n = o.need(name)
	}
	if n == nil {
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		o.p.complain(n, o.wrong, "%s: want a list, got %s", name, o.p.describe(n))
		return nil, false
	}
	before := o.p.items
	if o.p.items += len(n.Content); o.p.items > itemsMax {
		if before <= itemsMax {
			o.p.complain(n, Error, "the lists of the file have more than %d items, each counted once for each alias", itemsMax)
		}
		return nil, false
	}
	return n.Content, true
}
