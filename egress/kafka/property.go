package kafka

import (
	"cmp"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/internal/kafkaproperty"
	"github.com/stategate/stategate/statestore"
)

// Complaint is what is to be said of one property, at whose line.
type Complaint = kafkaproperty.Complaint

// settings is what properties become.
type settings struct {
	*kafkaproperty.Settings
	dial           dialFunc // Settings.Dial
	clientID       string
	recordBytes    int // max.request.size
	requestBytes   int // the same where it is given: nothing else is known to bound requests so low
	requestTimeout time.Duration
	metadataAge    time.Duration
	codec          sarama.CompressionCodec
	level          int
	acks           sarama.RequiredAcks
}

var (
	codecs = map[kafkaproperty.Codec]sarama.CompressionCodec{
		kafkaproperty.None: sarama.CompressionNone, kafkaproperty.Gzip: sarama.CompressionGZIP, kafkaproperty.Snappy: sarama.CompressionSnappy,
		kafkaproperty.LZ4: sarama.CompressionLZ4, kafkaproperty.Zstd: sarama.CompressionZSTD,
	}
	acks = map[kafkaproperty.Acks]sarama.RequiredAcks{
		kafkaproperty.AcksDefault: sarama.WaitForAll, kafkaproperty.AcksAll: sarama.WaitForAll, kafkaproperty.AcksLeader: sarama.WaitForLocal,
		kafkaproperty.AcksNone: sarama.NoResponse,
	}
)

// The table's bound of max.request.size and what a record takes here are the same.
var _ = [1]struct{}{}[kafkaproperty.RecordBytesMin-recordOverhead]

// newSettings fills in what properties leave open.
func newSettings(id string, p *kafkaproperty.Settings) settings {
	return settings{
		Settings: p, dial: p.Dial, clientID: cmp.Or(p.ClientID, "stategate-"+id), recordBytes: cmp.Or(p.RecordBytes, 1<<20), requestBytes: cmp.Or(p.RecordBytes, math.MaxInt),
		requestTimeout: cmp.Or(p.RequestTimeout, 30*time.Second), metadataAge: cmp.Or(p.MetadataAge, 5*time.Minute),
		codec: codecs[p.Codec], level: cmp.Or(p.Level, sarama.CompressionLevelDefault), acks: acks[p.Acks],
	}
}

// Check lists what is to be said of the configuration's properties: what is wrong with them, and what is asked for and not given.
// The error is of what is no property; New refuses it, too.
func Check(cfg Config) ([]Complaint, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("egress %s: %w", cfg.ID, err)
	}
	_, complaints := translate(cfg)
	return complaints, nil
}

// translate turns properties into settings. They can be used only where no complaint is an error.
func translate(cfg Config) (settings, []Complaint) {
	p, complaints := kafkaproperty.Translate(kafkaproperty.Producer, cfg.Properties)
	s := newSettings(cfg.ID, p)
	if t := cfg.TransactionTimeout; cfg.Semantic == ExactlyOnce && t > 0 && t < transactionTimeoutLow {
		complaints = append(complaints, Complaint{Text: fmt.Sprintf("transaction timeout %s: below %s a slow broker aborts good transactions", t, transactionTimeoutLow)})
	}
	if s.acks != sarama.WaitForAll && cfg.Semantic != None {
		complaints = append(complaints, Complaint{Property: "acks", Text: fmt.Sprintf("property acks has no effect: %s needs all", cfg.Semantic)})
		s.acks = sarama.WaitForAll
	}
	return s, complaints
}

// client is the client's configuration for one session.
func (set *settings) client(cfg Config, lane statestore.LaneID, w *wires, hurry *atomic.Int32) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.ClientID = set.clientID
	c.Net.MaxOpenRequests = 1 // keeps order and is what an idempotent producer needs
	c.Net.ReadTimeout, c.Net.WriteTimeout = set.requestTimeout+netMargin, set.requestTimeout+netMargin
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, w
	set.logIn(c, w)
	c.Metadata.Full = false
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.RefreshFrequency = set.metadataAge
	c.Metadata.Retry.BackoffFunc = backoff(hurry, 10*time.Millisecond, 250*time.Millisecond)

	p := &c.Producer
	p.MaxMessageBytes = set.recordBytes
	p.RequiredAcks = set.acks
	p.Timeout = set.requestTimeout
	p.Compression, p.CompressionLevel = set.codec, set.level
	p.Return.Successes, p.Return.Errors = true, true
	// A new session is sure in a transaction, so the producer gives up sooner; elsewhere it would send what is there already. But half a
	// second must be: a topic that was just made has no leader for so long, and a transaction that is given up then can hold up
	// others, for Kafka cannot write its markers either.
	p.Retry.Max = 10
	if cfg.Semantic == ExactlyOnce {
		p.Retry.Max = 6
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

// logIn says who the client is.
func (set *settings) logIn(c *sarama.Config, w *wires) {
	if set.SASL == nil {
		return
	}
	sasl := &c.Net.SASL
	sasl.Enable, sasl.Mechanism, sasl.User, sasl.Password = true, sarama.SASLMechanism(set.SASL.Mechanism), set.SASL.User, set.SASL.Password.Reveal()
	sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return set.SASL.Conversation() }
	sasl.TokenProvider = tokens{w, set.SASL}
}

// tokens gives the tokens of one session, whose end calls off that one is fetched.
type tokens struct {
	wires *wires
	sasl  *kafkaproperty.SASL
}

// Token implements sarama.AccessTokenProvider.
func (t tokens) Token() (*sarama.AccessToken, error) {
	text, err := t.sasl.Tokens.Token(t.wires.ctx)
	if err != nil {
		return nil, err
	}
	return &sarama.AccessToken{Token: text.Reveal(), Extensions: t.sasl.Extensions}, nil
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
