package module

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"
)

func (p *parser) listKafkaIngress(k *KafkaIngress, spec *yaml.Node) {
	l := p.list("ingress", k.ID, k.Place, p.kind)
	values := propertyValues(child(spec, "properties"))
	named := func(name, property string) *yaml.Node { // the key, or the property in its place
		if n := child(spec, name); n != nil {
			return n
		}
		return values[property]
	}
	l.add("address", redact(k.Address), named("address", "bootstrap.servers"))
	l.add("consumerGroupId", k.ConsumerGroupID, named("consumerGroupId", "group.id"))
	l.startupPosition(&k.StartupPosition, child(spec, "startupPosition"))
	l.add("autoOffsetResetPosition", resetInWords(k), child(spec, "autoOffsetResetPosition"))
	topics := itemsAt(child(spec, "topics"))
	for i := range k.Topics {
		t := &k.Topics[i]
		name, at := under("topics["+t.Topic+"]"), topics[spotOf(t.Place)]
		l.add(name("valueType"), t.ValueType, child(at, "valueType"))
		l.add(name("targets"), functionList(t.Targets), child(at, "targets"))
		l.add(name("onNullKey"), string(t.OnNullKey), child(at, "onNullKey"))
		l.add(name("onNullValue"), string(t.OnNullValue), child(at, "onNullValue"))
	}
	l.properties("properties", k.Properties, values, "bootstrap.servers", "group.id", "auto.offset.reset")
	l.done()
}

// resetInWords: without the key a lost position waits for somebody to decide.
func resetInWords(k *KafkaIngress) string {
	if k.AutoOffsetResetWritten {
		return string(k.AutoOffsetReset)
	}
	return "none: a position that is lost waits for a decision"
}

func (l *lister) startupPosition(s *StartupPosition, n *yaml.Node) {
	name := under("startupPosition")
	l.add(name("type"), string(s.Kind), child(n, "type"))
	switch s.Kind {
	case StartDate:
		l.add(name("date"), s.Date.UTC().Format(time.RFC3339Nano), child(n, "date"))
	case StartSpecificOffsets:
		var all []string
		for tp, offset := range s.Offsets {
			all = append(all, fmt.Sprintf("%s: %d", tp, offset))
		}
		slices.Sort(all)
		l.add(name("offsets"), strings.Join(all, ", "), child(n, "offsets"))
	}
}

func (p *parser) listKinesisIngress(k *KinesisIngress, spec *yaml.Node) {
	l := p.list("ingress", k.ID, k.Place, p.kind)
	l.aws(k.Region, k.Credentials, spec)
	l.startupPosition(&k.StartupPosition, child(spec, "startupPosition"))
	streams := itemsAt(child(spec, "streams"))
	for i := range k.Streams {
		s := &k.Streams[i]
		name, at := under("streams["+s.Stream+"]"), streams[spotOf(s.Place)]
		l.add(name("valueType"), s.ValueType, child(at, "valueType"))
		l.add(name("targets"), functionList(s.Targets), child(at, "targets"))
	}
	values := map[string]*yaml.Node{}
	for key, n := range propertyValues(child(spec, "clientConfigProperties")) {
		values[clientConfigKey(key)] = n
	}
	l.properties("clientConfigProperties", k.ClientProperties, values)
	l.done()
}

// aws lists where the streams are, and who asks.
func (l *lister) aws(r AWSRegion, c AWSCredentials, spec *yaml.Node) {
	region, credentials := child(spec, "awsRegion"), child(spec, "awsCredentials")
	name := under("awsRegion")
	l.add(name("type"), r.Kind, child(region, "type"))
	if r.ID != "" {
		l.add(name("id"), r.ID, child(region, "id"))
	}
	if r.Endpoint != "" {
		l.add(name("endpoint"), redact(r.Endpoint), child(region, "endpoint"))
		if l.last().Value != r.Endpoint {
			l.last().hidden = r.Endpoint
		}
	}
	name = under("awsCredentials")
	l.add(name("type"), c.Kind, child(credentials, "type"))
	switch c.Kind {
	case "basic":
		l.hide(name("accessKeyId"), c.AccessKeyID, child(credentials, "accessKeyId"))
		l.hide(name("secretAccessKey"), string(c.SecretAccessKey), child(credentials, "secretAccessKey"))
	case "profile":
		l.add(name("profileName"), c.ProfileName, child(credentials, "profileName"))
		l.add(name("profilePath"), c.ProfilePath, child(credentials, "profilePath"))
	}
}

func (p *parser) listHTTPIngress(i *HTTPIngress, spec *yaml.Node) {
	l := p.list("ingress", i.ID, i.Place, p.kind)
	var functions []string
	for _, f := range i.Functions {
		functions = append(functions, f.String())
	}
	l.add("functions", strings.Join(functions, ", "), child(spec, "functions"))
	l.amount("timeout", inWords(i.Timeout, "0s"), child(spec, "timeout"))
	l.amount("maxBodySize", bytesInWords(int64(i.MaxBodySize)), child(spec, "maxBodySize"))
	routes := itemsAt(child(spec, "routes"), "target") // the place of a route is that of its target
	for r := range i.Routes {
		route := &i.Routes[r]
		name, at := under("routes["+route.Method+" "+route.Path+"]"), routes[spotOf(route.Place)]
		l.add(name("target"), route.Target.String(), child(at, "target"))
		l.add(name("id"), route.ID, child(at, "id"))
		l.add(name("mode"), string(route.Mode), child(at, "mode"))
		l.add(name("valueType"), cmp.Or(route.ValueType, "as the request says"), child(at, "valueType"))
	}
	l.done()
}

// listener lists where a playground's kind listens.
func (l *lister) listener(host string, port int, spec *yaml.Node) {
	l.add("host", host, child(spec, "host"))
	l.amount("port", numberOr(port, "any that is free"), child(spec, "port"))
}
