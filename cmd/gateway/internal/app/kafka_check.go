package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	egresskafka "github.com/stategate/stategate/egress/kafka"
	ingresskafka "github.com/stategate/stategate/ingress/kafka"
)

// CheckKafka asks the adapters what they make of the properties, which the module only reads: each complaint stands where its property
// stands. It reads the files that properties name and connects to nothing.
func CheckKafka(m *module.Module) module.Complaints {
	var out module.Complaints
	for i := range m.KafkaIngresses {
		out = append(out, checkIngress(&m.KafkaIngresses[i])...)
	}
	for i := range m.KafkaEgresses {
		out = append(out, checkEgress(&m.KafkaEgresses[i])...)
	}
	return out
}

func checkIngress(k *module.KafkaIngress) module.Complaints {
	complaints, err := ingresskafka.Check(KafkaIngressConfig(k))
	return placed(k.Place, k.Properties, complaints, err)
}

func checkEgress(k *module.KafkaEgress) module.Complaints {
	cfg := KafkaEgressConfig(k)
	cfg.StoreID = "00000000-0000-0000-0000-000000000000" // known only to a gateway that runs
	complaints, err := egresskafka.Check(cfg)
	return placed(k.Place, k.Properties, complaints, err)
}

// checked logs the warnings, and answers the errors as one.
func (a *App) checked(complaints module.Complaints) error {
	for _, w := range complaints.Warnings() {
		a.log.Warn(w.Text, "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column))
	}
	if wrong := complaints.Errors(); len(wrong) > 0 {
		return errors.New(strings.TrimSpace(wrong.String()))
	}
	return nil
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
