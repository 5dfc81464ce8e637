package module

import (
	"regexp"
	"strings"
	"unicode"

	yaml "go.yaml.in/yaml/v3"
)

// Property is one setting for a client library, with its value as text.
type Property struct {
	Key   string
	Value string // may be a secret: don't log it
	Place Place
}

// Properties stand in the order of the file, each key once.
type Properties []Property

// Value is the value of a key.
func (ps Properties) Value(key string) (string, bool) {
	for _, p := range ps {
		if p.Key == key {
			return p.Value, true
		}
	}
	return "", false
}

// Map is a copy as a map.
func (ps Properties) Map() map[string]string {
	m := make(map[string]string, len(ps))
	for _, p := range ps {
		m[p.Key] = p.Value
	}
	return m
}

// once keeps the last property of each key, where it stands.
func (ps Properties) once() Properties {
	last := make(map[string]int, len(ps))
	for i, p := range ps {
		last[p.Key] = i
	}
	var out Properties
	for i, p := range ps {
		if last[p.Key] == i {
			out = append(out, p)
		}
	}
	return out
}

// properties reads a list of maps of which only the first entry counts, as in StateFun. What of the others is left out is a warning, but
// an error where it concerns security: a connection would be less safe than was asked for. No value is shown, nor a key that may be a
// part of one.
func (o *object) properties(name string) Properties {
	if n := o.take(name); n != nil && n.Kind == yaml.ScalarNode {
		o.p.complain(n, o.wrong, "%s: want a list, got text", name) // not shown: it may be a secret
		return nil
	}
	var ps Properties
	seen := map[string]bool{}
	items, _ := o.list(name, false)
	for _, item := range items {
		key, value, ok := o.p.entry(item, name)
		if !ok {
			continue
		}
		o.p.others(item, name, true)
		if !o.p.usable(name, key, value) {
			continue
		}
		if seen[key.Value] {
			o.p.complain(key, Warning, "%s: %sis given twice: the last one counts", name, propertyName(key.Value))
		}
		seen[key.Value] = true
		ps = append(ps, Property{Key: key.Value, Value: o.p.scalarText(value), Place: o.p.place(key)})
	}
	return ps.once()
}

// usable complains of a value that is no text.
func (p *parser) usable(list string, key, value *yaml.Node) bool {
	severity, instead := Warning, " and is left out"
	if concernsSecurity(key.Value) || p.holdsSecurity(value.Content, value.Kind == yaml.MappingNode) {
		severity, instead = Error, ", and what concerns security is never left out"
	}
	switch {
	case isNull(value):
		hint := ""
		if severity == Warning {
			hint = "; StateFun would set the text null"
		}
		p.complain(key, severity, "%s: %shas no value%s%s", list, propertyName(key.Value), instead, hint)
		return false
	case value.Kind != yaml.ScalarNode:
		p.complain(value, severity, "%s: %swants text as value, got %s%s", list, propertyName(key.Value), p.describe(value), instead)
		return false
	case p.source[value] != "" && strings.TrimSpace(value.Value) == "" && lessWhenEmpty(key.Value):
		p.complain(value, Error, "%s: %sis %s, which is nothing, and that asks for less security than leaving it out, or for none: write \"\" if it is meant",
			list, propertyName(key.Value), p.describe(value))
		return false
	}
	return true
}

// lessWhenEmpty reports whether an empty value of a property is a choice that a variable which is set to nothing must not make: that host
// names are not verified, other authorities trusted, no proxy used. Of other properties it is wrong anyway, or harmless.
func lessWhenEmpty(name string) bool {
	name = flatName(name)
	return name == "ssl.endpoint.identification.algorithm" || strings.HasSuffix(name, "cacertpath") || strings.HasSuffix(name, "proxyhost")
}

// flatName is the name of a property whatever its case, its blanks and its underscores.
func flatName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-':
			return '.'
		case unicode.IsSpace(r) || !unicode.IsGraphic(r):
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	return strings.TrimPrefix(name, "properties.")
}

// concernsSecurity reports whether a property of Kafka, or of the clients of Kinesis, says how safe a connection is or whom it leads to.
// It is generous: a name in another spelling counts, too.
func concernsSecurity(name string) bool {
	name = flatName(name)
	for _, begins := range []string{"security", "sasl", "ssl"} {
		if strings.HasPrefix(name, begins) {
			return true
		}
	}
	for _, holds := range []string{"cert", "proxy", "endpoint", "clientconfig.protocol"} {
		if strings.Contains(name, holds) {
			return true
		}
	}
	return false
}

// holdsSecurity looks for such a key in what stands in the place of a value: under a merge key (<<), say. Aliases can make that endless: it
// gives up in the end, and then takes it that there is one.
func (p *parser) holdsSecurity(content []*yaml.Node, isMap bool) bool {
	for i, c := range content {
		if p.searched++; p.searched > searchedMax {
			return true
		}
		if isMap && i%2 == 0 {
			if c.Kind == yaml.ScalarNode && concernsSecurity(c.Value) {
				return true
			}
		} else if p.holdsSecurity(c.Content, c.Kind == yaml.MappingNode) {
			return true
		}
	}
	return false
}

// propertyName is a key of a property behind which a blank stands, or words for it: a key that is no name may be a part of a value.
func propertyName(key string) string {
	if len(key) > 100 || !propertyPattern.MatchString(key) {
		return "a property (its name is not shown) "
	}
	return quote(key) + " "
}

var propertyPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*([._-][A-Za-z0-9]+)*$`)

// entry is the first entry of a map that should have no other.
func (p *parser) entry(item *yaml.Node, what string) (key, value *yaml.Node, ok bool) {
	if item.Kind != yaml.MappingNode || len(item.Content) < 2 {
		got := p.describe(item)
		if item.Kind == yaml.MappingNode {
			got = "an empty map"
		} else if item.Kind == yaml.ScalarNode && !isNull(item) {
			got = "text" // not shown: it may be a secret
		}
		p.complain(item, Error, "%s: want a list of maps with one entry each (- key: value), got an item that is %s", what, got)
		return nil, nil, false
	}
	key, value = item.Content[0], item.Content[1]
	if key.Kind != yaml.ScalarNode {
		p.complain(key, Error, "%s: want text as a key, got %s", what, p.describe(key))
		return nil, nil, false
	}
	return key, value, true
}

// others complains of the entries of an item behind its first; properties says whether they can concern security. They are not shown:
// they may be what stands behind a comma in a value without quotes.
func (p *parser) others(item *yaml.Node, what string, properties bool) {
	if len(item.Content) == 2 {
		return
	}
	at, first := item.Content[2], item.Content[0]
	switch {
	case properties && p.holdsSecurity(item.Content[2:], true):
		p.complain(at, Error, "%s: only the first entry of an item counts, and what concerns security is never left out: write each as an item of its own, with a - before it", what)
	case properties && concernsSecurity(first.Value) && isNull(item.Content[3]):
		p.complain(at, Error, "%s: the value before this ends at the comma, and what concerns security is never left out: write it in quotes", what)
	default:
		p.complain(at, Warning, "%s: only the first entry of an item counts, this one is left out: write it as an item of its own", what)
	}
}
