package module

import "math"

// Ids that the playground's kinds have without being asked.
const (
	playgroundIngressID = "io.statefun.playground/ingress"
	playgroundEgressID  = "io.statefun.playground/egress"
)

// PlaygroundIngress takes events by HTTP.
type PlaygroundIngress struct {
	Place Place
	ID    string
	Port  int
}

// PlaygroundEgress keeps results until they are asked for by HTTP.
type PlaygroundEgress struct {
	Place  Place
	ID     string
	Port   int
	Topics []string
}

func (p *parser) playgroundIngress(spec *object) {
	p.anIngress = true
	i := PlaygroundIngress{Place: p.place(spec.node), ID: playgroundIngressID, Port: p.port(spec)}
	if p.bind("ingress", i.ID, i.Place) {
		p.module.PlaygroundIngress = &i
	}
}

func (p *parser) playgroundEgress(spec *object) {
	e := PlaygroundEgress{Place: p.place(spec.node), ID: playgroundEgressID, Port: p.port(spec)}
	items, _ := spec.list("topics", true)
	for _, item := range items {
		if topic, ok := p.textOf(item, "topics", Error); ok {
			e.Topics = append(e.Topics, topic)
		}
	}
	if p.bind("egress", e.ID, e.Place) {
		p.module.PlaygroundEgress = &e
	}
}

func (p *parser) port(spec *object) int {
	if spec.need("port") == nil {
		return 0
	}
	return int(spec.number("port", 0, 0, math.MaxUint16))
}
