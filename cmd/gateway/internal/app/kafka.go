package app

import (
	"context"
	"fmt"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/egress"
	egresskafka "github.com/stategate/stategate/egress/kafka"
	"github.com/stategate/stategate/ingress"
	ingresskafka "github.com/stategate/stategate/ingress/kafka"
	"github.com/stategate/stategate/statestore"
)

// source is one ingress of the module.
type source struct {
	id  string
	run func(ctx context.Context, engine ingress.Engine) error
}

// sink is one egress of the module.
type sink struct {
	id     string
	outbox bool // its outputs are kept in the store until they are delivered
	// open makes the relay of a lane. former is the lane that an egress without an outbox had before, if it had one.
	open func(lane, former statestore.Lane, engine egress.Engine, claim string) (relay, error)
}

func (a *App) kafkaSource(k *module.KafkaIngress) (*source, error) {
	cfg := KafkaIngressConfig(k)
	cfg.Log, cfg.Hooks, cfg.Traces = a.log, a.ingressHooks(), a.cfg.Tracer != nil
	if err := a.checked(checkIngress(k)); err != nil {
		return nil, err
	}
	in, err := ingresskafka.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Place, err)
	}
	return &source{id: k.ID, run: in.Run}, nil
}

// KafkaIngressConfig is what the module says of an ingress, in the ingress's words.
func KafkaIngressConfig(k *module.KafkaIngress) ingresskafka.Config {
	cfg := ingresskafka.Config{
		ID: k.ID, Brokers: k.Brokers(), Group: k.ConsumerGroupID, ResetWritten: k.AutoOffsetResetWritten, Properties: k.Properties.Map(),
		Startup: ingresskafka.Startup{Date: k.StartupPosition.Date},
	}
	if k.AutoOffsetReset == module.Earliest {
		cfg.Reset = ingresskafka.ResetEarliest
	}
	switch k.StartupPosition.Kind {
	case module.StartEarliest:
		cfg.Startup.Kind = ingresskafka.StartEarliest
	case module.StartGroupOffsets:
		cfg.Startup.Kind = ingresskafka.StartGroupOffsets
	case module.StartSpecificOffsets:
		cfg.Startup.Kind = ingresskafka.StartSpecificOffsets
		cfg.Startup.Offsets = map[ingresskafka.TopicPartition]int64{}
		for tp, offset := range k.StartupPosition.Offsets {
			cfg.Startup.Offsets[ingresskafka.TopicPartition(tp)] = offset
		}
	case module.StartDate:
		cfg.Startup.Kind = ingresskafka.StartDate
	}
	for i := range k.Topics {
		cfg.Topics = append(cfg.Topics, topicOf(&k.Topics[i]))
	}
	return cfg
}

func topicOf(t *module.KafkaTopic) ingresskafka.Topic {
	out := ingresskafka.Topic{Name: t.Topic, ValueType: t.ValueType, Routes: routesTo(t.Targets)}
	if t.OnNullKey == module.Skip {
		out.OnNullKey = ingresskafka.NullSkip
	}
	if t.OnNullValue == module.Skip {
		out.OnNullValue = ingresskafka.NullSkip
	}
	return out
}

func (a *App) kafkaSink(k *module.KafkaEgress) (*sink, error) {
	cfg := KafkaEgressConfig(k)
	cfg.StoreID, cfg.Log, cfg.Hooks = a.cfg.Store.Identity(), a.log, a.egressHooks()
	if err := a.checked(checkEgress(k)); err != nil {
		return nil, err
	}
	return &sink{id: k.ID, outbox: cfg.Semantic != egresskafka.None, open: func(lane, former statestore.Lane, engine egress.Engine, claim string) (relay, error) {
		cfg := cfg
		cfg.Claim, cfg.Formerly = claim, former
		r, err := egresskafka.New(cfg, lane, engine)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Place, err)
		}
		return r, nil
	}}, nil
}

// KafkaEgressConfig is what the module says of an egress, in the egress's words.
func KafkaEgressConfig(k *module.KafkaEgress) egresskafka.Config {
	cfg := egresskafka.Config{ID: k.ID, Brokers: k.Brokers(), TransactionTimeout: k.TransactionTimeout, Properties: k.Properties.Map()}
	switch k.Semantic {
	case module.ExactlyOnce:
		cfg.Semantic = egresskafka.ExactlyOnce
	case module.AtLeastOnce:
		cfg.Semantic = egresskafka.AtLeastOnce
	case module.None:
		cfg.Semantic = egresskafka.None
	}
	return cfg
}
