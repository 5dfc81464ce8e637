package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/internal/testserver"
)

const (
	kafkaModules = "org.apache.kafka.common.security."
	secret       = "hunter2-which-nobody-may-see"
)

// journal is a log that several goroutines write to.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) noSecret(t *testing.T, texts ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, text := range append(texts, j.text.String()) {
		for _, s := range []string{secret, testserver.PlainPassword, "PRIVATE KEY", "LoginModule required"} {
			if strings.Contains(text, s) {
				t.Errorf("%q is told in:\n%s", s, text)
			}
		}
	}
}

// secured is a scenario's place on a broker that asks who comes: what the test itself does needs no login.
func secured(t *testing.T, at testserver.Listener, properties map[string]string) (*broker, Config, *journal) {
	t.Helper()
	k := testserver.SecureKafka(t)
	b := real(t, k)
	cfg, log := b.cfg, &journal{}
	cfg.Brokers, cfg.Properties = []string{k.AddrOf(at)}, properties
	cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return b, cfg, log
}

func addUser(t *testing.T, mechanism, user, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := testserver.SecureKafka(t).AddUser(ctx, mechanism, user, password); err != nil {
		t.Fatal(err)
	}
}

func scramUser(user string) string {
	return fmt.Sprintf(kafkaModules+`scram.ScramLoginModule required username="%s" password="%s";`, user, secret)
}

// jks is a keystore of a client, as Java 8 made it.
func jks(t *testing.T, name string) string {
	t.Helper()
	certificate, key, err := testserver.SecureKafka(t).Security.Authority.Issue(testserver.Subject{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ks := keystore.New()
	entry := keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: der, CertificateChain: []keystore.Certificate{{Type: "X509", Content: pair.Certificate[0]}}}
	if err := ks.SetPrivateKeyEntry("client", entry, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "client.jks"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := ks.Store(file, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// TestListeners delivers exactly once by every way into a broker, over the end of a relay: cursor, coordinators and producers all log in.
func TestListeners(t *testing.T) {
	t.Parallel()
	trust := string(testserver.SecureKafka(t).Security.Authority.PEM)
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		addUser(t, mechanism, "alice", secret)
	}
	for name, way := range map[string]struct {
		listener   testserver.Listener
		properties map[string]string
	}{
		"SASL_SSL SCRAM-SHA-256": {testserver.SASLSSL, map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256",
			"sasl.jaas.config": scramUser("alice"), "ssl.truststore.certificates": trust}},
		"SASL_SSL SCRAM-SHA-512": {testserver.SASLSSL, map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
			"sasl.jaas.config": scramUser("alice"), "ssl.truststore.certificates": trust, "ssl.endpoint.identification.algorithm": ""}},
		"SASL_PLAINTEXT PLAIN": {testserver.SASLPlaintext, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
			"sasl.jaas.config": fmt.Sprintf(kafkaModules+`plain.PlainLoginModule required username="%s" password="%s";`, testserver.PlainUser, testserver.PlainPassword)}},
		"SASL_PLAINTEXT OAUTHBEARER": {testserver.SASLPlaintext, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER",
			"sasl.jaas.config": kafkaModules + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";`}},
		"SSL client certificate": {testserver.MutualTLS, map[string]string{"security.protocol": "SSL", "ssl.truststore.certificates": trust, "ssl.protocol": "TLSv1.2",
			"ssl.keystore.location": jks(t, "alice"), "ssl.keystore.password": secret, "compression.type": "lz4"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, cfg, log := secured(t, way.listener, way.properties)
			o := newOutbox("shop/out")
			first := begin(t, o, cfg)
			for n := range 20 {
				first.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(n+1)))
			}
			o.waitDelivered(t, 21)
			if err := first.end(t); err != nil {
				t.Fatal(err)
			}
			second := begin(t, o, cfg)
			second.emit(kafkaOutput(b.topic("out"), "key-0", "21"))
			o.waitDelivered(t, 22)
			// The egress is at-least-once from now on: what its former transactional id left is ended by a producer that logs in, too.
			if err := second.end(t); err != nil {
				t.Fatal(err)
			}
			cfg.Semantic = AtLeastOnce
			third := begin(t, o, cfg)
			third.emit(kafkaOutput(b.topic("out"), "key-0", "22"))
			o.waitDelivered(t, 23)
			if diff := cmp.Diff(numbers(1, 22), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
			if err := third.end(t); err != nil {
				t.Fatal(err)
			}
			log.noSecret(t)
			log.mu.Lock()
			defer log.mu.Unlock()
			if !strings.Contains(log.text.String(), "no transaction of that time is open any more") {
				t.Errorf("the former transactional id was not ended:\n%s", log.text.String())
			}
		})
	}
}

