package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/stategate/stategate/internal/testserver"
)

const (
	modules  = "org.apache.kafka.common.security."
	userText = modules + `%s required username="%s" password="%s";`
	secret   = "hunter2-which-nobody-may-see"
)

// secured is a broker with listeners that ask who comes, and what a log has heard.
type secured struct {
	*broker
	server *testserver.KafkaServer
	trust  string // its authority, as PEM
	log    *journal
}

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

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	server := testserver.SecureKafka(t)
	return &secured{broker: newBroker(t, []string{server.Addr()}), server: server, trust: string(server.Security.Authority.PEM), log: &journal{}}
}

// config reads a topic by a listener that asks for something.
func (k *secured) config(o *observed, at testserver.Listener, topic string, properties map[string]string) Config {
	c := k.broker.config(o, topic)
	c.Brokers, c.Properties = []string{k.server.AddrOf(at)}, properties
	c.Log = slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return c
}

// noSecret fails the test when a text holds one.
func (k *secured) noSecret(texts ...string) {
	k.t.Helper()
	for _, text := range append(texts, k.log.String()) {
		for _, s := range []string{secret, testserver.PlainPassword, "PRIVATE KEY", "LoginModule required"} {
			if strings.Contains(text, s) {
				k.t.Errorf("%q is told in:\n%s", s, text)
			}
		}
	}
}

func (k *secured) addUser(mechanism, user, password string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if err := k.server.AddUser(ctx, mechanism, user, password); err != nil {
		k.t.Fatal(err)
	}
}

func (k *secured) allow(user string, on kmsg.ACLResourceType, name string, to ...kmsg.ACLOperation) {
	k.t.Helper()
	var rights []testserver.Right
	for _, op := range to {
		rights = append(rights, testserver.Right{Principal: "User:" + user, On: on, Name: name, To: op})
	}
	if err := k.server.Allow(k.t.Context(), rights...); err != nil {
		k.t.Fatal(err)
	}
}

// store is a keystore of a client, PKCS#12.
func (k *secured) store(authority *testserver.Authority, subject testserver.Subject) string {
	k.t.Helper()
	certificate, key, err := authority.Issue(subject)
	if err != nil {
		k.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		k.t.Fatal(err)
	}
	data, err := pkcs12.Modern.Encode(pair.PrivateKey, pair.Leaf, []*x509.Certificate{authority.Certificate}, secret)
	if err != nil {
		k.t.Fatal(err)
	}
	file := filepath.Join(k.t.TempDir(), "client.p12")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		k.t.Fatal(err)
	}
	return file
}

// endpoint gives tokens for alice that nobody has signed, as the broker takes them.
type endpoint struct {
	*httptest.Server
	down atomic.Bool
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if id, pw, _ := r.BasicAuth(); id != "gateway" || pw != secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		now := time.Now()
		claims := fmt.Sprintf(`{"sub":"alice","iat":%d,"exp":%d}`, now.Unix(), now.Add(time.Hour).Unix())
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "."
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, text)
	}))
	t.Cleanup(e.Close)
	return e
}

// oauth are the properties of a client that fetches its tokens.
func (k *secured) oauth(url string) map[string]string {
	return map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER", "ssl.truststore.certificates": k.trust,
		"sasl.jaas.config":                    modules + `oauthbearer.OAuthBearerLoginModule required clientId="gateway" clientSecret="` + secret + `" extension_traceId="1";`,
		"sasl.login.callback.handler.class":   modules + "oauthbearer.OAuthBearerLoginCallbackHandler",
		"sasl.oauthbearer.token.endpoint.url": url}
}

