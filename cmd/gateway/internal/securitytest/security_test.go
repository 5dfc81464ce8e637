//go:build unix

package securitytest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/internal/testserver"
)

// moduleText is an application on a cluster with TLS and SCRAM: secrets come from the environment.
const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: ${BROKER}
  consumerGroupId: ${PREFIX}group
  startupPosition: {type: earliest}
  topics:
    - {topic: "${PREFIX}events", valueType: test/event, targets: [test/count]}
  properties:
    - security.protocol: SASL_SSL
    - sasl.mechanism: ${MECHANISM}
    - sasl.jaas.config: org.apache.kafka.common.security.scram.ScramLoginModule required username="${USER_NAME}" password="${PASSWORD}";
    - ssl.truststore.location: ${TRUSTSTORE}
    - ssl.truststore.password: ${STORE_PASSWORD}
    - ssl.truststore.type: ${TYPE}
    - heartbeat.interval.ms: 3000
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${FUNCTIONS}/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: ${BROKER}
  deliverySemantic: {type: exactly-once, transactionTimeout: 15min}
  properties:
    - security.protocol: SASL_SSL
    - sasl.mechanism: ${MECHANISM}
    - sasl.jaas.config: org.apache.kafka.common.security.scram.ScramLoginModule required username="${USER_NAME}" password="${PASSWORD}";
    - ssl.truststore.location: ${TRUSTSTORE}
    - ssl.truststore.password: ${STORE_PASSWORD}
    - compression.type: zstd
