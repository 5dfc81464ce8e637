package module

import (
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// legacy reads the format 3.0: one document, with a version, that holds lists of endpoints, ingresses and egresses. It reports
// whether it could read these lists.
func (p *parser) legacy(root *yaml.Node) bool {
	o := p.object(root, "the document", Error)
	defer o.close()
	version := o.need("version")
	module := o.need("module")
	if version == nil || !p.checkVersion(version) || module == nil {
		return false
	}
	m := p.object(module, "module", Error)
	if m == nil {
		return false
	}
	defer m.close()
	if n := m.need("meta"); n != nil {
		if meta := p.object(n, "meta of module", Error); meta != nil {
			if kind := meta.needText("type"); kind != "" && !strings.EqualFold(kind, "remote") {
				p.complain(meta.take("type"), Error, "type of module: want remote, got %s", p.describe(meta.take("type")))
			}
			meta.close()
		}
	}
	n := m.need("spec")
	if n == nil {
		return false
	}
	spec := p.object(n, "spec of module", Error)
	if spec == nil {
		return false
	}
	defer spec.close()
	p.legacyList(spec, "endpoints", "endpoint", "kind")
	p.legacyList(spec, "ingresses", "ingress", "type")
	p.legacyList(spec, "egresses", "egress", "type")
	return true
}

func (p *parser) checkVersion(n *yaml.Node) bool {
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		p.complain(n, Error, `version: want the text "3.0", in quotes, got %s without`, p.describe(n))
	case n.Value == "3.0":
		return true
	case n.Value == "1.0" || n.Value == "2.0":
		p.complain(n, Error, `version %s is no longer supported: want "3.0", or documents of kind and spec`, p.describe(n))
	default:
		p.complain(n, Error, `version %s is unknown: want "3.0", or documents of kind and spec`, p.describe(n))
	}
	return false
}

// legacyList reads items of the form {one: {meta: {kindKey: KIND, id: ID}, spec: {...}}}.
func (p *parser) legacyList(spec *object, list, one, kindKey string) {
	items, _ := spec.list(list, false)
	for _, item := range items {
		o := p.object(item, "an item of "+list, Error)
		if o == nil {
			continue
		}
		if n := o.need(one); n != nil {
			p.legacyComponent(n, one, kindKey)
		}
		o.close()
	}
}

func (p *parser) legacyComponent(n *yaml.Node, one, kindKey string) {
	o := p.object(n, one, Error)
	if o == nil {
		return
	}
	defer o.close()
	metaNode, specNode := o.need("meta"), o.need("spec")
	if metaNode == nil {
		return
	}
	meta := p.object(metaNode, "meta of "+one, Error)
	if meta == nil {
		return
	}
	defer meta.close()
	kindNode := meta.need(kindKey)
	var id *yaml.Node
	if one != "endpoint" {
		id = meta.need("id")
	}
	if kindNode == nil || specNode == nil {
		p.unreadable()
		return
	}
	text, ok := p.textOf(kindNode, kindKey, Error)
	if !ok {
		return
	}
	if full, ok := legacyKinds[text]; ok {
		text = full
	}
	if id != nil && specNode.Kind == yaml.MappingNode {
		specNode = withID(specNode, id)
	}
	p.component(kindNode, text, specNode)
}

// legacyKinds are the names that kinds had in the format 3.0; full names are taken too.
var legacyKinds = map[string]string{
	"http":                        kindEndpointV1,
	"io.statefun.kafka/ingress":   kindKafkaIngress,
	"io.statefun.kafka/egress":    kindKafkaEgress,
	"io.statefun.kinesis/ingress": kindKinesisIngress,
	"io.statefun.kinesis/egress":  kindKinesisEgress,
}

// withID is a spec with the id of its meta, which replaces one of its own.
func withID(spec, id *yaml.Node) *yaml.Node {
	out := *spec
	out.Content = []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "id", Line: id.Line, Column: id.Column}, id}
	for i := 0; i+1 < len(spec.Content); i += 2 {
		if spec.Content[i].Value != "id" {
			out.Content = append(out.Content, spec.Content[i], spec.Content[i+1])
		}
	}
	return &out
}
