package kafka

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// settings is what the properties of the Java consumer come to.
type settings struct {
	client    *sarama.Config
	discovery time.Duration // flink.partition-discovery.interval-millis; 0: not given or switched off
}

// property is one property of the Java consumer that has an equivalent here.
type property struct {
	name  string
	apply func(s *settings, value string) error
}

// translated is every property that has an effect. The defaults stand in newSettings.
var translated = []property{
	{"client.id", func(s *settings, v string) error { s.client.ClientID = v; return nil }},
	{"client.rack", func(s *settings, v string) error { s.client.RackID = v; return nil }},
	{"isolation.level", isolation},
	{"fetch.min.bytes", count(1, func(s *settings, n int32) { s.client.Consumer.Fetch.Min = n })},
	{"fetch.max.bytes", count(1, func(s *settings, n int32) { s.client.Consumer.Fetch.MaxBytes = n })},
	{"max.partition.fetch.bytes", count(1, func(s *settings, n int32) { s.client.Consumer.Fetch.Default = n })},
	{"fetch.max.wait.ms", millis(1, func(s *settings, d time.Duration) { s.client.Consumer.MaxWaitTime = d })},
	{"request.timeout.ms", millis(1, func(s *settings, d time.Duration) { s.client.Net.ReadTimeout, s.client.Net.WriteTimeout = d, d })},
	{"socket.connection.setup.timeout.ms", millis(1, func(s *settings, d time.Duration) { s.client.Net.DialTimeout = d })},
	{"metadata.max.age.ms", millis(1, func(s *settings, d time.Duration) { s.client.Metadata.RefreshFrequency = d })},
	{"flink.partition-discovery.interval-millis", discovery},
}

// surplus is every property that says what is so anyway, or what module.yaml says elsewhere: no word is lost about them.
var surplus = map[string]bool{
	"bootstrap.servers": true, "group.id": true, "key.deserializer": true, "value.deserializer": true,
}

// moot is every property whose lack of effect has a reason worth saying.
var moot = map[string]string{
	"auto.offset.reset":               "autoOffsetResetPosition decides, its default (latest) too",
	"enable.auto.commit":              "positions live in the store and are shown to the group every few seconds",
	"auto.commit.interval.ms":         "positions live in the store and are shown to the group every few seconds",
	"allow.auto.create.topics":        "a topic is never created by reading it",
	"max.poll.records":                "a batch is what has gathered",
	"max.poll.interval.ms":            "the group is never joined",
	"session.timeout.ms":              "the group is never joined",
	"heartbeat.interval.ms":           "the group is never joined",
	"group.instance.id":               "the group is never joined",
	"group.protocol":                  "the group is never joined",
	"partition.assignment.strategy":   "the group is never joined",
	"flink.disable-metrics":           "it speaks to Flink",
	"flink.poll-timeout":              "it speaks to Flink",
	"check.crcs":                      "checksums are always checked",
	"exclude.internal.topics":         "topics are named one by one",
	"default.api.timeout.ms":          "a broker that is away is waited for",
	"internal.leave.group.on.close":   "the group is never joined",
	"client.dns.lookup":               "names are looked up at each connection",
	"partition.discovery.interval.ms": "write flink.partition-discovery.interval-millis",
}

// Check says whether the configuration can be used, and which of its properties have no effect.
func Check(c Config) (warnings []string, err error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	_, warnings, err = newSettings(c.Properties)
	if err != nil {
		err = fmt.Errorf("kafka ingress %s: %w", c.ID, err)
	}
	return warnings, err
}

// newSettings translates the properties. Where several are wrong the error names them all.
func newSettings(properties map[string]string) (*settings, []string, error) {
	s := &settings{client: newClientConfig()}
	var warnings []string
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value := strings.TrimSpace(properties[name])
		i := slices.IndexFunc(translated, func(p property) bool { return p.name == name })
		switch {
		case i >= 0:
			if err := translated[i].apply(s, value); err != nil {
				wrong = append(wrong, fmt.Errorf("property %s: %w", name, err))
			}
		case surplus[name]:
		case moot[name] != "":
			warnings = append(warnings, fmt.Sprintf("property %s has no effect: %s", name, moot[name]))
		case name == "security.protocol" && strings.EqualFold(value, "PLAINTEXT"):
		case strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "sasl.") || strings.HasPrefix(name, "ssl."):
			wrong = append(wrong, fmt.Errorf("property %s: connections with TLS or SASL are not supported yet", name))
		default:
			warnings = append(warnings, fmt.Sprintf("property %s has no equivalent and no effect", name))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, warnings, err
	}
	if err := s.client.Validate(); err != nil {
		return nil, warnings, fmt.Errorf("properties: %w", err)
	}
	return s, warnings, nil
}

func isolation(s *settings, value string) error {
	switch value {
	case "read_committed":
		s.client.Consumer.IsolationLevel = sarama.ReadCommitted
	case "read_uncommitted":
		s.client.Consumer.IsolationLevel = sarama.ReadUncommitted
	default:
		return fmt.Errorf("%q is neither read_committed nor read_uncommitted", value)
	}
	return nil
}

func discovery(s *settings, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number of milliseconds", value)
	}
	if n > 0 {
		s.discovery = time.Duration(min(n, math.MaxInt32)) * time.Millisecond
	}
	return nil
}

func count(least int32, set func(*settings, int32)) func(*settings, string) error {
	return func(s *settings, value string) error {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a number from 0 to %d", value, math.MaxInt32)
		}
		set(s, max(least, int32(n)))
		return nil
	}
}

func millis(least int32, set func(*settings, time.Duration)) func(*settings, string) error {
	return count(least, func(s *settings, n int32) { set(s, time.Duration(n)*time.Millisecond) })
}
