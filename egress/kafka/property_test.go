package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/internal/kafkaproperty"
	"github.com/stategate/stategate/statestore"
)

var noLane = statestore.LaneID{Egress: "shop/out", Slot: 3}

func newHurry() (*atomic.Int32, func()) {
	h := new(atomic.Int32)
	return h, func() { h.Add(1) }
}

func TestBackoff(t *testing.T) {
	hurry, hasten := newHurry()
	set := newSettings("e", new(kafkaproperty.Settings))
	conf := set.client(Config{Semantic: ExactlyOnce, ID: "shop/out", StoreID: testStore}, noLane, newWires(nil), hurry)
	if err := conf.Validate(); err != nil {
		t.Fatal(err)
	}
	retry := conf.Producer.Transaction.Retry
	if retry.Max != 100 {
		t.Errorf("%d retries, want 100", retry.Max)
	}
	for n, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 100, 100} {
		if got := retry.BackoffFunc(n, retry.Max); got != want*time.Millisecond {
			t.Errorf("wait %d is %s, want %d ms", n, got, want)
		}
	}
	if got := retry.BackoffFunc(99, retry.Max); got != 100*time.Millisecond {
		t.Errorf("the last wait is %s", got)
	}
	hasten()
	if got := retry.BackoffFunc(50, retry.Max); got != 0 {
		t.Errorf("in a hurry it waits %s", got)
	}
}

func TestTransactionTimeoutIsAnUpperBound(t *testing.T) {
	for value, want := range map[time.Duration]time.Duration{
		0: 30 * time.Second, 15 * time.Minute: 30 * time.Second, 30 * time.Second: 30 * time.Second, 7 * time.Second: 7 * time.Second,
		200 * time.Millisecond: 200 * time.Millisecond, time.Microsecond: time.Millisecond,
	} {
		cfg := Config{ID: "shop/out", Brokers: []string{"b:1"}, StoreID: testStore, TransactionTimeout: value}
		hurry, _ := newHurry()
		set := newSettings("e", new(kafkaproperty.Settings))
		if got := set.client(cfg, noLane, newWires(nil), hurry).Producer.Transaction.Timeout; got != want {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
		complaints, err := Check(cfg)
		if err != nil {
			t.Errorf("%s: %v", value, err)
		}
		if warned := strings.Contains(strings.Join(kafkaproperty.Warnings(complaints), "\n"), "aborts good transactions"); warned != (value > 0 && value < time.Second) {
			t.Errorf("%s: warned %v", value, warned)
		}
	}
}

func TestClientOfEachSemantic(t *testing.T) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			cfg := Config{ID: "shop/out", Brokers: []string{"b:1"}, StoreID: testStore, Semantic: semantic}
			hurry, _ := newHurry()
			set := newSettings(cfg.ID, new(kafkaproperty.Settings))
			c := set.client(cfg, noLane, newWires(nil), hurry)
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			id := ""
			if semantic == ExactlyOnce {
				id = "stategate-" + testStore + "-shop/out-3"
			}
			if c.Producer.Transaction.ID != id || c.Producer.Idempotent != (semantic != None) {
				t.Errorf("transactional id %q, idempotent %v", c.Producer.Transaction.ID, c.Producer.Idempotent)
			}
			if f := c.Producer.Flush; f.Frequency != 0 || f.Messages != 0 || f.Bytes != 0 || f.MaxMessages != 0 {
				t.Errorf("it lingers: %+v", f)
			}
			if c.Net.MaxOpenRequests != 1 || c.Producer.RequiredAcks != sarama.WaitForAll || c.Metadata.AllowAutoTopicCreation || c.Metadata.Full {
				t.Error("order, acknowledgements, or topics that are made by asking")
			}
		})
	}
}

