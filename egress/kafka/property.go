package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/statestore"
)

// settings is what properties become.
type settings struct {
	clientID       string
	recordBytes    int // max.request.size
	requestTimeout time.Duration
	metadataAge    time.Duration
	codec          sarama.CompressionCodec
	levels         map[sarama.CompressionCodec]int
	acks           sarama.RequiredAcks
}

func defaults(id string) settings {
	return settings{
		clientID: "stategate-" + id, recordBytes: 1 << 20, requestTimeout: 30 * time.Second, metadataAge: 5 * time.Minute,
		levels: make(map[sarama.CompressionCodec]int), acks: sarama.WaitForAll,
	}
}

// recordBytesMax is what the client can put into one request, with room around it.
const recordBytesMax = 100<<20 - 64<<10

// property says what becomes of one property of Kafka's Java producer: set takes it over; without set it is not used, because.
type property struct {
	set     func(s *settings, value string) error
	because string
}

// properties is the one table of translations.
var properties = map[string]property{
	"acks":                   {set: setAcks},
	"client.id":              {set: func(s *settings, v string) error { s.clientID = v; return nil }},
	"compression.type":       {set: setCodec},
	"compression.gzip.level": {set: setLevel(sarama.CompressionGZIP, 1, 9)},
	"compression.zstd.level": {set: setLevel(sarama.CompressionZSTD, 1, 22)},
	"max.request.size":       {set: setRecordBytes},
	"metadata.max.age.ms":    {set: setMillis(func(s *settings, d time.Duration) { s.metadataAge = d })},
	"request.timeout.ms":     {set: setMillis(func(s *settings, d time.Duration) { s.requestTimeout = d })},
	"security.protocol":      {set: setProtocol},

	"bootstrap.servers":      {because: "address says it"},
	"transaction.timeout.ms": {because: "deliverySemantic.transactionTimeout says it"},
	"transactional.id":       {because: "it belongs to the lane"},
	"enable.idempotence":     {because: "the delivery semantic says it"},
	"key.serializer":         {because: "records are bytes"},
	"value.serializer":       {because: "records are bytes"},
	"partitioner.class":      {because: "keys are spread as by Kafka's default partitioner"},

	"linger.ms":                             {because: "outputs gather while the ones before them are on their way; nothing waits for a timer"},
	"batch.size":                            {because: "a batch holds what has gathered, up to max.request.size"},
	"buffer.memory":                         {because: "outputs are bounded by the gateway's own budget"},
	"max.block.ms":                          {because: "outputs wait in the outbox for as long as it takes"},
	"delivery.timeout.ms":                   {because: "outputs are tried until Kafka takes them"},
	"retries":                               {because: "outputs are tried until Kafka takes them"},
	"retry.backoff.ms":                      {because: "the gateway chooses its own waits"},
	"retry.backoff.max.ms":                  {because: "the gateway chooses its own waits"},
	"reconnect.backoff.ms":                  {because: "the gateway chooses its own waits"},
	"reconnect.backoff.max.ms":              {because: "the gateway chooses its own waits"},
	"max.in.flight.requests.per.connection": {because: "order needs one at a time"},
}

func setAcks(s *settings, v string) error {
	switch v {
	case "all", "-1":
		s.acks = sarama.WaitForAll
	case "1":
		s.acks = sarama.WaitForLocal
	case "0":
		s.acks = sarama.NoResponse
	default:
		return errors.New(`want "all", "-1", "0" or "1"`)
	}
	return nil
}

func setCodec(s *settings, v string) error {
	codecs := map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	codec, ok := codecs[v]
	if !ok {
		return errors.New("want none, gzip, snappy, lz4 or zstd")
	}
	s.codec = codec
	return nil
}

func setLevel(codec sarama.CompressionCodec, least, most int) func(*settings, string) error {
	return func(s *settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n != -1 && (n < least || n > most) {
			return fmt.Errorf("want a level from %d to %d", least, most)
		}
		if n != -1 {
			s.levels[codec] = n
		}
		return nil
	}
}

func setRecordBytes(s *settings, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < recordOverhead || n > recordBytesMax {
		return fmt.Errorf("want a number of bytes from %d to %d", recordOverhead, recordBytesMax)
	}
	s.recordBytes = n
	return nil
}

func setMillis(set func(*settings, time.Duration)) func(*settings, string) error {
	return func(s *settings, v string) error {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n <= 0 {
			return fmt.Errorf("want milliseconds from 1 to %d", int32(1<<31-1))
		}
		set(s, time.Duration(n)*time.Millisecond)
		return nil
	}
}

