package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/internal/kafkaproperty"
)

func TestProperties(t *testing.T) {
	properties := map[string]string{
		"client.id": "me", "client.rack": "r1", "isolation.level": "read_uncommitted", "fetch.min.bytes": "0", "fetch.max.bytes": "1000",
		"max.partition.fetch.bytes": " 2000 ", "fetch.max.wait.ms": "70", "request.timeout.ms": "1234", "socket.connection.setup.timeout.ms": "99",
		"metadata.max.age.ms": "5000", "flink.partition-discovery.interval-millis": "777",
		"bootstrap.servers": "x:1", "group.id": "g", "security.protocol": "PLAINTEXT",
		"auto.offset.reset": "none", "max.poll.records": "5", "some.thing": "x",
	}
	s, err := newSettings(properties)
	if err != nil {
		t.Fatal(err)
	}
	c := s.client
	got := []any{c.ClientID, c.RackID, c.Consumer.IsolationLevel, c.Consumer.Fetch.Min, c.Consumer.Fetch.MaxBytes, c.Consumer.Fetch.Default,
		c.Consumer.MaxWaitTime, c.Net.ReadTimeout, c.Net.WriteTimeout, s.ConnectTimeout, c.Metadata.RefreshFrequency, s.Discovery}
	want := []any{"me", "r1", sarama.ReadUncommitted, int32(1), int32(1000), int32(2000), 70 * time.Millisecond, 1234 * time.Millisecond,
		1234 * time.Millisecond, 99 * time.Millisecond, 5 * time.Second, 777 * time.Millisecond}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{
		"property max.poll.records has no effect: a batch is what has gathered",
		"property some.thing has no effect: it is not known",
	}, warningsOf(t, properties)); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
}

func warningsOf(t *testing.T, properties map[string]string) []string {
	t.Helper()
	complaints, err := Check(Config{ID: "a/b", Brokers: []string{"x:1"}, Topics: []Topic{{Name: "t"}}, Properties: properties})
	if err != nil {
		t.Fatal(err)
	}
	return kafkaproperty.Warnings(complaints)
}

func TestPropertyDefaults(t *testing.T) {
	s, err := newSettings(map[string]string{"flink.partition-discovery.interval-millis": "-1"})
	if err != nil {
		t.Fatal(err)
	}
	c := s.client
	if c.Consumer.IsolationLevel != sarama.ReadCommitted || c.Metadata.AllowAutoTopicCreation || c.Consumer.Fetch.Max != 0 || s.Discovery != 0 {
		t.Errorf("got isolation %v, auto creation %v, fetch max %d, discovery %v", c.Consumer.IsolationLevel, c.Metadata.AllowAutoTopicCreation, c.Consumer.Fetch.Max, s.Discovery)
	}
}

func TestWrongProperties(t *testing.T) {
	for name, values := range map[string][]string{
		"isolation.level":                           {"", "READ_COMMITTED", "dirty"},
		"fetch.min.bytes":                           {"", "x", "-1", "99999999999", "1.5"},
		"request.timeout.ms":                        {"10s", "-5", "9223372036854775808"},
		"sasl.client.callback.handler.class":        {"x.Handler"},
		"security.protocol":                         {"sasl_ssl", "", "TLS"},
		"ssl.provider":                              {"BCJSSE"},
		"flink.partition-discovery.interval-millis": {"", "often"},
		"fetch.max.wait.ms":                         {"2147483648"},
	} {
		for _, v := range values {
			if _, err := newSettings(map[string]string{name: v}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: got error %v, want one that names it", name, v, err)
			}
		}
	}
	_, err := newSettings(map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.jaas.config": "password=hunter2", "fetch.min.bytes": "x"})
	if err == nil || !strings.Contains(err.Error(), "sasl.jaas.config") || !strings.Contains(err.Error(), "fetch.min.bytes") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got error %v, want one that names both properties and no password", err)
	}
}

func TestCheck(t *testing.T) {
	good := Config{ID: "a/b", Brokers: []string{"x:1"}, Topics: []Topic{{Name: "t"}}, Properties: map[string]string{"x.y": "z"}}
	if w, err := Check(good); err != nil || len(w) != 1 {
		t.Errorf("got %v, %v, want one warning", w, err)
	}
	for _, c := range []struct {
		want   string
		change func(*Config)
	}{
		{"no id", func(c *Config) { c.ID = "" }},
		{"no broker", func(c *Config) { c.Brokers = nil }},
		{"no topic", func(c *Config) { c.Topics = nil }},
		{"without a name", func(c *Config) { c.Topics = []Topic{{}} }},
		{"twice", func(c *Config) { c.Topics = []Topic{{Name: "t"}, {Name: "t"}} }},
		{"value type", func(c *Config) { c.Topics[0].ValueType = strings.Repeat("x", 1<<17) }},
		{"policy", func(c *Config) { c.Topics[0].OnNullKey = 9 }},
		{"reset", func(c *Config) { c.Reset = 7 }},
		{"consumer group", func(c *Config) { c.Startup.Kind = StartGroupOffsets }},
		{"not an offset", func(c *Config) {
			c.Startup = Startup{Kind: StartSpecificOffsets, Offsets: map[TopicPartition]int64{{"t", 0}: -1}}
		}},
		{"1970", func(c *Config) { c.Startup = Startup{Kind: StartDate} }},
		{"startup position", func(c *Config) { c.Startup.Kind = 99 }},
		{"ssl.x", func(c *Config) { c.Properties = map[string]string{"ssl.x": ""} }},
	} {
		bad := good
		bad.Topics = append([]Topic(nil), good.Topics...)
		c.change(&bad)
		complaints, err := Check(bad)
		if err = errors.Join(err, kafkaproperty.Errors(complaints)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check: got error %v, want one with %q", err, c.want)
		}
		if _, err := New(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New: got error %v, want one with %q", err, c.want)
		}
	}
}