func TestProperties(t *testing.T) {
	tests := []struct {
		name, value string
		semantic    Semantic
		warning     string // of Check
		err         string // of New
	}{
		{"compression.type", "lz4", ExactlyOnce, "", ""},
		{"compression.type", "brotli", ExactlyOnce, "", "want none, gzip, snappy, lz4 or zstd"},
		{"compression.gzip.level", "10", ExactlyOnce, "", "want a level from 1 to 9"},
		{"acks", "1", ExactlyOnce, "property acks has no effect: exactly-once needs all", ""},
		{"acks", "0", None, "", ""},
		{"acks", "2", None, "", `want "all", "-1", "0" or "1"`},
		{"max.request.size", "5", ExactlyOnce, "", "want a number from 82"},
		{"max.request.size", "10485760", ExactlyOnce, "", ""},
		{"request.timeout.ms", "0", ExactlyOnce, "", "want milliseconds"},
		{"linger.ms", "5", ExactlyOnce, "property linger.ms has no effect: outputs gather", ""},
		{"transactional.id", "x", ExactlyOnce, "it belongs to the lane", ""},
		{"transaction.timeout.ms", "1", ExactlyOnce, "deliverySemantic.transactionTimeout says it", ""},
		{"no.such", "x", ExactlyOnce, "property no.such has no effect: it is not known", ""},
		{"security.protocol", "PLAINTEXT", ExactlyOnce, "", ""},
		{"security.protocol", "SASL_SSL", ExactlyOnce, "", "want sasl.mechanism beside it"},
		{"sasl.jaas.config", "secret-password", ExactlyOnce, "property sasl.jaas.config has no effect: security.protocol is PLAINTEXT", ""},
		{"sasl.kerberos.service.name", "secret-password", ExactlyOnce, "", "GSSAPI (Kerberos) is not supported"},
		{"client.rack", "x", ExactlyOnce, "property client.rack has no effect: it is a consumer's", ""},
	}
	for _, test := range tests {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			cfg := Config{ID: "shop/out", Brokers: []string{"b:1"}, StoreID: testStore, Semantic: test.semantic, Properties: map[string]string{test.name: test.value}}
			_, err := New(cfg, statestore.Lane{LaneID: noLane, Next: 1, Low: 1}, nil)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("New: %v, want ...%s...", err, test.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret-password") {
				t.Errorf("%v: tells a secret", err)
			}
			complaints, err2 := Check(cfg)
			if err2 != nil {
				t.Errorf("Check: %v", err2)
			}
			checked := kafkaproperty.Errors(complaints)
			if said := strings.Join(kafkaproperty.Warnings(complaints), "\n"); !strings.Contains(said, test.warning) || test.warning == "" && said != "" {
				t.Errorf("Check warns: %q, want ...%s...", said, test.warning)
			}
			if (err == nil) != (checked == nil) || err != nil && !strings.HasSuffix(err.Error(), checked.Error()) {
				t.Errorf("Check: %v, New: %v, want the same", checked, err)
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{ID: "shop/out", Brokers: []string{"b:1"}, StoreID: testStore}
	for want, change := range map[string]func(*Config){
		"it has no id":                  func(c *Config) { c.ID = "" },
		"it has no brokers":             func(c *Config) { c.Brokers = nil },
		"unknown semantic":              func(c *Config) { c.Semantic = 9 },
		"exactly-once needs the store":  func(c *Config) { c.StoreID = "" },
		"must not be negative":          func(c *Config) { c.TransactionTimeout = -1 },
		"cursor topic: topic \"a b\": ": func(c *Config) { c.CursorTopic = "a b" },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg, statestore.Lane{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ...%s...", err, want)
		}
	}
}

// TestStartIsLogged: the effective time-out and the transactional id stand in the log.
func TestStartIsLogged(t *testing.T) {
	_, cfg := fake(t)
	cfg.TransactionTimeout = 15 * time.Minute
	var text bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&text, nil))
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	o.waitFor(t, "started", func() bool { return o.started })
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"transactionTimeout=30s", "transactionalID=stategate-" + testStore + "-shop/out-0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\n is without %s", text.String(), want)
		}
	}
}