// TestRefusedByTheBroker: a wrong password, and a certificate that is not trusted, keep the outputs, are told with their cause and tried
// again; the user's password, set right at the broker, ends it.
func TestRefusedByTheBroker(t *testing.T) {
	t.Parallel()
	trust := string(testserver.SecureKafka(t).Security.Authority.PEM)
	addUser(t, "SCRAM-SHA-256", "erin", "another password")
	stranger, err := testserver.NewAuthority("stranger")
	if err != nil {
		t.Fatal(err)
	}
	scram := map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.jaas.config": scramUser("erin"), "ssl.truststore.certificates": trust}
	for name, way := range map[string]struct {
		listener testserver.Listener
		host     string
		change   map[string]string
		want     string
		mend     bool
	}{
		"password":    {testserver.SASLSSL, "", nil, "SASL Authentication failed", true},
		"authority":   {testserver.SASLSSL, "", map[string]string{"ssl.truststore.certificates": string(stranger.PEM)}, "add the authority to the truststore", false},
		"host name":   {testserver.SASLSSL, "localhost", nil, "connect by a name", false},
		"certificate": {testserver.MutualTLS, "", map[string]string{"security.protocol": "SSL"}, "ssl.keystore.location", false},
	} {
		t.Run(name, func(t *testing.T) {
			properties := map[string]string{}
			for _, from := range []map[string]string{scram, way.change} {
				for k, v := range from {
					properties[k] = v
				}
			}
			b, cfg, log := secured(t, way.listener, properties)
			if way.host != "" {
				cfg.Brokers[0] = strings.Replace(cfg.Brokers[0], "127.0.0.1", way.host, 1)
			}
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
			text := ""
			l.told.wait(t, "told: "+way.want, func() bool {
				text = l.told.degraded["egress shop/out: kafka"]
				return strings.Contains(text, way.want)
			})
			log.noSecret(t, text)
			if way.mend {
				allow(t, "erin", kmsg.ACLResourceTypeTopic, b.topic("out"), kmsg.ACLOperationWrite)
				allow(t, "erin", kmsg.ACLResourceTypeTopic, cursorTopicDefault, kmsg.ACLOperationRead, kmsg.ACLOperationCreate) // no other test may have made it
				allow(t, "erin", kmsg.ACLResourceTypeGroup, cfg.name(o.id), kmsg.ACLOperationRead)
				allow(t, "erin", kmsg.ACLResourceTypeTransactionalId, cfg.name(o.id), kmsg.ACLOperationWrite)
				addUser(t, "SCRAM-SHA-256", "erin", secret)
				o.waitDelivered(t, 2)
			}
			if err := l.end(t); err != nil {
				t.Fatal(err)
			}
			log.noSecret(t)
		})
	}
}

func allow(t *testing.T, user string, on kmsg.ACLResourceType, name string, to ...kmsg.ACLOperation) {
	t.Helper()
	var rights []testserver.Right
	for _, op := range to {
		rights = append(rights, testserver.Right{Principal: "User:" + user, On: on, Name: name, To: op})
	}
	if err := testserver.SecureKafka(t).Allow(t.Context(), rights...); err != nil {
		t.Fatal(err)
	}
}