`

// What nobody may see.
const (
	userPassword  = "hunter2-of-the-user"
	storePassword = "hunter2-of-the-store"
)

// world is what stands around a gateway.
type world struct {
	t      *testing.T
	kafka  *testserver.KafkaServer
	client *kgo.Client
	folder string
	prefix string
	module string
	env    map[string]string
}

func newWorld(t *testing.T, kind, mechanism, user string) *world {
	t.Helper()
	w := &world{t: t, kafka: testserver.SecureKafka(t), folder: t.TempDir(), prefix: strings.ToLower(kind) + "-"}
	trust, err := w.kafka.Security.Authority.Truststore(w.folder, kind, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	w.createTopics("events", "counts")
	functions := httptest.NewServer(&testfunction.Handler{TopicPrefix: w.prefix})
	t.Cleanup(functions.Close)
	w.module = filepath.Join(w.folder, "module.yaml")
	if err := os.WriteFile(w.module, []byte(moduleText), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = map[string]string{"BROKER": w.kafka.AddrOf(testserver.SASLSSL), "PREFIX": w.prefix, "MECHANISM": mechanism, "USER_NAME": user, "PASSWORD": userPassword,
		"TRUSTSTORE": trust, "STORE_PASSWORD": storePassword, "TYPE": kind, "FUNCTIONS": functions.URL}
	return w
}

func (w *world) createTopics(names ...string) {
	w.t.Helper()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = w.prefix+name, 2, 1
		request.Topics = append(request.Topics, topic)
	}
	answer, err := request.RequestWith(w.t.Context(), w.client)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, topic := range answer.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) variables() []string {
	var all []string
	for name, value := range w.env {
		all = append(all, name+"="+value)
	}
	return all
}

// put sends numbered records of some keys.
func (w *world) put(from, to int) {
	w.t.Helper()
	for n := from; n < to; n++ {
		r := &kgo.Record{Topic: w.prefix + "events", Key: fmt.Appendf(nil, "key-%d", n%3), Value: []byte("x")}
		if err := w.client.ProduceSync(w.t.Context(), r).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// results reads the counts at read_committed until there are n.
func (w *world) results(n int) map[string][]string {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.ConsumeTopics(w.prefix+"counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
	defer cancel()
	got := map[string][]string{}
	for count := 0; count < n; {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			w.t.Fatalf("%d of %d results", count, n)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
			count++
		})
	}
	return got
}

func (w *world) noSecret(what, text string) {
	w.t.Helper()
	for _, secret := range []string{userPassword, storePassword, "ScramLoginModule required", "hunter2"} {
		if strings.Contains(text, secret) {
			w.t.Errorf("%s tells %q:\n%s", what, secret, text)
		}
	}
}

// TestGatewayOnSecuredKafka: records in and results out, exactly once over a kill, with truststores of both kinds; before that the
// user's password does not fit at the broker, which is a reason of /readyz until it does; and nothing that the program says holds a secret.
func TestGatewayOnSecuredKafka(t *testing.T) {
	for kind, mechanism := range map[string]string{"JKS": "SCRAM-SHA-256", "PKCS12": "SCRAM-SHA-512"} {
		t.Run(kind, func(t *testing.T) {
			user := "user-of-" + strings.ToLower(kind)
			w := newWorld(t, kind, mechanism, user)
			if err := w.kafka.AddUser(t.Context(), mechanism, user, "another password"); err != nil {
				t.Fatal(err)
			}
			w.allow(user)
			g := testgateway.New(t, w.folder, "gateway", w.variables(), "--module", w.module, "--store", "sqlite:"+filepath.Join(w.folder, "store.db"), "--log-level", "debug")
			g.Start()
			g.Until("the ingress's refusal", func(r testgateway.Readiness) bool {
				return r.Says("ingress test/in") && r.Says("SASL Authentication failed")
			})
			g.Until("the egress's refusal", func(r testgateway.Readiness) bool {
				return r.Says("egress test/out") && r.Says("SASL Authentication failed")
			})
			if err := w.kafka.AddUser(t.Context(), mechanism, user, userPassword); err != nil {
				t.Fatal(err)
			}
			w.allow(user)
			w.put(0, 30)
			w.results(30)
			g.Kill()
			w.put(30, 60)
			g.Start()
			for key, counts := range w.results(60) {
				if len(counts) != 20 || counts[0] != "1" || counts[19] != "20" {
					t.Errorf("%s: %v", key, counts)
				}
			}
			g.Until("no reason left", func(r testgateway.Readiness) bool { return testgateway.IsActive(r) && len(r.Reasons) == 0 })
			for _, path := range []string{"/", "/readyz", "/healthz", "/metrics", "/v1/version", "/v1/deadletters", "/v1/addresses/test/count/key-1"} {
				_, body, err := g.Get(path)
				if err != nil {
					t.Fatal(err)
				}
				w.noSecret(path, string(body))
			}
			g.Stop()
			log, err := os.ReadFile(g.Log)
			if err != nil {
				t.Fatal(err)
			}
			w.noSecret("the log", string(log))
			if !strings.Contains(string(log), "property heartbeat.interval.ms has no effect: the group is never joined") {
				t.Error("the log does not warn of the property without an effect")
			}
		})
	}
}

// allow gives a user the rights that the manual names, on topics and groups of the world's prefix; transactional ids and groups of
// lanes begin with "stategate-".
func (w *world) allow(user string) {
	w.t.Helper()
	principal := "User:" + user
	right := func(on kmsg.ACLResourceType, name string, to kmsg.ACLOperation) testserver.Right {
		return testserver.Right{Principal: principal, On: on, Name: name, To: to}
	}
	err := w.kafka.Allow(w.t.Context(),
		right(kmsg.ACLResourceTypeTopic, w.prefix+"*", kmsg.ACLOperationRead), right(kmsg.ACLResourceTypeTopic, w.prefix+"*", kmsg.ACLOperationWrite),
		right(kmsg.ACLResourceTypeGroup, w.prefix+"*", kmsg.ACLOperationRead), right(kmsg.ACLResourceTypeGroup, "stategate-*", kmsg.ACLOperationRead),
		right(kmsg.ACLResourceTypeTransactionalId, "stategate-*", kmsg.ACLOperationWrite), right(kmsg.ACLResourceTypeTopic, "stategate-cursor", kmsg.ACLOperationRead),
		right(kmsg.ACLResourceTypeTopic, "stategate-cursor", kmsg.ACLOperationCreate))
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestFaultsOfTheModule: check and run tell what is wrong at its line, read the files, and show no secret, whatever is broken.
func TestFaultsOfTheModule(t *testing.T) {
	folder := t.TempDir()
	authority, err := testserver.NewAuthority("authority")
	if err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(pem, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join("..", "..", "..", "..", "internal", "certificate", "testdata", "made", "trust.jks")
	good := map[string]string{"BROKER": "127.0.0.1:1", "PREFIX": "p-", "MECHANISM": "SCRAM-SHA-256", "USER_NAME": "alice", "PASSWORD": userPassword,
		"TRUSTSTORE": store, "STORE_PASSWORD": "secretsecret", "TYPE": "JKS", "FUNCTIONS": "http://127.0.0.1:1"}
	module := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(module, []byte(moduleText), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		variable, value string
		want            []string // lines of check, without the file
	}{
		"good":            {"PREFIX", "p-", nil},
		"missing file":    {"TRUSTSTORE", "/no/such/file", []string{":14:7: property ssl.truststore.location: /no/such/file: no such file or directory", ":31:7: property ssl.truststore.location: "}},
		"password":        {"STORE_PASSWORD", storePassword, []string{":14:7: property ssl.truststore.location: " + store + ": the password does not fit", ":31:7: "}},
		"other form":      {"TRUSTSTORE", pem, []string{":16:7: property ssl.truststore.type: ", ":32:7: property ssl.truststore.password: a PEM truststore has none"}},
		"type":            {"TYPE", storePassword, []string{":16:7: property ssl.truststore.type: want JKS, PKCS12 or PEM"}},
		"mechanism":       {"MECHANISM", userPassword, []string{":12:7: property sasl.mechanism: want PLAIN", ":29:7: "}},
		"quote":           {"PASSWORD", `hunter2"; x`, []string{":13:7: property sasl.jaas.config: ", ":30:7: "}},
		"no end":          {"PASSWORD", "hunter2\\", []string{":13:7: property sasl.jaas.config: ", ":30:7: "}},
		"store is secret": {"TRUSTSTORE", "-----BEGIN PRIVATE KEY----- hunter2", []string{":14:7: property ssl.truststore.location: want the name of a file, not what is in it", ":31:7: "}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, env: map[string]string{}}
			for k, v := range good {
				w.env[k] = v
			}
			w.env[c.variable] = c.value
			for _, args := range [][]string{{"check", "--module", module}, {"run", "--module", module, "--store", "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "--admin", "127.0.0.1:0", "--log-level", "debug"}} {
				if args[0] == "run" && c.want == nil {
					continue
				}
				cmd := exec.Command(testgateway.Binary(t), args...)
				cmd.Env = testgateway.CleanEnviron(w.variables()...)
				said, err := cmd.CombinedOutput()
				if (err == nil) != (c.want == nil) {
					t.Errorf("%s ends with %v:\n%s", args[0], err, said)
				}
				for _, want := range c.want {
					if !strings.Contains(string(said), module+want) {
						t.Errorf("%s is without %q:\n%s", args[0], want, said)
					}
				}
				w.noSecret(args[0], string(said))
			}
		})
	}
}
