package kafkaproperty

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConsumer(t *testing.T) {
	got, complaints := Translate(Consumer, map[string]string{
		"client.id": "me", "client.rack": "r1", "isolation.level": "read_uncommitted", "fetch.min.bytes": "0", "fetch.max.bytes": "1000",
		"max.partition.fetch.bytes": " 2000 ", "fetch.max.wait.ms": "70", "request.timeout.ms": "1234", "socket.connection.setup.timeout.ms": "99",
		"metadata.max.age.ms": "5000", "flink.partition-discovery.interval-millis": "777", "send.buffer.bytes": "-1", "receive.buffer.bytes": "4096",
		"bootstrap.servers": "x:1", "group.id": "g", "security.protocol": "plaintext", "max.poll.records": "5", "some.thing": "x", "linger.ms": "1",
	})
	want := &Settings{ClientID: "me", Rack: "r1", Isolation: ReadUncommitted, FetchMin: 1, FetchMax: 1000, FetchPartition: 2000,
		FetchWait: 70 * time.Millisecond, RequestTimeout: 1234 * time.Millisecond, ConnectTimeout: 99 * time.Millisecond, MetadataAge: 5 * time.Second,
		Discovery: 777 * time.Millisecond, ReceiveBuffer: 4096}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Complaint{
		{Property: "linger.ms", Text: "property linger.ms has no effect: it is a producer's"},
		{Property: "max.poll.records", Text: "property max.poll.records has no effect: a batch is what has gathered"},
		{Property: "some.thing", Text: "property some.thing has no effect: it is not known"},
	}, complaints); d != "" {
		t.Errorf("complaints (-want +got):\n%s", d)
	}
}

func TestProducer(t *testing.T) {
	got, complaints := Translate(Producer, map[string]string{
		"acks": "1", "compression.type": "zstd", "compression.zstd.level": "-5", "compression.gzip.level": "3", "max.request.size": "2000000",
		"isolation.level": "read_committed",
	})
	if d := cmp.Diff(&Settings{Acks: AcksLeader, Codec: Zstd, Level: 1, RecordBytes: 2000000}, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"property isolation.level has no effect: it is a consumer's"}, Warnings(complaints)); d != "" {
		t.Error(d)
	}
}

// TestLevels: a level counts for its own codec only, whatever the order of the names.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		codec, gzip, zstd string
		want              int
	}{{"gzip", "9", "5", 9}, {"gzip", "-1", "5", 0}, {"zstd", "9", "22", 22}, {"zstd", "9", "0", 0}, {"lz4", "9", "5", 0}, {"none", "9", "5", 0}} {
		s, complaints := Translate(Producer, map[string]string{"compression.type": c.codec, "compression.gzip.level": c.gzip, "compression.zstd.level": c.zstd})
		if s.Level != c.want || len(complaints) > 0 {
			t.Errorf("%+v: level %d, %v", c, s.Level, complaints)
		}
	}
}

// TestWrongValues: a value that cannot be used is an error at its property, and never shown.
func TestWrongValues(t *testing.T) {
	for name, values := range map[string][]string{
		"isolation.level":                           {"", "READ_COMMITTED", "dirty"},
		"fetch.min.bytes":                           {"", "x", "-1", "99999999999", "1.5"},
		"request.timeout.ms":                        {"10s", "-5", "0", "9223372036854775808"},
		"socket.connection.setup.timeout.ms":        {"0", "x"},
		"fetch.max.wait.ms":                         {"2147483648"},
		"flink.partition-discovery.interval-millis": {"", "often"},
		"send.buffer.bytes":                         {"-2", "x"},
		"acks":                                      {"2", "ALL", ""},
		"compression.type":                          {"brotli", "GZIP"},
		"compression.gzip.level":                    {"0", "10", "x"},
		"compression.zstd.level":                    {"23", "-131073"},
		"max.request.size":                          {"5", "104857600", "x"},
		"security.protocol":                         {"TLS", "", "NONE"},
	} {
		for _, v := range values {
			role := table[name].role
			if role == both {
				role = Consumer
			}
			_, complaints := Translate(role, map[string]string{name: v})
			if len(complaints) != 1 || !complaints[0].Wrong || complaints[0].Property != name || Errors(complaints) == nil || v != "" && len(v) > 2 && strings.Contains(strings.TrimPrefix(complaints[0].Text, "property "+name), v) {
				t.Errorf("%s=%q: %v", name, v, complaints)
			}
		}
	}
}

// TestSpelling: a name that is another only by its case, its blanks or the signs between its words is no unknown one where that concerns
// security: an error names the right one.
func TestSpelling(t *testing.T) {
	for name, want := range map[string]string{
		"Security.Protocol": "write security.protocol", "SECURITY.PROTOCOL": "write security.protocol", "security.protocol ": "write security.protocol",
		"\u00a0security.protocol\u200b": "write security.protocol", "security_protocol": "write security.protocol", "security-protocol": "write security.protocol",
		"SecurityProtocol": "write security.protocol", "properties.security.protocol": "write security.protocol", "security. protocol": "write security.protocol",
		"Ssl.truststore.location": "write ssl.truststore.location", "ssl_truststore_location": "write ssl.truststore.location",
		" sasl.mechanism": "write sasl.mechanism", "SASL_JAAS_CONFIG": "write sasl.jaas.config", "ssl.Provider": "write ssl.provider",
		"securityprotocl": "never left out", "Sasl.made.up": "never left out", "ssl": "never left out", "properties.ssl.made.up": "never left out",
	} {
		for _, role := range []Role{Consumer, Producer} {
			s, complaints := Translate(role, map[string]string{name: "SASL_SSL", "client.id": "a"})
			if len(complaints) != 1 || !complaints[0].Wrong || complaints[0].Property != name || !strings.HasSuffix(complaints[0].Text, want) || s.TLS != nil {
				t.Errorf("%s %q: %v", role, name, complaints)
			}
		}
	}
	for _, name := range []string{"Client.id", "FETCH.MIN.BYTES", "client_id", "my.security.protocol"} { // as in Java
		if _, complaints := Translate(Consumer, map[string]string{name: "x"}); len(complaints) != 1 || complaints[0].Wrong {
			t.Errorf("%q: %v", name, complaints)
		}
	}
}

// TestNoNameShowsAValue: a value that has slipped into a name is not shown, and Property still says whose the complaint is.
func TestNoNameShowsAValue(t *testing.T) {
	for _, name := range []string{
		"ssl.key.password=CANARY", "ssl.key.password:CANARY", "ssl.key.password CANARY", "password=\"CANARY\";", "client.id=CANARY", "CANARY@host", "sasl.jaas.config\nCANARY",
		"properties.ssl.key.password=CANARY", strings.Repeat("a", 100) + "CANARY", "http://u:CANARY@h",
	} {
		_, complaints := Translate(Consumer, map[string]string{name: "x"})
		if len(complaints) != 1 || complaints[0].Property != name || strings.Contains(complaints[0].Text, "CANARY") {
			t.Errorf("%q: %v", name, complaints)
		}
	}
}
