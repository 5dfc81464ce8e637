package module

import (
	"math"
	"net"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// Ids that the playground's kinds have without being asked.
const (
	playgroundIngressID = "io.statefun.playground/ingress"
	playgroundEgressID  = "io.statefun.playground/egress"
)

// PlaygroundIngress takes events by HTTP.
type PlaygroundIngress struct {
	Place Place
	ID    string
	Host  string // that it listens on; ours: StateFun's playground lives in a container and listens on all
	Port  int    // 0: any that is free
}

// Address is where it listens.
func (i *PlaygroundIngress) Address() string { return net.JoinHostPort(i.Host, strconv.Itoa(i.Port)) }

// PlaygroundEgress keeps results until they are asked for by HTTP.
type PlaygroundEgress struct {
	Place  Place
	ID     string
	Host   string
	Port   int
	Topics []string
}

// Address is where it listens.
func (e *PlaygroundEgress) Address() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// loopback is where the playground's kinds listen when the module does not say: whoever reaches the port may send to every function.
const loopback = "127.0.0.1"

func (p *parser) playgroundIngress(spec *object) {
	p.anIngress = true
	i := PlaygroundIngress{Place: p.place(spec.node), ID: playgroundIngressID, Host: p.host(spec), Port: p.port(spec)}
	if p.bind("ingress", i.ID, i.Place) {
		p.module.PlaygroundIngress = &i
		l := p.list("ingress", i.ID, i.Place, p.kind)
		l.listener(i.Host, i.Port, spec.node)
		l.done()
	}
}

func (p *parser) playgroundEgress(spec *object) {
	e := PlaygroundEgress{Place: p.place(spec.node), ID: playgroundEgressID, Host: p.host(spec), Port: p.port(spec)}
	items, _ := spec.list("topics", true)
	for _, item := range items {
		if topic, ok := p.textOf(item, "topics", Error); ok {
			e.Topics = append(e.Topics, topic)
		}
	}
	if p.bind("egress", e.ID, e.Place) {
		p.module.PlaygroundEgress = &e
		l := p.list("egress", e.ID, e.Place, p.kind)
		l.listener(e.Host, e.Port, spec.node)
		l.add("topics", strings.Join(e.Topics, ", "), child(spec.node, "topics"))
		l.done()
	}
}

// host is the additive key of ours; [::1] and ::1 are the same.
func (p *parser) host(spec *object) string {
	host := strings.TrimSuffix(strings.TrimPrefix(spec.text("host", loopback), "["), "]")
	if n := spec.take("host"); n != nil && (host == "" || strings.ContainsAny(host, " /%?#@")) {
		p.complain(n, Error, "host: want a name or an address of this machine, such as %s, or 0.0.0.0 for all, got %s", loopback, p.describe(n))
	}
	return host
}

func (p *parser) port(spec *object) int {
	switch n := spec.need("port"); {
	case n == nil:
		return 0
	case p.emptied(n):
		p.complain(n, Error, "port of %s has no value", spec.what)
		return 0
	}
	return int(spec.number("port", 0, 0, math.MaxUint16))
}

// checkPorts complains of one port for both kinds.
func (p *parser) checkPorts() {
	in, out := p.module.PlaygroundIngress, p.module.PlaygroundEgress
	if in == nil || out == nil || in.Port == 0 || in.Port != out.Port {
		return
	}
	at := &yaml.Node{Line: out.Place.Line, Column: out.Place.Column}
	p.complain(at, Error, "port %d is the ingress's (line %d): want another one", out.Port, in.Place.Line)
}
