package kafkaproperty

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	tokenURL     = "sasl.oauthbearer.token.endpoint.url"
	clientID     = "sasl.oauthbearer.client.credentials.client.id"
	clientSecret = "sasl.oauthbearer.client.credentials.client.secret"
	scopeName    = "sasl.oauthbearer.scope"
	loginHandler = "sasl.login.callback.handler.class"
	retriever    = "sasl.oauthbearer.jwt.retriever.class"
	validator    = "sasl.oauthbearer.jwt.validator.class"
)

// oauth reads where tokens come from.
func (t *translation) oauth(s *SASL, l login) *SASL {
	before := len(t.complaints)
	s.Tokens = &Tokens{pace: t.pace()}
	s.Extensions = map[string]string{}
	for name, value := range l.options {
		if key, ok := strings.CutPrefix(name, "extension_"); ok {
			if key == "auth" || strings.ContainsAny(key+value, "\x01") || key == "" {
				t.wrong(jaas, "an extension (extension_...) that cannot be sent")
				return nil
			}
			s.Extensions[key] = value
		}
	}
	if v, ok := t.class(validator, "DefaultJwtValidator", "ClientJwtValidator"); ok && v == "" {
		return nil
	}
	kind, ok := t.class(retriever, "DefaultJwtRetriever", "ClientCredentialsJwtRetriever", "FileJwtRetriever")
	if ok && kind == "" {
		return nil
	}
	handler, ok := t.class(loginHandler, "OAuthBearerLoginCallbackHandler", "OAuthBearerUnsecuredLoginCallbackHandler")
	if ok && handler == "" {
		return nil
	}
	endpoint := t.given[tokenURL]
	switch {
	case handler == "OAuthBearerUnsecuredLoginCallbackHandler" || handler == "" && endpoint == "" && hasUnsecured(l):
		s.Tokens.source = t.unsecured(l)
	case endpoint == "":
		t.wrong(mechanism, "want sasl.oauthbearer.token.endpoint.url beside it")
	default:
		s.Tokens.source = t.endpoint(endpoint, kind, l)
	}
	for _, c := range t.complaints[before:] {
		if c.Wrong {
			return nil
		}
	}
	return s
}

// class takes one of Kafka's own classes by its last name, in whichever package a release has it; "" and true: it is another one.
func (t *translation) class(property string, known ...string) (name string, given bool) {
	v, ok := t.given[property]
	if !ok {
		return "", false
	}
	last := v[strings.LastIndexByte(v, '.')+1:]
	for _, k := range known {
		if last == k && strings.Contains(v, "org.apache.kafka.common.security.oauthbearer.") {
			return k, true
		}
	}
	t.wrong(property, "no Java class is loaded; what Kafka's own do is done here: "+strings.Join(known, ", "))
	return "", true
}

// endpoint is a place that gives tokens.
func (t *translation) endpoint(text, kind string, l login) tokenSource {
	at, err := url.Parse(text)
	if err != nil || at.Host == "" && at.Scheme != "file" || at.User != nil {
		t.wrong(tokenURL, "want a URL (https://host/path, or file:///path) without user and password in it")
		return nil
	}
	isFile := at.Scheme == "file"
	switch {
	case kind == "FileJwtRetriever" && !isFile, kind == "ClientCredentialsJwtRetriever" && isFile:
		t.wrong(retriever, "it does not fit the scheme of "+tokenURL)
		return nil
	case isFile:
		return t.tokenFile(at.Path)
	case at.Scheme == "http":
		t.warn(tokenURL, "id and secret go there as they are, and nothing encrypts them on their way: https is safe")
	case at.Scheme != "https":
		t.wrong(tokenURL, "want a URL with https, http or file")
		return nil
	}
	e := &tokenEndpoint{url: at.String(), scope: first(t.given[scopeName], l.options["scope"])}
	e.id, e.secret = first(t.given[clientID], l.options["clientId"]), hide(first(t.given[clientSecret], l.options["clientSecret"]))
	if e.id == "" || e.secret.Reveal() == "" {
		t.wrong(jaas, `want the options clientId="..." and clientSecret="..."`)
		return nil
	}
	if v, ok := t.given["sasl.oauthbearer.header.urlencode"]; ok {
		if e.encode, err = strconv.ParseBool(strings.ToLower(v)); err != nil {
			t.wrong("sasl.oauthbearer.header.urlencode", "want true or false")
			return nil
		}
	}
	e.connectMax = t.millis("sasl.login.connect.timeout.ms", 10*time.Second)
	e.answerMax = t.millis("sasl.login.read.timeout.ms", 10*time.Second)
	e.tls = t.endpointTLS(l)
	return e
}

// endpointTLS reads the ssl options of the login module: they are for the token endpoint, where those beside it are for brokers.
func (t *translation) endpointTLS(l login) *TLS {
	r := tlsReader{given: map[string]string{},
		wrong: func(name, text string) { t.wrong(jaas, "its option "+name+": "+text) },
		warn:  func(name, text string) { t.warn(jaas, "its option "+name+": "+text) }}
	for name, value := range l.options {
		if !strings.HasPrefix(name, "ssl.") {
			continue
		}
		if p := table[name]; p == nil || p.refused != "" {
			t.wrong(jaas, "it has an option ssl.... that is not known")
			continue
		}
		r.given[name] = value
	}
	return r.read()
}

// pace reads when a token is replaced.
func (t *translation) pace() pace {
	return pace{
		factor: t.fraction("sasl.login.refresh.window.factor", 0.8, 0.5, 1),
		jitter: t.fraction("sasl.login.refresh.window.jitter", 0.05, 0, 0.25),
		least:  t.seconds("sasl.login.refresh.min.period.seconds", 60, 900),
		buffer: t.seconds("sasl.login.refresh.buffer.seconds", 300, 3600),
		retry:  t.millis("sasl.login.retry.backoff.ms", 100*time.Millisecond),
		most:   t.millis("sasl.login.retry.backoff.max.ms", 10*time.Second),
	}
}

func (t *translation) fraction(name string, usual, least, most float64) float64 {
	v, ok := t.given[name]
	if !ok {
		return usual
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= least && f <= most) {
		t.wrong(name, "want a number from "+strconv.FormatFloat(least, 'g', -1, 64)+" to "+strconv.FormatFloat(most, 'g', -1, 64))
		return usual
	}
	return f
}

func (t *translation) seconds(name string, usual, most int64) time.Duration {
	v, ok := t.given[name]
	if !ok {
		return time.Duration(usual) * time.Second
	}
	n, err := number(v, 0, most)
	if err != nil {
		t.wrong(name, err.Error())
	}
	return time.Duration(n) * time.Second
}

func (t *translation) millis(name string, usual time.Duration) time.Duration {
	v, ok := t.given[name]
	if !ok {
		return usual
	}
	d, err := milliseconds(v, 1)
	if err != nil {
		t.wrong(name, err.Error())
		return usual
	}
	return d
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// hasUnsecured: a login module that makes its tokens itself, as brokers for development take them.
func hasUnsecured(l login) bool {
	for name := range l.options {
		if strings.HasPrefix(name, "unsecuredLogin") {
			return true
		}
	}
	return false
}

var errNoToken = errors.New("the token endpoint gives no token")