func also(base map[string]string, more ...string) map[string]string {
	all := maps.Clone(base)
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// TestListeners reads by every way into a broker, and shows its group that it has: all clients of the ingress log in.
func TestListeners(t *testing.T) {
	t.Parallel()
	k := newSecured(t)
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		k.addUser(mechanism, "alice", secret)
	}
	dir := t.TempDir()
	stores := map[string]string{}
	for _, kind := range []string{"JKS", "PKCS12"} {
		file, err := k.server.Security.Authority.Truststore(dir, kind, secret)
		if err != nil {
			t.Fatal(err)
		}
		stores[kind] = file
	}
	scram := fmt.Sprintf(userText, "scram.ScramLoginModule", "alice", secret)
	for name, way := range map[string]struct {
		listener   testserver.Listener
		properties map[string]string
	}{
		"SASL_SSL SCRAM-SHA-256 JKS": {testserver.SASLSSL, map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.jaas.config": scram,
			"ssl.truststore.location": stores["JKS"], "ssl.truststore.password": secret}},
		"SASL_SSL SCRAM-SHA-512 PKCS12": {testserver.SASLSSL, map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": scram,
			"ssl.truststore.location": stores["PKCS12"], "ssl.truststore.password": secret, "ssl.truststore.type": "PKCS12"}},
		"SASL_PLAINTEXT PLAIN": {testserver.SASLPlaintext, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
			"sasl.jaas.config": fmt.Sprintf(userText, "plain.PlainLoginModule", testserver.PlainUser, testserver.PlainPassword)}},
		"SASL_SSL OAUTHBEARER": {testserver.SASLSSL, map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER",
			"sasl.jaas.config": modules + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";`, "ssl.truststore.certificates": k.trust}},
		"SASL_SSL OAUTHBEARER endpoint": {testserver.SASLSSL, k.oauth(newEndpoint(t).URL)},
		"SSL client certificate": {testserver.MutualTLS, map[string]string{"security.protocol": "SSL", "ssl.truststore.certificates": k.trust,
			"ssl.keystore.location": k.store(k.server.Security.Authority, testserver.Subject{Name: "alice"}), "ssl.keystore.password": secret}},
	} {
		t.Run(name, func(t *testing.T) {
			k := &secured{broker: newBroker(t, k.addresses), server: k.server, log: k.log}
			topic, group := k.name("in"), k.name("group")
			k.create(topic, 2)
			o, e := observe(t), newEngine(t)
			config := k.config(o, way.listener, topic, way.properties)
			config.Group, config.Startup.Kind = group, StartGroupOffsets
			k.commitGroup(group, topic, map[int32]int64{0: 0, 1: 0})
			stop := run(t, config, e)
			k.produce(topic, 0, numbered("a", 0, 20)...)
			k.transaction(topic, kgo.TryAbort, numbered("x", 0, 5)...) // its markers are passed by a request of their own
			e.untilArrived(source(topic, 0), 20)
			untilGroup(t, k.broker, group, topic, 26)
			equal(t, "records", ids(e.visible(source(topic, 0))), wantIDs("a", 0, 20))
			stop()
		})
	}
	k.noSecret()
}

// TestRefusedByTheBroker: what a broker or its certificate does not allow is a condition with its cause, tried again, without a secret;
// what can be mended at the broker ends it.
func TestRefusedByTheBroker(t *testing.T) {
	t.Parallel()
	k := newSecured(t)
	k.addUser("SCRAM-SHA-256", "dave", "another password")
	stranger, err := testserver.NewAuthority("stranger")
	if err != nil {
		t.Fatal(err)
	}
	authority := k.server.Security.Authority
	scram := map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "ssl.truststore.certificates": k.trust,
		"sasl.jaas.config": fmt.Sprintf(userText, "scram.ScramLoginModule", "dave", secret)}
	mutual := map[string]string{"security.protocol": "SSL", "ssl.truststore.certificates": k.trust, "ssl.keystore.password": secret}
	away := newEndpoint(t)
	away.down.Store(true)
	topic := k.name("in")
	k.create(topic, 1)
	k.produce(topic, 0, numbered("a", 0, 3)...)
	for name, way := range map[string]struct {
		listener   testserver.Listener
		host       string
		properties map[string]string
		want       string
		mend       func()
	}{
		"password": {testserver.SASLSSL, "", scram, "SASL Authentication failed", func() {
			k.addUser("SCRAM-SHA-256", "dave", secret)
			k.allow("dave", kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationRead)
		}},
		"plain password": {testserver.SASLPlaintext, "", map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
			"sasl.jaas.config": fmt.Sprintf(userText, "plain.PlainLoginModule", testserver.PlainUser, secret)}, "SASL Authentication failed", nil},
		"authority":   {testserver.SASLSSL, "", also(scram, "ssl.truststore.certificates", string(stranger.PEM)), "add the authority to the truststore", nil},
		"host name":   {testserver.SASLSSL, "localhost", scram, "connect by a name", nil},
		"certificate": {testserver.MutualTLS, "", map[string]string{"security.protocol": "SSL", "ssl.truststore.certificates": k.trust}, "ssl.keystore.location", nil},
		"expired certificate": {testserver.MutualTLS, "", also(mutual, "ssl.keystore.location",
			k.store(authority, testserver.Subject{Name: "alice", NotAfter: time.Now().Add(-time.Minute)})), "is it in time?", nil},
		"stranger's certificate": {testserver.MutualTLS, "", also(mutual, "ssl.keystore.location", k.store(stranger, testserver.Subject{Name: "alice"})), "does the broker trust", nil},
		"token endpoint":         {testserver.SASLSSL, "", k.oauth(away.URL), "fetch a token from " + away.URL + ": it answers 503", func() { away.down.Store(false) }},
		"token": {testserver.SASLSSL, "", also(k.oauth(away.URL), "sasl.jaas.config",
			modules+`oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice" unsecuredLoginNumberClaim_exp="1";`,
			"sasl.login.callback.handler.class", modules+"oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler"), "SASL Authentication failed", nil},
		"TLS not spoken":      {testserver.SASLPlaintext, "", scram, "TLS with broker", nil},
		"login not asked for": {testserver.SASLSSL, "", map[string]string{"security.protocol": "SSL", "ssl.truststore.certificates": k.trust}, "security.protocol", nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := &secured{broker: newBroker(t, k.addresses), server: k.server, log: k.log}
			o, e := observe(t), newEngine(t)
			config := k.config(o, way.listener, topic, way.properties)
			if way.host != "" {
				config.Brokers[0] = strings.Replace(config.Brokers[0], "127.0.0.1", way.host, 1)
			}
			run(t, config, e)
			k.noSecret(o.untilSaid("no broker answers", way.want))
			if way.mend != nil {
				way.mend()
				o.untilRecovered("no broker answers")
				equal(t, "records", ids(e.untilArrived(source(topic, 0), 3)), wantIDs("a", 0, 3))
			}
		})
	}
	k.noSecret()
}

