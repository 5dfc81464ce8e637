package main

import (
	"strconv"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	egresskafka "github.com/stategate/stategate/egress/kafka"
	ingresskafka "github.com/stategate/stategate/ingress/kafka"
)

// checkKafka asks the clients what they make of the properties, which the module only reads.
func checkKafka(m *module.Module) module.Complaints {
	var out module.Complaints
	for i := range m.KafkaIngresses {
		k := &m.KafkaIngresses[i]
		out = append(out, checkProperties(k.Place, k.Properties, func(only map[string]string) ([]string, error) {
			cfg := app.KafkaIngressConfig(k)
			cfg.Properties = only
			return ingresskafka.Check(cfg)
		})...)
	}
	for i := range m.KafkaEgresses {
		k := &m.KafkaEgresses[i]
		out = append(out, checkProperties(k.Place, k.Properties, func(only map[string]string) ([]string, error) {
			cfg := app.KafkaEgressConfig(k)
			cfg.Properties, cfg.StoreID = only, "00000000-0000-0000-0000-000000000000"
			return egresskafka.Check(cfg)
		})...)
	}
	return out
}

// checkProperties asks about each property alone, so that what is said of it stands where it stands; then about all
// together, for what only their combination makes wrong.
func checkProperties(at module.Place, properties module.Properties, ask func(only map[string]string) ([]string, error)) module.Complaints {
	var out module.Complaints
	complain := func(at module.Place, s module.Severity, text string) {
		out = append(out, module.Complaint{File: at.File, Line: at.Line, Column: at.Column, Severity: s, Text: text})
	}
	if _, err := ask(nil); err != nil {
		complain(at, module.Error, err.Error())
		return out
	}
	wrong := false
	for _, p := range properties {
		warnings, err := ask(map[string]string{p.Key: p.Value})
		for _, w := range warnings {
			complain(p.Place, module.Warning, withoutValue(w, p.Value))
		}
		if err != nil {
			wrong = true
			complain(p.Place, module.Error, withoutValue(err.Error(), p.Value))
		}
	}
	if _, err := ask(properties.Map()); err != nil && !wrong {
		text := err.Error()
		for _, p := range properties {
			text = withoutValue(text, p.Value)
		}
		complain(at, module.Error, text)
	}
	return out
}

// withoutValue takes a property's value out of a complaint: it may have come from the environment. The line tells it.
func withoutValue(text, value string) string {
	return strings.ReplaceAll(text, strconv.Quote(strings.TrimSpace(value)), "its value")
}
