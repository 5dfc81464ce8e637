package kafkaproperty

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

const (
	plainModule = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule"
	oauthModule = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
	password    = "hunter2-of-alice"
)

// login are properties of a listener with SASL.
func saslOf(mechanism, config string, more ...string) map[string]string {
	return with(map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, "sasl.jaas.config": config}, more...)
}

func userOf(module string) string {
	return module + ` required username="alice" password="` + password + `";`
}

func TestUsers(t *testing.T) {
	for mechanism, module := range map[string]string{
		"PLAIN": plainModule, "SCRAM-SHA-256": scramModule, "SCRAM-SHA-512": "org.apache.flink.kafka.shaded." + scramModule,
	} {
		s, complaints := Translate(Producer, saslOf(mechanism, userOf(module)))
		if len(complaints) > 0 || s.SASL == nil || s.SASL.Mechanism != mechanism || s.SASL.User != "alice" || s.SASL.Password.Reveal() != password || s.TLS == nil {
			t.Errorf("%s: %+v, %v", mechanism, s, complaints)
		}
	}
	s, complaints := Translate(Producer, with(saslOf("PLAIN", userOf(plainModule)), "security.protocol", "SASL_PLAINTEXT"))
	if s.TLS != nil || len(complaints) != 1 || complaints[0].Wrong || !strings.Contains(complaints[0].Text, "nothing encrypts it") {
		t.Errorf("in the open: %v", complaints)
	}
}