// TestRightsAreNamed: a right that the user lacks is told by its name, and waited for.
func TestRightsAreNamed(t *testing.T) {
	t.Parallel()
	k := newSecured(t)
	user := "carol-reads"
	k.addUser("SCRAM-SHA-512", user, secret)
	topic, group := k.name("in"), k.name("group")
	k.create(topic, 1)
	k.produce(topic, 0, numbered("a", 0, 3)...)
	o, e := observe(t), newEngine(t)
	config := k.config(o, testserver.SASLPlaintext, topic, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512",
		"sasl.jaas.config": fmt.Sprintf(userText, "scram.ScramLoginModule", user, secret)})
	config.Group = group
	run(t, config, e)
	want := func(condition, right string) {
		t.Helper()
		o.untilSaid(condition, right)
	}
	want("topic cannot be looked up", "DESCRIBE and READ on topic "+topic)
	k.allow(user, kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationDescribe)
	o.untilRecovered("topic cannot be looked up")
	want("cannot be read", "DESCRIBE and READ on topic "+topic)
	k.allow(user, kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationRead)
	o.untilRecovered("cannot be read")
	e.untilArrived(source(topic, 0), 3)
	o.until("the log names the right on the group", func() bool { return strings.Contains(k.log.String(), "READ on group "+group) })
	k.allow(user, kmsg.ACLResourceTypeGroup, group, kmsg.ACLOperationRead)
	untilGroup(t, k.broker, group, topic, 3)
	k.noSecret()
}

// TestLoginIsRepeated: a broker that cuts off who does not log in again in time is never noticed.
func TestLoginIsRepeated(t *testing.T) {
	t.Parallel()
	k := newSecured(t)
	topic, group := k.name("in"), k.name("group")
	k.create(topic, 1)
	o, e := observe(t), newEngine(t)
	config := k.config(o, testserver.SASLPlaintext, topic, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
		"sasl.jaas.config": fmt.Sprintf(userText, "plain.PlainLoginModule", testserver.PlainUser, testserver.PlainPassword)})
	config.Group = group
	run(t, config, e)
	n := 0
	for begin := time.Now(); time.Since(begin) < 3*testserver.PlainAgain; n++ {
		k.produce(topic, 0, numbered("a", n, n+1)...)
		e.untilArrived(source(topic, 0), n+1)
	}
	untilGroup(t, k.broker, group, topic, int64(n))
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ever) > 0 {
		t.Errorf("conditions: %v", o.ever)
	}
}

// TestFrozenBrokerWithTLS: a broker that stops in the middle of everything does not hold up the end of an ingress: what TLS wants to
// say at the end of a connection is not waited for.
func TestFrozenBrokerWithTLS(t *testing.T) {
	t.Parallel()
	server := testserver.PrivateKafka(t, testserver.KafkaConfig{Secure: true})
	k := &secured{broker: newBroker(t, []string{server.Addr()}), server: server, log: &journal{}}
	topic := k.name("in")
	k.create(topic, 4)
	o, e := observe(t), newEngine(t)
	stop := run(t, k.config(o, testserver.MutualTLS, topic, map[string]string{"security.protocol": "SSL", "ssl.truststore.certificates": string(server.Security.Authority.PEM),
		"ssl.keystore.location": k.store(server.Security.Authority, testserver.Subject{Name: "alice"}), "ssl.keystore.password": secret}), e)
	k.produce(topic, 0, numbered("a", 0, 1)...)
	e.untilArrived(source(topic, 0), 1)
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	o.untilDegraded("no broker answers")
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the end took %v", took)
	}
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// TestTokenEndpointHangs: a token endpoint that takes a request and never answers holds up the end of an ingress for its grace only.
func TestTokenEndpointHangs(t *testing.T) {
	t.Parallel()
	k := newSecured(t)
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
	topic := k.name("in")
	k.create(topic, 1)
	config := k.config(observe(t), testserver.SASLSSL, topic, also(k.oauth(silent.URL), "sasl.login.read.timeout.ms", "3600000"))
	stop := run(t, config, newEngine(t))
	<-asked
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the end took %v", took)
	}
}
