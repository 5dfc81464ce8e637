package module

// LogEgress shows each record as a line: for development.
type LogEgress struct {
	Place Place
	ID    string // "namespace/name"
}

func (p *parser) logEgress(spec *object) {
	id, at := spec.needID()
	l := LogEgress{Place: p.place(at), ID: id}
	if id != "" && p.bind("egress", id, l.Place) {
		p.module.LogEgresses = append(p.module.LogEgresses, l)
		p.list("egress", l.ID, l.Place, p.kind).done()
	}
}
