package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/egress"
	egresskinesis "github.com/stategate/stategate/egress/kinesis"
	ingresskinesis "github.com/stategate/stategate/ingress/kinesis"
	"github.com/stategate/stategate/statestore"
)

func (a *App) kinesisSource(k *module.KinesisIngress) (*source, error) {
	if err := a.complain(checkKinesisIngress(k)); err != nil {
		return nil, err
	}
	cfg := kinesisIngressConfig(k)
	cfg.Log, cfg.Hooks = a.log, a.ingressHooks()
	in, err := ingresskinesis.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Place, err)
	}
	return &source{id: k.ID, run: in.Run}, nil
}

func kinesisIngressConfig(k *module.KinesisIngress) ingresskinesis.Config {
	cfg := ingresskinesis.Config{
		ID: k.ID, Region: ingresskinesis.Region{ID: k.Region.ID, Endpoint: k.Region.Endpoint},
		Credentials: ingresskinesis.Credentials{AccessKeyID: k.Credentials.AccessKeyID, SecretAccessKey: ingresskinesis.Secret(k.Credentials.SecretAccessKey),
			Profile: k.Credentials.ProfileName, ProfilePath: k.Credentials.ProfilePath},
		Startup: ingresskinesis.Startup{Date: k.StartupPosition.Date}, Properties: k.ClientProperties.Map(),
	}
	switch k.StartupPosition.Kind {
	case module.StartEarliest:
		cfg.Startup.Kind = ingresskinesis.StartEarliest
	case module.StartDate:
		cfg.Startup.Kind = ingresskinesis.StartDate
	}
	for i := range k.Streams {
		s := &k.Streams[i]
		cfg.Streams = append(cfg.Streams, ingresskinesis.Stream{Name: s.Stream, ValueType: s.ValueType, Routes: routesTo(s.Targets)})
	}
	return cfg
}

// routesTo are the targets in their order; one that is named several times is so many targets.
func routesTo(targets []api.FunctionType) []api.Route {
	var routes []api.Route
	seen := map[api.FunctionType]int{}
	for _, target := range targets {
		key := target.String()
		if n := seen[target]; n > 0 {
			key = fmt.Sprintf("%s#%d", key, n+1)
		}
		seen[target]++
		routes = append(routes, api.Route{Key: key, Target: target})
	}
	return routes
}

func (a *App) kinesisSink(k *module.KinesisEgress) (*sink, error) {
	if err := a.complain(checkKinesisEgress(k)); err != nil {
		return nil, err
	}
	cfg := kinesisEgressConfig(k)
	cfg.Log, cfg.Hooks = a.log, a.egressHooks()
	return &sink{id: k.ID, outbox: true, open: func(lane, _ statestore.Lane, engine egress.Engine, _ string) (relay, error) {
		r, err := egresskinesis.New(cfg, lane, engine)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Place, err)
		}
		return r, nil
	}}, nil
}

func kinesisEgressConfig(k *module.KinesisEgress) egresskinesis.Config {
	return egresskinesis.Config{
		ID: k.ID, Region: egresskinesis.Region{ID: k.Region.ID, Endpoint: k.Region.Endpoint},
		Credentials: egresskinesis.Credentials{AccessKeyID: k.Credentials.AccessKeyID, SecretAccessKey: egresskinesis.Secret(k.Credentials.SecretAccessKey),
			Profile: k.Credentials.ProfileName, ProfilePath: k.Credentials.ProfilePath},
		Outstanding: k.MaxOutstandingRecords, Properties: k.ClientProperties.Map(),
	}
}

// complain logs warnings, each with its line; errors are the answer.
func (a *App) complain(all module.Complaints) error {
	for _, c := range all.Warnings() {
		a.log.Warn(fmt.Sprintf("%s:%d:%d: %s", c.File, c.Line, c.Column, c.Text))
	}
	if wrong := all.Errors(); len(wrong) > 0 {
		return errors.New(strings.TrimSpace(wrong.String()))
	}
	return nil
}

// CheckKinesis asks the adapters what they make of the properties, which the module only reads: each complaint stands where its
// property stands. It connects to nothing.
func CheckKinesis(m *module.Module) module.Complaints {
	var out module.Complaints
	for i := range m.KinesisIngresses {
		out = append(out, checkKinesisIngress(&m.KinesisIngresses[i])...)
	}
	for i := range m.KinesisEgresses {
		out = append(out, checkKinesisEgress(&m.KinesisEgresses[i])...)
	}
	return out
}

func checkKinesisIngress(k *module.KinesisIngress) module.Complaints {
	cfg := kinesisIngressConfig(k)
	return oneByOne(k.Place, k.ClientProperties, func(only map[string]string) ([]string, error) {
		cfg.Properties = only
		return ingresskinesis.Check(cfg)
	})
}

func checkKinesisEgress(k *module.KinesisEgress) module.Complaints {
	cfg := kinesisEgressConfig(k)
	return oneByOne(k.Place, k.ClientProperties, func(only map[string]string) ([]string, error) {
		cfg.Properties = only
		return egresskinesis.Check(cfg)
	})
}

// oneByOne asks about each property alone, so that what is said of it stands where it stands.
func oneByOne(at module.Place, properties module.Properties, ask func(only map[string]string) ([]string, error)) (out module.Complaints) {
	say := func(at module.Place, severity module.Severity, text string) {
		out = append(out, module.Complaint{File: at.File, Line: at.Line, Column: at.Column, Severity: severity, Text: text})
	}
	if _, err := ask(nil); err != nil {
		say(at, module.Error, err.Error())
		return out
	}
	for _, p := range properties {
		warnings, err := ask(map[string]string{p.Key: p.Value})
		for _, w := range warnings {
			say(p.Place, module.Warning, w)
		}
		if err != nil {
			say(p.Place, module.Error, err.Error())
		}
	}
	return out
}
