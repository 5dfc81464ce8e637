package module

import yaml "go.yaml.in/yaml/v3"

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

// properties reads a list of maps of which only the first entry counts, as in StateFun.
func (o *object) properties(name string) Properties {
	var ps Properties
	seen := map[string]bool{}
	items, _ := o.list(name, false)
	for _, item := range items {
		key, value, ok := o.p.entry(item, name)
		if !ok {
			continue
		}
		switch {
		case isNull(value):
			o.p.complain(key, Warning, "%s: %s has no value and is left out; StateFun would set the text null", name, quote(key.Value))
			continue
		case value.Kind != yaml.ScalarNode:
			o.p.complain(value, Warning, "%s: want text as value of %s, got %s: it is left out", name, quote(key.Value), o.p.describe(value))
			continue
		}
		if seen[key.Value] {
			o.p.complain(key, Warning, "%s: %s is given twice: the last one counts", name, quote(key.Value))
		}
		seen[key.Value] = true
		ps = append(ps, Property{Key: key.Value, Value: scalarText(value), Place: o.p.place(key)})
	}
	return ps.once()
}

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
	if len(item.Content) > 2 {
		p.complain(item.Content[2], Warning, "%s: only the first entry of an item counts, %s is left out: write it as an item of its own", what, p.describe(item.Content[2]))
	}
	return key, value, true
}