func TestWrongLogins(t *testing.T) {
	const oauth = "OAUTHBEARER"
	const url = "sasl.oauthbearer.token.endpoint.url"
	client := oauthModule + ` required clientId="id" clientSecret="` + password + `";`
	for name, c := range map[string]struct {
		properties     map[string]string
		property, want string
	}{
		"no mechanism":      {map[string]string{"security.protocol": "SASL_SSL", "sasl.jaas.config": userOf(plainModule)}, "security.protocol", "want sasl.mechanism beside it"},
		"GSSAPI":            {saslOf("GSSAPI", userOf(plainModule)), "sasl.mechanism", "Kerberos"},
		"lower case":        {saslOf("plain", userOf(plainModule)), "sasl.mechanism", "want PLAIN"},
		"no JAAS":           {map[string]string{"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}, "sasl.mechanism", "want sasl.jaas.config"},
		"JAAS":              {saslOf("PLAIN", password), "sasl.jaas.config", "control flag"},
		"other module":      {saslOf("SCRAM-SHA-256", userOf(plainModule)), "sasl.jaas.config", "is not " + scramModule},
		"module by chance":  {saslOf("PLAIN", userOf("evil"+plainModule)), "sasl.jaas.config", "is not " + plainModule},
		"no password":       {saslOf("PLAIN", plainModule+` required username="alice";`), "sasl.jaas.config", "username"},
		"empty password":    {saslOf("PLAIN", plainModule+` required username="alice" password="";`), "sasl.jaas.config", "username"},
		"delegation token":  {saslOf("SCRAM-SHA-256", scramModule+` required username="alice" password="`+password+`" tokenauth="true";`), "sasl.jaas.config", "tokenauth"},
		"handler":           {saslOf("PLAIN", userOf(plainModule), "sasl.client.callback.handler.class", "x.Y"), "sasl.client.callback.handler.class", "no Java class"},
		"IAM":               {saslOf(oauth, client, "sasl.login.callback.handler.class", "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler"), "sasl.login.callback.handler.class", "no Java class"},
		"Kerberos":          {saslOf("PLAIN", userOf(plainModule), "sasl.kerberos.service.name", "kafka"), "sasl.kerberos.service.name", "not supported"},
		"no endpoint":       {saslOf(oauth, client), "sasl.mechanism", "want " + url},
		"endpoint no URL":   {saslOf(oauth, client, url, "token"), url, "want a URL"},
		"endpoint's scheme": {saslOf(oauth, client, url, "ftp://h/t"), url, "https, http or file"},
		"endpoint's user":   {saslOf(oauth, client, url, "https://u:"+password+"@h/t"), url, "without user and password"},
		"no secret":         {saslOf(oauth, oauthModule+` required clientId="id";`, url, "https://h/t"), "sasl.jaas.config", "clientSecret"},
		"no token file":     {saslOf(oauth, client, url, "file:///no/such/file"), url, "/no/such/file: no such file"},
		"retriever":         {saslOf(oauth, client, url, "https://h/t", "sasl.oauthbearer.jwt.retriever.class", "org.apache.kafka.common.security.oauthbearer.FileJwtRetriever"), "sasl.oauthbearer.jwt.retriever.class", "scheme"},
		"other retriever":   {saslOf(oauth, client, url, "https://h/t", "sasl.oauthbearer.jwt.retriever.class", "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever"), "sasl.oauthbearer.jwt.retriever.class", "no Java class"},
		"validator":         {saslOf(oauth, client, url, "https://h/t", "sasl.oauthbearer.jwt.validator.class", "x.Y"), "sasl.oauthbearer.jwt.validator.class", "no Java class"},
		"encode":            {saslOf(oauth, client, url, "https://h/t", "sasl.oauthbearer.header.urlencode", "yes"), "sasl.oauthbearer.header.urlencode", "true or false"},
		"time":              {saslOf(oauth, client, url, "https://h/t", "sasl.login.read.timeout.ms", "x"), "sasl.login.read.timeout.ms", "want milliseconds"},
		"factor":            {saslOf(oauth, client, url, "https://h/t", "sasl.login.refresh.window.factor", "2"), "sasl.login.refresh.window.factor", "want a number from 0.5 to 1"},
		"buffer":            {saslOf(oauth, client, url, "https://h/t", "sasl.login.refresh.buffer.seconds", "4000"), "sasl.login.refresh.buffer.seconds", "want a number"},
		"extension":         {saslOf(oauth, oauthModule+` required clientId="id" clientSecret="`+password+`" extension_auth="x";`, url, "https://h/t"), "sasl.jaas.config", "extension"},
		"its truststore":    {saslOf(oauth, oauthModule+` required clientId="id" clientSecret="`+password+`" ssl.truststore.location="/no/such/file";`, url, "https://h/t"), "sasl.jaas.config", "/no/such/file"},
		"its ssl":           {saslOf(oauth, oauthModule+` required clientId="id" clientSecret="`+password+`" ssl.provider="x";`, url, "https://h/t"), "sasl.jaas.config", "ssl...."},
		"assertion":         {saslOf(oauth, client, url, "https://h/t", "sasl.oauthbearer.assertion.file", "/x"), "sasl.oauthbearer.assertion.file", "not supported"},
		"unsecured no sub":  {saslOf(oauth, oauthModule+` required unsecuredLoginStringClaim_x="y";`), "sasl.jaas.config", "who logs in"},
		"unsecured number":  {saslOf(oauth, oauthModule+` required unsecuredLoginStringClaim_sub="y" unsecuredLoginNumberClaim_n="x";`), "sasl.jaas.config", "not a number"},
		"unsecured unknown": {saslOf(oauth, oauthModule+` required unsecuredLoginStringClaim_sub="y" unsecuredLoginX="x";`), "sasl.jaas.config", "not known"},
	} {
		s, complaints := Translate(Consumer, c.properties)
		found := false
		for _, said := range complaints {
			found = found || said.Wrong && said.Property == c.property && strings.Contains(said.Text, c.want)
			if strings.Contains(said.Text, "hunter2") {
				t.Errorf("%s: %q tells a secret", name, said.Text)
			}
		}
		if !found {
			t.Errorf("%s: %v, want an error of %s: ...%s...", name, complaints, c.property, c.want)
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", s, s), "hunter2") {
			t.Errorf("%s: settings show a secret", name)
		}
	}
}

// TestSecretsHide: settings that somebody prints or logs show no secret.
func TestSecretsHide(t *testing.T) {
	for name, p := range map[string]map[string]string{
		"PLAIN": saslOf("PLAIN", userOf(plainModule)), "SCRAM": saslOf("SCRAM-SHA-512", userOf(scramModule)),
		"endpoint": saslOf("OAUTHBEARER", oauthModule+` required clientId="id" clientSecret="`+password+`";`, tokenURL, "https://h/t"),
	} {
		s, complaints := Translate(Consumer, p)
		if err := Errors(complaints); err != nil {
			t.Fatal(name, err)
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "sasl", s.SASL, "password", s.SASL.Password)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "sasl", s.SASL, "password", s.SASL.Password)
		fmt.Fprintf(&log, "%v %+v %#v %s %q", *s.SASL, *s.SASL, *s.SASL, s.SASL.Password, s.SASL.Password)
		if s.SASL.Tokens != nil {
			fmt.Fprintf(&log, "%+v %#v", s.SASL.Tokens.source, s.SASL.Tokens.source)
		}
		if text, err := json.Marshal(s.SASL); err == nil {
			log.Write(text)
		}
		if strings.Contains(log.String(), "hunter2") {
			t.Errorf("%s: a secret in %s", name, log.String())
		}
	}
}

// TestConversation speaks with a server of the library, for both hashes, with a password that SASLprep would change: Kafka takes it as
// it is.
func TestConversation(t *testing.T) {
	for mechanism, hash := range map[string]scram.HashGeneratorFcn{"SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512} {
		for _, secret := range []string{"p\u00aaw", password} {
			stored, err := hash.NewClientUnprepped("alice", secret, "")
			if err != nil {
				t.Fatal(err)
			}
			credentials, err := stored.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
			if err != nil {
				t.Fatal(err)
			}
			server, err := hash.NewServer(func(user string) (scram.StoredCredentials, error) {
				if user != "alice" {
					return scram.StoredCredentials{}, fmt.Errorf("%q is not known", user)
				}
				return credentials, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, given := range []string{secret, "wrong"} {
				s, complaints := Translate(Consumer, saslOf(mechanism, scramModule+` required username="alice" password="`+given+`";`))
				if len(complaints) > 0 {
					t.Fatal(complaints)
				}
				if err := converse(s.SASL.Conversation(), server.NewConversation()); (err == nil) != (given == secret) {
					t.Errorf("%s with %q: %v", mechanism, given, err)
				}
			}
		}
	}
}

func converse(c *Conversation, server *scram.ServerConversation) error {
	if err := c.Begin("", "", ""); err != nil {
		return err
	}
	said, err := c.Step("")
	for err == nil && !c.Done() {
		if said, err = server.Step(said); err == nil {
			said, err = c.Step(said)
		}
	}
	return err
}

// TestIterationsAreBounded: a broker cannot make a client reckon for hours.
func TestIterationsAreBounded(t *testing.T) {
	s, _ := Translate(Consumer, saslOf("SCRAM-SHA-256", userOf(scramModule)))
	c := s.SASL.Conversation()
	if err := c.Begin("", "", ""); err != nil {
		t.Fatal(err)
	}
	first, err := c.Step("")
	if err != nil {
		t.Fatal(err)
	}
	nonce := first[strings.Index(first, "r=")+2:]
	if _, err := c.Step("r=" + nonce + "x,s=c2FsdA==,i=2000000000"); err == nil || !strings.Contains(err.Error(), "iterations") {
		t.Errorf("%v, want that the iterations are too many", err)
	}
}

// TestUnsecuredToken: what a broker for development takes.
func TestUnsecuredToken(t *testing.T) {
	s, complaints := Translate(Consumer, saslOf("OAUTHBEARER", oauthModule+` required unsecuredLoginStringClaim_sub="alice" unsecuredLoginNumberClaim_level="7"
		unsecuredLoginListClaim_scope="|a|b" unsecuredLoginLifetimeSeconds="100" extension_logicalCluster="lkc-1";`))
	if len(complaints) > 0 {
		t.Fatal(complaints)
	}
	token, err := s.SASL.Tokens.Token(t.Context())
	if err != nil || s.SASL.Extensions["logicalCluster"] != "lkc-1" {
		t.Fatal(err, s.SASL.Extensions)
	}
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 || parts[2] != "" {
		t.Fatalf("%d parts", len(parts))
	}
	head, _ := base64.RawURLEncoding.DecodeString(parts[0])
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Sub   string
		Level int
		Scope []string
		Iat   int64
		Exp   int64
	}
	if err := json.Unmarshal(body, &claims); err != nil || string(head) != `{"alg":"none"}` || claims.Sub != "alice" || claims.Level != 7 || fmt.Sprint(claims.Scope) != "[a b]" || claims.Exp-claims.Iat != 100 {
		t.Errorf("%s %s, %v", head, body, err)
	}
	again, err := s.SASL.Tokens.Token(t.Context())
	if err != nil || again != token {
		t.Error("each connection has a token of its own")
	}
}

// TestTokenFile: the file is read again when the token's time is over, and only then.
func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(subject string, ends time.Time) string {
		body := base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"sub":%q,"exp":%d}`, subject, ends.Unix())))
		text := "e30." + body + ".c2ln"
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := write("first", time.Now().Add(time.Hour))
	s, complaints := Translate(Consumer, saslOf("OAUTHBEARER", oauthModule+` required;`, tokenURL, "file://"+file,
		"sasl.login.callback.handler.class", oauthHandler, "sasl.login.refresh.min.period.seconds", "0"))
	if len(complaints) > 0 {
		t.Fatal(complaints)
	}
	take := func() string {
		token, err := s.SASL.Tokens.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal()
	}
	if got := take(); got != first {
		t.Errorf("got %q", got)
	}
	second := write("second", time.Now().Add(time.Hour))
	if got := take(); got != first {
		t.Errorf("it is read for each connection: %q", got)
	}
	s.SASL.Tokens.stale = time.Now()
	if got := take(); got != second {
		t.Errorf("it is not read again: %q", got)
	}
	write("third", time.Now().Add(-time.Hour))
	s.SASL.Tokens.stale = time.Now()
	if got := take(); got != second {
		t.Errorf("an old one replaces a good one: %q", got)
	}
	s.SASL.Tokens.token.ends, s.SASL.Tokens.again = time.Now(), time.Time{}
	if _, err := s.SASL.Tokens.Token(context.Background()); err == nil || !strings.Contains(err.Error(), "expired already") {
		t.Errorf("%v, want that the token has expired", err)
	}
}

const oauthHandler = "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler"
