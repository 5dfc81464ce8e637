//go:build unix

package testserver

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Listener is one of the ways to a broker that asks who comes. Addr is the way that does not.
type Listener string

const (
	SASLPlaintext Listener = "SASL_PLAINTEXT" // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER (tokens that nobody signed)
	SASLSSL       Listener = "SASL_SSL"       // the same, with TLS
	MutualTLS     Listener = "MUTUAL"         // TLS, and the client shows a certificate of Security.Authority
)

// Users that exist from the start. Everybody else needs rights (Allow): alice has all of them, and so has who does not log in.
const (
	PlainUser     = "alice" // by PLAIN
	PlainPassword = "alice-plain-secret"
)

// PlainAgain is how long a login by PLAIN at SASLPlaintext is good.
const PlainAgain = 2 * time.Second

// KafkaSecurity is what a broker knows of its clients.
type KafkaSecurity struct {
	Authority *Authority // of the broker's certificate, which is for 127.0.0.1, and of the clients'
	listeners map[Listener]string
}

// secure adds the listeners to a broker's properties.
func (k *KafkaServer) secure(all map[string]string) error {
	if k.Security == nil {
		return nil
	}
	file := filepath.Join(k.folder.path, "broker.pem")
	certificate, key, err := k.Security.Authority.Issue(Subject{Name: "broker", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		return err
	}
	trust := filepath.Join(k.folder.path, "ca.pem")
	if err := errors.Join(os.WriteFile(file, bytes.Join([][]byte{key, certificate}, nil), 0o600), os.WriteFile(trust, k.Security.Authority.PEM, 0o600)); err != nil {
		return err
	}
	protocols := map[Listener]string{SASLPlaintext: "SASL_PLAINTEXT", SASLSSL: "SASL_SSL", MutualTLS: "SSL"}
	k.Security.listeners = map[Listener]string{}
	for l, protocol := range protocols {
		port, err := freePort()
		if err != nil {
			return err
		}
		at := fmt.Sprintf("127.0.0.1:%d", port)
		k.Security.listeners[l] = at
		all["listeners"] += fmt.Sprintf(",%s://%s", l, at)
		if all["advertised.listeners"] != "" {
			all["advertised.listeners"] += fmt.Sprintf(",%s://%s", l, at)
		}
		all["listener.security.protocol.map"] += fmt.Sprintf(",%s:%s", l, protocol)
	}
	const kafka = "org.apache.kafka.common.security."
	for _, l := range []Listener{SASLPlaintext, SASLSSL} {
		prefix := "listener.name." + strings.ToLower(string(l)) + "."
		maps.Copy(all, map[string]string{
			prefix + "plain.sasl.jaas.config":                         fmt.Sprintf(`%splain.PlainLoginModule required user_%s="%s";`, kafka, PlainUser, PlainPassword),
			prefix + "scram-sha-256.sasl.jaas.config":                 kafka + "scram.ScramLoginModule required;",
			prefix + "scram-sha-512.sasl.jaas.config":                 kafka + "scram.ScramLoginModule required;",
			prefix + "oauthbearer.sasl.jaas.config":                   kafka + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
			prefix + "oauthbearer.sasl.server.callback.handler.class": kafka + "oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler",
		})
	}
	maps.Copy(all, map[string]string{
		"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"ssl.keystore.type":       "PEM", "ssl.keystore.location": file,
		"ssl.truststore.type": "PEM", "ssl.truststore.location": trust,
		"listener.name.mutual.ssl.client.auth": "required",
		// Who logged in by PLAIN must do so again in time, or is cut off.
		"listener.name.sasl_plaintext.plain.connections.max.reauth.ms": fmt.Sprint(PlainAgain.Milliseconds()),
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS;User:alice;User:CN=alice",
	})
	return nil
}

// AddrOf is the host:port of a listener.
func (k *KafkaServer) AddrOf(l Listener) string { return k.Security.listeners[l] }

// AddUser makes a user who logs in by SCRAM, or gives one another password.
func (k *KafkaServer) AddUser(ctx context.Context, mechanism, user, password string) error {
	number, sum := int8(1), func() hash.Hash { return sha256.New() }
	if mechanism == "SCRAM-SHA-512" {
		number, sum = 2, func() hash.Hash { return sha512.New() }
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	salted, err := pbkdf2.Key(sum, password, salt, 4096, sum().Size())
	if err != nil {
		return err
	}
	request := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	request.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: user, Mechanism: number, Iterations: 4096, Salt: salt, SaltedPassword: salted}}
	return k.administer(ctx, func(c *kgo.Client) error {
		answer, err := request.RequestWith(ctx, c)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(answer.Results[0].ErrorCode)
	})
}

// Right is what somebody may do with what has a name.
type Right struct {
	Principal string // "User:name"
	On        kmsg.ACLResourceType
	Name      string // a name that ends with * is the beginning of names
	To        kmsg.ACLOperation
}

// Allow gives rights.
func (k *KafkaServer) Allow(ctx context.Context, rights ...Right) error {
	request := kmsg.NewPtrCreateACLsRequest()
	for _, r := range rights {
		pattern := kmsg.ACLResourcePatternTypeLiteral
		name, begins := strings.CutSuffix(r.Name, "*")
		if begins {
			pattern = kmsg.ACLResourcePatternTypePrefixed
		}
		request.Creations = append(request.Creations, kmsg.CreateACLsRequestCreation{ResourceType: r.On, ResourceName: name, ResourcePatternType: pattern,
			Principal: r.Principal, Host: "*", Operation: r.To, PermissionType: kmsg.ACLPermissionTypeAllow})
	}
	return k.administer(ctx, func(c *kgo.Client) error {
		answer, err := request.RequestWith(ctx, c)
		if err != nil {
			return err
		}
		for _, result := range answer.Results {
			err = errors.Join(err, kerr.ErrorForCode(result.ErrorCode))
		}
		return err
	})
}

func (k *KafkaServer) administer(ctx context.Context, f func(*kgo.Client) error) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := ctx.Err(); err != nil {
		return err
	}
	return f(c)
}
