package app

import (
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	egresskafka "github.com/stategate/stategate/egress/kafka"
	ingresskafka "github.com/stategate/stategate/ingress/kafka"
)

// CheckKafka asks the adapters what they make of the properties, which the module only reads: each complaint stands where its property
// stands. It reads the files that properties name and connects to nothing.
func CheckKafka(m *module.Module) module.Complaints {
	var out module.Complaints
	for i := range m.KafkaIngresses {
		k := &m.KafkaIngresses[i]
		complaints, err := ingresskafka.Check(KafkaIngressConfig(k))
		out = append(out, placed(k.Place, k.Properties, complaints, err)...)
	}
	for i := range m.KafkaEgresses {
		k := &m.KafkaEgresses[i]
		cfg := KafkaEgressConfig(k)
		cfg.StoreID = "00000000-0000-0000-0000-000000000000" // known only to a gateway that runs
		complaints, err := egresskafka.Check(cfg)
		out = append(out, placed(k.Place, k.Properties, complaints, err)...)
	}
	return out
}

// placed says each complaint at its property's line, and what is of no property at the place of the whole.
func placed(at module.Place, properties module.Properties, complaints []ingresskafka.Complaint, err error) module.Complaints {
	places := make(map[string]module.Place, len(properties))
	for _, p := range properties {
		places[p.Key] = p.Place
	}
	var out module.Complaints
	say := func(property string, severity module.Severity, text string) {
		place, ok := places[property]
		if !ok {
			place = at
		}
		out = append(out, module.Complaint{File: place.File, Line: place.Line, Column: place.Column, Severity: severity, Text: text})
	}
	if err != nil {
		say("", module.Error, err.Error())
	}
	for _, c := range complaints {
		severity := module.Warning
		if c.Wrong {
			severity = module.Error
		}
		say(c.Property, severity, c.Text)
	}
	return out
}