// TestRightsAreNamed: exactly-once needs these rights; each that the user lacks is told by its name, and waited for.
func TestRightsAreNamed(t *testing.T) {
	t.Parallel()
	user := "carol-writes"
	addUser(t, "SCRAM-SHA-512", user, secret)
	b, cfg, log := secured(t, testserver.SASLPlaintext, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": scramUser(user)})
	b.create(t, "cursor", 1, nil)
	cfg.CursorTopic = b.topic("cursor")
	o := newOutbox("shop/out")
	id := cfg.name(o.id)
	l := begin(t, o, cfg)
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	want := func(right string) {
		t.Helper()
		l.told.wait(t, "told: "+right, func() bool { return strings.Contains(l.told.degraded["egress shop/out: kafka"], right) })
	}
	want("DESCRIBE and WRITE on transactional id " + id)
	allow(t, user, kmsg.ACLResourceTypeTransactionalId, id, kmsg.ACLOperationWrite)
	want("DESCRIBE and READ on topic " + cfg.CursorTopic)
	allow(t, user, kmsg.ACLResourceTypeTopic, cfg.CursorTopic, kmsg.ACLOperationRead)
	want("READ on group " + id)
	allow(t, user, kmsg.ACLResourceTypeGroup, id, kmsg.ACLOperationRead)
	want("DESCRIBE and WRITE on topic " + b.topic("out"))
	allow(t, user, kmsg.ACLResourceTypeTopic, b.topic("out"), kmsg.ACLOperationWrite)
	o.waitDelivered(t, 2)
	if diff := cmp.Diff(numbers(1, 1), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	log.noSecret(t)
}

// TestLoginIsRepeated: a broker that cuts off who does not log in again in time costs no output, none twice, and no order.
func TestLoginIsRepeated(t *testing.T) {
	t.Parallel()
	b, cfg, log := secured(t, testserver.SASLPlaintext, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
		"sasl.jaas.config": fmt.Sprintf(kafkaModules+`plain.PlainLoginModule required username="%s" password="%s";`, testserver.PlainUser, testserver.PlainPassword)})
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	n := 0
	for begin := time.Now(); time.Since(begin) < 3*testserver.PlainAgain; {
		n++
		l.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(n)))
		o.waitDelivered(t, uint64(n+1))
	}
	if diff := cmp.Diff(numbers(1, n), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	if l.told.lasts("egress shop/out: kafka") {
		t.Error("a condition lasts")
	}
	log.noSecret(t)
}

// TestFrozenBrokerWithTLS: a broker that stops in the middle of a transaction does not hold up the end of a relay: what TLS wants to
// say at the end of a connection is not waited for.
func TestFrozenBrokerWithTLS(t *testing.T) {
	t.Parallel()
	k := testserver.PrivateKafka(t, testserver.KafkaConfig{Secure: true})
	b := real(t, k)
	cfg := b.cfg
	cfg.Brokers = []string{k.AddrOf(testserver.SASLSSL)}
	cfg.Properties = map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "ssl.truststore.certificates": string(k.Security.Authority.PEM),
		"sasl.jaas.config": fmt.Sprintf(kafkaModules+`plain.PlainLoginModule required username="%s" password="%s";`, testserver.PlainUser, testserver.PlainPassword)}
	o := newOutbox("shop/out")
	frozen := make(chan error, 1)
	l := begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "sent" && len(r.batch) > 0 {
				frozen <- k.Signal(syscall.SIGSTOP)
			}
		}
	})
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	if err := <-frozen; err != nil {
		t.Fatal(err)
	}
	if err := l.end(t); err != nil { // within 15 s
		t.Fatal(err)
	}
	if err := k.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	next := begin(t, o, cfg)
	next.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
	o.waitDelivered(t, 3)
	if diff := cmp.Diff(numbers(1, 2), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// TestTokenEndpointHangs: a token endpoint that takes a request and never answers does not hold up the end of a relay.
func TestTokenEndpointHangs(t *testing.T) {
	t.Parallel()
	asked, ended := make(chan struct{}, 10), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	defer silent.Close()
	defer close(ended)
	_, cfg, log := secured(t, testserver.SASLPlaintext, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER",
		"sasl.jaas.config":                    kafkaModules + `oauthbearer.OAuthBearerLoginModule required clientId="gateway" clientSecret="` + secret + `";`,
		"sasl.oauthbearer.token.endpoint.url": silent.URL, "sasl.login.read.timeout.ms": "3600000"})
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	<-asked
	if err := l.end(t); err != nil { // within 15 s
		t.Fatal(err)
	}
	log.noSecret(t)
	if log.mu.Lock(); strings.Contains(log.text.String(), "left behind") {
		t.Errorf("a call was left behind:\n%s", log.text.String())
	}
	log.mu.Unlock()
}
