package module

import (
	"regexp"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// KafkaIngress reads topics. Position, offsets and properties are as the module says them; what of the properties has a
// meaning for our client is judged where the client is made.
type KafkaIngress struct {
	Place           Place
	ID              string // "namespace/name"
	Address         string // host:port, comma-separated; from the property bootstrap.servers where the key is absent
	ConsumerGroupID string // from the property group.id where the key is absent
	Topics          []KafkaTopic

	AutoOffsetReset        OffsetReset // Latest unless written; the property auto.offset.reset never counts
	AutoOffsetResetWritten bool        // whether the module writes autoOffsetResetPosition
	StartupPosition        StartupPosition
	Properties             Properties
}

// Brokers are the addresses one by one, as host:port.
func (k *KafkaIngress) Brokers() []string { return brokers(k.Address) }

// KafkaTopic is one topic and where its records go.
type KafkaTopic struct {
	Place       Place
	Topic       string
	ValueType   string             // type name of the values, any text
	Targets     []api.FunctionType // may be empty (the records are dropped) and may name one twice
	OnNullKey   OnNull             // ours; DeadLetter unless written
	OnNullValue OnNull             // ours; DeadLetter unless written

	targetPlaces []Place
}

// OnNull says what becomes of a record without a key, or without a value.
type OnNull string

const (
	DeadLetter OnNull = "deadLetter" // it is set aside with where it came from and why
	Skip       OnNull = "skip"       // it is counted and passed over
)

// OffsetReset says where to go on when a position is out of range.
type OffsetReset string

const (
	Latest   OffsetReset = "latest"
	Earliest OffsetReset = "earliest"
)

func (p *parser) kafkaIngress(spec *object) {
	p.anIngress, spec.kafka = true, true
	id, at := spec.needID()
	k := KafkaIngress{Place: p.place(at), ID: id, AutoOffsetReset: Latest}
	k.Properties = spec.properties("properties")
	k.Address = p.namedOrProperty(spec, "address", "bootstrap.servers", k.Properties)
	p.checkAddress(spec, k.Address, k.Properties)
	k.ConsumerGroupID = p.namedOrProperty(spec, "consumerGroupId", "group.id", k.Properties)
	if n := spec.take("autoOffsetResetPosition"); n != nil {
		text, ok := p.textOf(n, "autoOffsetResetPosition", Error)
		reset := OffsetReset(strings.ToLower(text))
		if ok && reset != Latest && reset != Earliest {
			p.complain(n, Error, "autoOffsetResetPosition: want earliest or latest, got %s", p.describe(n))
		}
		k.AutoOffsetReset, k.AutoOffsetResetWritten = reset, true
	}
	p.overridden(k.Properties, "auto.offset.reset", "autoOffsetResetPosition counts, and latest where that is absent")
	k.StartupPosition = p.startupPosition(spec, StartLatest, StartEarliest, StartGroupOffsets, StartSpecificOffsets, StartDate)
	k.Topics = p.kafkaTopics(spec)
	topics := map[string]bool{}
	for _, t := range k.Topics {
		topics[t.Topic] = true
	}
	for tp := range k.StartupPosition.Offsets {
		if !topics[tp.Topic] {
			p.complain(spec.take("startupPosition"), Warning, "startupPosition has an offset of %s, but topics has no such topic", quote(tp.String()))
		}
	}
	if id != "" && p.bind("ingress", id, k.Place) {
		p.module.KafkaIngresses = append(p.module.KafkaIngresses, k)
		p.listKafkaIngress(&k, spec.node)
	}
}

// namedOrProperty is a setting that has a key of its own and a name among the properties; the key wins.
func (p *parser) namedOrProperty(spec *object, name, property string, ps Properties) string {
	value, isProperty := ps.Value(property)
	switch {
	case spec.has(name):
		p.overridden(ps, property, name+" counts")
		return spec.needText(name)
	case isProperty && value != "":
		spec.knows(name)
		return value
	}
	spec.need(name)
	return ""
}

// overridden warns of a property that a key of the module replaces.
func (p *parser) overridden(ps Properties, property, why string) {
	for _, q := range ps {
		if q.Key == property {
			p.complain(&yaml.Node{Line: q.Place.Line, Column: q.Place.Column}, Warning, "property %s has no effect: %s", property, why)
		}
	}
}

func (p *parser) kafkaTopics(spec *object) []KafkaTopic {
	items, ok := spec.list("topics", true)
	if ok && len(items) == 0 {
		p.complain(spec.take("topics"), Error, "topics is empty: want at least one topic")
	}
	var topics []KafkaTopic
	at := map[string]int{}
	for _, item := range items {
		o := p.object(item, "a topic", Error)
		if o == nil {
			continue
		}
		t := KafkaTopic{Place: p.place(item), Topic: o.needText("topic"), ValueType: p.valueType(o)}
		t.Targets, t.targetPlaces = p.targets(o)
		t.OnNullKey, t.OnNullValue = p.onNull(o, "onNullKey"), p.onNull(o, "onNullValue")
		o.close()
		if t.Topic != "" && !topicPattern.MatchString(t.Topic) || t.Topic == "." || t.Topic == ".." {
			p.complain(o.take("topic"), Error, "topic: want at most 249 letters, digits, dots, dashes and underscores, got %s", p.describe(o.take("topic")))
		}
		if i, twice := at[t.Topic]; twice && t.Topic != "" {
			p.complain(item, Warning, "topic %s is given twice (first in line %d): the last one counts", quote(t.Topic), topics[i].Place.Line)
			topics[i] = t
			continue
		}
		at[t.Topic] = len(topics)
		topics = append(topics, t)
	}
	return topics
}

var topicPattern = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// valueType is required and may be any text, also none.
func (p *parser) valueType(o *object) string {
	n := o.need("valueType")
	if n == nil {
		return ""
	}
	text, ok := p.textOf(n, "valueType", Error)
	if ok && len(text) > api.TypeNameBytesMax {
		p.complain(n, Error, "valueType: at most %d bytes are allowed", api.TypeNameBytesMax)
	}
	return text
}

// targets are exact function types.
func (p *parser) targets(o *object) (targets []api.FunctionType, places []Place) {
	items, ok := o.list("targets", true)
	if ok && len(items) == 0 {
		p.complain(o.take("targets"), Warning, "targets is empty: the records are dropped")
	}
	seen := map[api.FunctionType]bool{}
	for _, item := range items {
		ft := p.typeName(item, "targets")
		if ft.IsZero() {
			continue
		}
		if strings.Contains(ft.String(), "*") {
			p.complain(item, Warning, "targets: %s is taken literally, a * stands for nothing here: want one function", p.describe(item))
		}
		if seen[ft] {
			p.complain(item, Warning, "targets: %s is given twice, each record is sent to it twice", p.describe(item))
		}
		seen[ft] = true
		targets, places = append(targets, ft), append(places, p.place(item))
	}
	return targets, places
}

func (p *parser) onNull(o *object, name string) OnNull {
	if !o.has(name) {
		o.take(name)
		return DeadLetter
	}
	return OnNull(o.choice(name, names([]OnNull{DeadLetter, Skip})))
}

// brokerPattern is one of Kafka's bootstrap servers.
var brokerPattern = regexp.MustCompile(`^(?:[0-9a-zA-Z._%-]*://)?(\[[0-9a-zA-Z.:%-]+\]|[0-9a-zA-Z._%-]+|[0-9a-fA-F:]+):([0-9]{1,5})$`)

func brokers(address string) []string {
	var out []string
	for _, a := range strings.Split(address, ",") {
		if m := brokerPattern.FindStringSubmatch(strings.TrimSpace(a)); m != nil {
			out = append(out, m[1]+":"+m[2])
		}
	}
	return out
}

// checkAddress refuses what Kafka's client refuses at its start. The address is the key's, or that of a property.
func (p *parser) checkAddress(spec *object, address string, ps Properties) {
	wrong := address != "" && len(brokers(address)) == 0
	for _, a := range strings.Split(address, ",") {
		if a = strings.TrimSpace(a); a != "" && !brokerPattern.MatchString(a) {
			wrong = true
		}
	}
	if !wrong {
		return
	}
	const want = "want host:port, several with commas between them"
	if n := spec.take("address"); n != nil {
		p.complain(n, Error, "address: %s, got %s", want, p.describe(n))
		return
	}
	for _, q := range ps {
		if q.Key == "bootstrap.servers" {
			p.complain(&yaml.Node{Line: q.Place.Line, Column: q.Place.Column}, Error, "bootstrap.servers: %s", want)
		}
	}
}

// Semantic is what a Kafka egress promises.
type Semantic string

const (
	ExactlyOnce Semantic = "exactly-once"
	AtLeastOnce Semantic = "at-least-once" // the default
	None        Semantic = "none"
)

// KafkaEgress writes records to topics that the functions name.
type KafkaEgress struct {
	Place              Place
	ID                 string // "namespace/name"
	Address            string // host:port, comma-separated
	Semantic           Semantic
	TransactionTimeout time.Duration // above zero with ExactlyOnce, else 0
	Properties         Properties
}

// Brokers are the addresses one by one, as host:port.
func (k *KafkaEgress) Brokers() []string { return brokers(k.Address) }

func (p *parser) kafkaEgress(spec *object) {
	spec.kafka = true
	id, at := spec.needID()
	k := KafkaEgress{Place: p.place(at), ID: id, Semantic: AtLeastOnce}
	k.Address = spec.needText("address")
	p.checkAddress(spec, k.Address, nil)
	k.Properties = spec.properties("properties")
	p.overridden(k.Properties, "bootstrap.servers", "address counts")
	if n := spec.take("deliverySemantic"); n != nil {
		if n.Kind == yaml.ScalarNode { // its type alone is what one tries first
			p.complain(n, Error, "deliverySemantic: want a map, got %s; write {type: exactly-once, transactionTimeout: 15min}, or another type", p.describe(n))
		} else if o := p.object(n, "deliverySemantic", Error); o != nil {
			p.deliverySemantic(o, &k)
		}
	}
	if k.Semantic == ExactlyOnce {
		p.overridden(k.Properties, "transaction.timeout.ms", "transactionTimeout counts")
	}
	if id != "" && p.bind("egress", id, k.Place) {
		p.module.KafkaEgresses = append(p.module.KafkaEgresses, k)
		p.listKafkaEgress(&k, spec.node)
	}
}

func (p *parser) deliverySemantic(o *object, k *KafkaEgress) {
	defer o.close()
	k.Semantic = Semantic(o.choice("type", names([]Semantic{ExactlyOnce, AtLeastOnce, None})))
	const millis, duration = "transactionTimeoutMillis", "transactionTimeout"
	switch {
	case k.Semantic == "":
		o.knows(duration, millis)
	case k.Semantic != ExactlyOnce:
		o.ignored("only exactly-once has transactions", duration, millis)
	case o.has(millis):
		if o.has(duration) {
			p.complain(o.fields[duration].key, Warning, "%s has no effect: %s counts", duration, millis)
		}
		o.take(duration)
		n := o.take(millis)
		v, ok := p.wholeNumber(n, true)
		if !ok || v <= 0 || v > int64(365*24*time.Hour/time.Millisecond) {
			p.complain(n, Error, "%s: want an integer above zero, got %s; %s takes a duration such as 15min", millis, p.describe(n), duration)
			return
		}
		k.TransactionTimeout = time.Duration(v) * time.Millisecond
	case o.has(duration) && !p.emptied(o.take(duration)):
		k.TransactionTimeout = o.duration(duration, 0, false)
		o.take(millis)
	case o.has(duration):
		p.complain(o.take(duration), Error, "%s of %s has no value", duration, o.what)
		o.take(millis)
	default:
		o.need(duration)
		o.take(millis)
	}
}