func setProtocol(_ *settings, v string) error {
	if !strings.EqualFold(v, "PLAINTEXT") {
		return errors.New("only PLAINTEXT is supported")
	}
	return nil
}

// Check lists what a configuration asks for and does not get, sorted. The error is what New would refuse it with.
func Check(cfg Config) (warnings []string, err error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("egress %s: %w", cfg.ID, err)
	}
	_, warnings, err = translate(cfg)
	if err != nil {
		err = fmt.Errorf("egress %s: %w", cfg.ID, err)
	}
	return warnings, err
}

// translate turns properties into settings.
func translate(cfg Config) (s settings, warnings []string, err error) {
	s = defaults(cfg.ID)
	for _, name := range slices.Sorted(maps.Keys(cfg.Properties)) {
		value := strings.TrimSpace(cfg.Properties[name])
		p, known := properties[name]
		switch {
		case known && p.set != nil:
			if e := p.set(&s, value); e != nil {
				err = errors.Join(err, fmt.Errorf("property %s: %q: %w", name, short(value), e))
			}
		case known:
			warnings = append(warnings, fmt.Sprintf("property %s is not used: %s", name, p.because))
		case strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "sasl.") || strings.HasPrefix(name, "ssl."):
			err = errors.Join(err, fmt.Errorf("property %s is not supported: without it the connection would be less safe than asked for", name))
		default:
			warnings = append(warnings, fmt.Sprintf("property %s is not known and not used", name))
		}
	}
	if t := cfg.TransactionTimeout; cfg.Semantic == ExactlyOnce && t > 0 && t < transactionTimeoutLow {
		warnings = append(warnings, fmt.Sprintf("transaction timeout %s: below %s a slow broker aborts good transactions", t, transactionTimeoutLow))
	}
	if s.acks != sarama.WaitForAll && cfg.Semantic != None {
		warnings = append(warnings, fmt.Sprintf("property acks is not used: %s needs all", cfg.Semantic))
		s.acks = sarama.WaitForAll
	}
	return s, warnings, err
}

// client is the client's configuration for one session.
func (set *settings) client(cfg Config, lane statestore.LaneID, w *wires, hurry *atomic.Int32) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.ClientID = set.clientID
	c.Net.MaxOpenRequests = 1 // keeps order and is what an idempotent producer needs
	c.Net.ReadTimeout, c.Net.WriteTimeout = set.requestTimeout+netMargin, set.requestTimeout+netMargin
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, w
	c.Metadata.Full = false
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.RefreshFrequency = set.metadataAge
	c.Metadata.Retry.BackoffFunc = backoff(hurry, 10*time.Millisecond, 250*time.Millisecond)

	p := &c.Producer
	p.MaxMessageBytes = set.recordBytes
	p.RequiredAcks = set.acks
	p.Timeout = set.requestTimeout
	p.Compression = set.codec
	if level, ok := set.levels[set.codec]; ok {
		p.CompressionLevel = level
	}
	p.Partitioner = sarama.NewMurmur2Partitioner
	p.Return.Successes, p.Return.Errors = true, true
	// A new session costs little and is sure in a transaction, so the client gives up soon; elsewhere it would send what is there already.
	p.Retry.Max = 10
	if cfg.Semantic == ExactlyOnce {
		p.Retry.Max = 3
	}
	p.Retry.BackoffFunc = backoff(hurry, 10*time.Millisecond, 250*time.Millisecond)
	p.Transaction.Retry.Max = 100
	p.Transaction.Retry.BackoffFunc = backoff(hurry, time.Millisecond, 100*time.Millisecond)
	if cfg.Semantic != None {
		p.Idempotent = true
	}
	if cfg.Semantic == ExactlyOnce {
		p.Transaction.ID = cfg.name(lane)
		p.Transaction.Timeout = cfg.timeout()
	}
	return c
}

const netMargin = 2 * time.Second // that a broker's own time-out may be late

// backoff doubles from first to most, and stops waiting when its session hurries.
func backoff(hurry *atomic.Int32, first, most time.Duration) func(int, int) time.Duration {
	return func(retries, _ int) time.Duration {
		if hurry.Load() > 0 {
			return 0
		}
		if retries > 20 {
			return most
		}
		return min(first<<max(retries, 0), most)
	}
}
