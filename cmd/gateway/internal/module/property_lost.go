package module

import (
	"regexp"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// leavesOutSecurity reports whether there is a property of Kafka that concerns security under a key that does not count: a misspelt
// properties, a merge key (<<), or the property itself where the list should stand.
func (p *parser) leavesOutSecurity(f field) bool {
	return isKafkaSecurity(f.name) || p.saysSecurity(f.value)
}

// saysSecurity looks for such a name in the keys below n, and in texts that begin with one, as a file of Java has it. As holdsSecurity it
// gives up in the end, and then takes it that there is one.
func (p *parser) saysSecurity(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return javaProperty.MatchString(n.Value)
	}
	for i, c := range n.Content {
		if p.searched++; p.searched > searchedMax {
			return true
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Kind == yaml.ScalarNode && isKafkaSecurity(c.Value) || p.saysSecurity(c) {
			return true
		}
	}
	return false
}

// isKafkaSecurity is stricter than concernsSecurity: other words than names of properties stand in a spec.
func isKafkaSecurity(name string) bool {
	name = flatName(name)
	for _, begins := range []string{"security", "sasl", "ssl"} {
		if strings.HasPrefix(name, begins) {
			return true
		}
	}
	return false
}

var javaProperty = regexp.MustCompile(`(?im)^\s*(properties\.)?(security|sasl|ssl)[._-][a-z._-]+\s*[=:]`)
