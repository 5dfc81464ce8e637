//go:build unix

package testserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TestListenersAskWhoComes: another client than the product's is let in by each way, and not without what it asks for.
func TestListenersAskWhoComes(t *testing.T) {
	k := SecureKafka(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		if err := k.AddUser(ctx, mechanism, "bob", "bob-secret"); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(k.Security.Authority.Certificate)
	certificate, key, err := k.Security.Authority.Issue(Subject{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	safe := kgo.DialTLSConfig(&tls.Config{RootCAs: pool})
	bob := scram.Auth{User: "bob", Pass: "bob-secret"}
	login := func(m sasl.Mechanism) kgo.Opt { return kgo.SASL(m) }
	for name, way := range map[string]struct {
		listener Listener
		opts     []kgo.Opt
		enters   bool
	}{
		"plain":            {SASLPlaintext, []kgo.Opt{login(plain.Auth{User: PlainUser, Pass: PlainPassword}.AsMechanism())}, true},
		"plain, wrong":     {SASLSSL, []kgo.Opt{safe, login(plain.Auth{User: PlainUser, Pass: "x"}.AsMechanism())}, false},
		"scram 256":        {SASLSSL, []kgo.Opt{safe, login(bob.AsSha256Mechanism())}, true},
		"scram 512":        {SASLSSL, []kgo.Opt{safe, login(bob.AsSha512Mechanism())}, true},
		"nobody":           {SASLPlaintext, nil, false},
		"certificate":      {MutualTLS, []kgo.Opt{kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})}, true},
		"no certificate":   {MutualTLS, []kgo.Opt{safe}, false},
		"other authority":  {SASLSSL, []kgo.Opt{kgo.DialTLSConfig(&tls.Config{RootCAs: x509.NewCertPool()}), login(bob.AsSha256Mechanism())}, false},
		"TLS without SASL": {SASLSSL, []kgo.Opt{safe}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := kgo.NewClient(append(way.opts, kgo.SeedBrokers(k.AddrOf(way.listener)), kgo.RetryTimeout(2*time.Second), kgo.RequestRetries(2))...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, c)
			if (err == nil) != way.enters {
				t.Errorf("%v, want that it enters: %v", err, way.enters)
			}
		})
	}
	// Who has no rights is in, and may do nothing.
	c := client(t, k)
	if err := createTopic(ctx, c, "rights"); err != nil {
		t.Fatal(err)
	}
	b, err := kgo.NewClient(kgo.SeedBrokers(k.AddrOf(SASLSSL)), safe, login(bob.AsSha256Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	send := func() error { return b.ProduceSync(ctx, &kgo.Record{Topic: "rights", Value: []byte("x")}).FirstErr() }
	if err := send(); err == nil || kerr.ErrorForCode(29).Error() != err.Error() {
		t.Errorf("%v, want that the topic is refused", err)
	}
	right := Right{"User:bob", kmsg.ACLResourceTypeTopic, "rights", kmsg.ACLOperationWrite}
	if err := k.Allow(ctx, right); err != nil {
		t.Fatal(err)
	}
	for err := send(); err != nil; err = send() { // rights take a moment to reach the broker's authorizer
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
