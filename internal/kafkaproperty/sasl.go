package kafkaproperty

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SASL is how a client logs in.
type SASL struct {
	Mechanism  string // one of the Mechanism constants
	User       string
	Password   Secret
	Tokens     *Tokens           // of OAUTHBEARER
	Extensions map[string]string // that go with a token

	passwords *scramKeys // of SCRAM
}

// The mechanisms, by their names in Kafka.
const (
	MechanismPlain    = "PLAIN"
	MechanismSCRAM256 = "SCRAM-SHA-256"
	MechanismSCRAM512 = "SCRAM-SHA-512"
	MechanismOAuth    = "OAUTHBEARER"
)

const (
	security  = "security.protocol"
	mechanism = "sasl.mechanism"
	jaas      = "sasl.jaas.config"
)

// secure reads what concerns security, once all properties are there.
func (t *translation) secure() {
	protocol := "PLAINTEXT"
	if v, ok := t.given[security]; ok {
		protocol = strings.ToUpper(v)
	}
	var isTLS, isSASL bool
	switch protocol {
	case "PLAINTEXT":
	case "SSL":
		isTLS = true
	case "SASL_PLAINTEXT":
		isSASL = true
	case "SASL_SSL":
		isTLS, isSASL = true, true
	default:
		t.wrong(security, "want PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(t.given)) {
		if strings.HasPrefix(name, "ssl.") && !isTLS || strings.HasPrefix(name, "sasl.") && !isSASL {
			t.moot(name, "security.protocol is "+protocol)
		}
	}
	if isTLS {
		r := tlsReader{given: t.given, wrong: t.wrong, warn: t.warn}
		t.settings.TLS = r.read()
	}
	if isSASL {
		t.settings.SASL = t.login(isTLS)
	}
}

// login reads the mechanism and the login module that fits it.
func (t *translation) login(isTLS bool) *SASL {
	s := &SASL{Mechanism: t.given[mechanism]}
	var module string
	switch s.Mechanism {
	case MechanismPlain:
		module = "plain.PlainLoginModule"
		if !isTLS {
			t.warn(security, "the password goes to the broker as it is, and nothing encrypts it on its way: SASL_SSL is safe")
		}
	case MechanismSCRAM256, MechanismSCRAM512:
		module = "scram.ScramLoginModule"
	case MechanismOAuth:
		module = "oauthbearer.OAuthBearerLoginModule"
		if !isTLS {
			t.warn(security, "the token goes to the broker as it is, and nothing encrypts it on its way: SASL_SSL is safe")
		}
	case "":
		t.wrong(security, "want sasl.mechanism beside it: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER. Java's default, "+kerberos)
		return nil
	case "GSSAPI":
		t.wrong(mechanism, kerberos)
		return nil
	default:
		t.wrong(mechanism, "want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
		return nil
	}
	text, ok := t.given[jaas]
	if !ok {
		t.wrong(mechanism, "want sasl.jaas.config beside it; of a file with a section KafkaClient (java.security.auth.login.config) that is what stands between the braces")
		return nil
	}
	l, err := parseLogin(text)
	if err != nil {
		t.wrong(jaas, err.Error())
		return nil
	}
	const kafka = "org.apache.kafka.common.security."
	if l.module != kafka+module && !strings.HasSuffix(l.module, "."+kafka+module) { // relocated by a connector's jar
		t.wrong(jaas, fmt.Sprintf("its login module is not %s%s, which %s needs", kafka, module, s.Mechanism))
		return nil
	}
	if s.Mechanism == MechanismOAuth {
		return t.oauth(s, l)
	}
	t.noOAuth(s.Mechanism)
	return t.password(s, l)
}

// password reads user and password.
func (t *translation) password(s *SASL, l login) *SASL {
	s.User, s.Password = l.options["username"], hide(l.options["password"])
	if s.User == "" || s.Password.Reveal() == "" {
		t.wrong(jaas, `want the options username="..." and password="..."`)
		return nil
	}
	if strings.EqualFold(l.options["tokenauth"], "true") {
		t.wrong(jaas, "logging in with a delegation token (tokenauth) is not supported")
		return nil
	}
	known := 2
	for _, name := range []string{"tokenauth", "serviceName"} {
		if _, ok := l.options[name]; ok {
			known++
		}
	}
	if more := len(l.options) - known; more > 0 {
		t.warn(jaas, fmt.Sprintf("%d of its options have no effect: username and password count", more))
	}
	if s.Mechanism != MechanismPlain {
		s.passwords = newScramKeys(s.Mechanism, s.User, s.Password)
	}
	return s
}

// noOAuth warns of properties that only OAUTHBEARER reads.
func (t *translation) noOAuth(mechanism string) {
	for _, name := range slices.Sorted(maps.Keys(t.given)) {
		if strings.HasPrefix(name, "sasl.oauthbearer.") || strings.HasPrefix(name, "sasl.login.") {
			t.moot(name, "sasl.mechanism is "+mechanism)
		}
	}
}
