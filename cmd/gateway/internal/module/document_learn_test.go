package module

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v3"
)

// learner asks the parser which keys it knows in the maps of a document.
type learner struct {
	t      *testing.T
	kind   string
	root   *yaml.Node
	lookup func(string) (string, bool)
	known  map[string]map[string]bool
	told   func(kind, path string, missed bool) // whether a key is complained of when it is taken out
}

// strange is near to no key, so the complaint about it lists those that are known.
const strange = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"

var knownKeys = regexp.MustCompile(`unknown key "` + strange + `" in .*: known are (.*)$`)

// learn asks for each document of a text, kind by kind; known is filled.
func learn(t *testing.T, known map[string]map[string]bool, text string, lookup func(string) (string, bool), told func(kind, path string, missed bool)) {
	t.Helper()
	docs, _ := newParser(nil).documents([]byte(text))
	for _, doc := range docs {
		kind, spec := valueOf(doc, "kind"), valueOf(doc, "spec")
		if kind == nil || spec == nil || !slices.Contains(kinds, kind.Value) || hasKey(doc, "version") {
			continue // the last is the legacy format, when it stands alone
		}
		l := learner{t: t, root: doc, lookup: lookup, known: known, told: told}
		l.ask(doc, "")
		l.kind = kind.Value
		l.walk(spec, "")
	}
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// walk asks in a map and in all below it; path is that of the map, as tables write it.
func (l *learner) walk(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.MappingNode:
		l.ask(n, path)
		for i := 0; i+1 < len(n.Content); i += 2 {
			l.walk(n.Content[i+1], joined(path, n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			l.walk(item, path+"[]")
		}
	}
}

func joined(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// ask puts a strange key into a map, and takes each of its keys out.
func (l *learner) ask(n *yaml.Node, path string) {
	before := n.Content
	defer func() { n.Content = before }()
	n.Content = append(slices.Clone(before),
		&yaml.Node{Kind: yaml.ScalarNode, Value: strange}, &yaml.Node{Kind: yaml.ScalarNode, Value: "1"})
	keys := l.listed()
	for _, key := range keys {
		if l.known[l.kind] == nil {
			l.known[l.kind] = map[string]bool{}
		}
		l.known[l.kind][joined(path, key)] = true
	}
	for i := 0; i+1 < len(before); i += 2 {
		key := before[i].Value
		if !slices.Contains(keys, key) || isNull(before[i+1]) || twice(before, key) {
			continue
		}
		n.Content = slices.Delete(slices.Clone(before), i, i+2)
		if missed, read := l.missed(key); read {
			l.told(l.kind, joined(path, key), missed)
		}
	}
}

func twice(content []*yaml.Node, key string) bool {
	times := 0
	for i := 0; i < len(content); i += 2 {
		if content[i].Value == key {
			times++
		}
	}
	return times > 1
}

// listed are the keys that the parser names beside the strange one; none where a map has keys of its own.
func (l *learner) listed() []string {
	for _, c := range l.complaints() {
		if m := knownKeys.FindStringSubmatch(c.Text); m != nil {
			if strings.HasSuffix(m[1], " and others") {
				l.t.Fatalf("the complaint does not list all keys: %s", c.Text)
			}
			return strings.Split(m[1], ", ")
		}
	}
	return nil
}

// missed reports whether the parser complains that a key is not there; read is false when an alias went with the key that leads to it.
func (l *learner) missed(key string) (missed, read bool) {
	for _, c := range l.complaints() {
		if strings.HasPrefix(c.Text, "not YAML") {
			return false, false
		}
		missed = missed || strings.Contains(c.Text, " has no "+key+", which is required")
	}
	return missed, true
}

func (l *learner) complaints() Complaints {
	text, err := yaml.Marshal(l.root)
	if err != nil {
		l.t.Fatal(err)
	}
	_, complaints := Parse("MODULE.md", text, l.lookup)
	return complaints
}
