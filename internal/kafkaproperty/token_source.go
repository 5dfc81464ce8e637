package kafkaproperty

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// tokenEndpoint fetches tokens with the grant of client credentials (RFC 6749, 4.4).
type tokenEndpoint struct {
	url                   string
	id                    string
	secret                Secret
	scope                 string
	encode                bool // id and secret are encoded in the header
	connectMax, answerMax time.Duration
	tls                   *TLS
}

func (e *tokenEndpoint) fetch(ctx context.Context) (token, error) {
	ctx, cancel := context.WithTimeout(ctx, e.connectMax+e.answerMax)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true, // one request in many minutes
		DialContext:       e.dial, DialTLSContext: e.dialTLS, ResponseHeaderTimeout: e.answerMax,
	}
	client := &http.Client{
		Transport:     &basic{endpoint: e, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the secret goes nowhere else
	}
	cfg := clientcredentials.Config{ClientID: e.id, ClientSecret: e.secret.Reveal(), TokenURL: e.url, AuthStyle: oauth2.AuthStyleInHeader}
	if e.scope != "" {
		cfg.Scopes = []string{e.scope}
	}
	begin := time.Now()
	answer, err := cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return token{}, e.told(err)
	}
	if err := checkToken(answer.AccessToken); err != nil {
		return token{}, e.told(err)
	}
	t := token{text: hide(answer.AccessToken), issued: begin, ends: answer.Expiry}
	if t.ends.IsZero() {
		t.ends = ends(answer.AccessToken)
	}
	return t, nil
}

func (e *tokenEndpoint) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: e.connectMax}).DialContext(ctx, network, address)
}

func (e *tokenEndpoint) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	s := Settings{ConnectTimeout: e.connectMax, TLS: e.tls}
	conn, _, err := s.Dial(ctx, network, address)
	return conn, err
}

// told is an error without what the endpoint said in its body: that may repeat what it was asked.
func (e *tokenEndpoint) told(err error) error {
	var refused *oauth2.RetrieveError
	var request *url.Error
	text := err.Error()
	switch {
	case errors.As(err, &refused):
		text = "it answers " + strconv.Itoa(refused.Response.StatusCode) + " " + http.StatusText(refused.Response.StatusCode)
		if code := refused.ErrorCode; code != "" && len(code) <= 64 && !strings.ContainsFunc(code, func(r rune) bool { return r <= ' ' || r > '~' }) {
			text += ", " + code
		}
	case errors.As(err, &request):
		text = request.Err.Error()
	case errors.Is(err, errNoToken), strings.HasPrefix(text, "the token "):
	default:
		text = "its answer is not what a token endpoint answers"
	}
	text = strings.ReplaceAll(text, e.secret.Reveal(), hidden)
	return fmt.Errorf("fetch a token from %s: %s", e.place(), text)
}

// place is where the endpoint is, without what may stand in its query.
func (e *tokenEndpoint) place() string {
	at, err := url.Parse(e.url)
	if err != nil {
		return "the token endpoint"
	}
	return at.Scheme + "://" + at.Host + at.Path
}

// basic writes id and secret into the header as Kafka's client does: as they are, unless told to encode them.
type basic struct {
	endpoint *tokenEndpoint
	next     http.RoundTripper
}

func (b *basic) RoundTrip(r *http.Request) (*http.Response, error) {
	if !b.endpoint.encode {
		r = r.Clone(r.Context())
		r.SetBasicAuth(b.endpoint.id, b.endpoint.secret.Reveal())
	}
	r.Header.Set("Accept", "application/json")
	return b.next.RoundTrip(r)
}

// tokenFile reads tokens that something else renews.
type tokenFile struct{ path string }

func (t *translation) tokenFile(path string) tokenSource {
	f := tokenFile{path}
	if _, err := f.fetch(context.Background()); err != nil {
		t.wrong(tokenURL, err.Error())
		return nil
	}
	return f
}

func (f tokenFile) fetch(context.Context) (token, error) {
	data, err := readFile(f.path)
	if err != nil {
		return token{}, fmt.Errorf("read a token: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if err := checkToken(text); err != nil {
		return token{}, fmt.Errorf("read a token: %s: %w", f.path, err)
	}
	return token{text: hide(text), issued: time.Now(), ends: ends(text)}, nil
}

// unsecured makes tokens that nobody has signed, for brokers of development (OAuthBearerUnsecuredLoginCallbackHandler).
type unsecured struct {
	claims   map[string]any
	lifetime time.Duration
}

func (t *translation) unsecured(l login) tokenSource {
	u := &unsecured{claims: map[string]any{}, lifetime: time.Hour}
	for name, value := range l.options {
		if !strings.HasPrefix(name, "unsecuredLogin") {
			continue
		}
		rest := strings.TrimPrefix(name, "unsecuredLogin")
		text, isText := strings.CutPrefix(rest, "StringClaim_")
		num, isNumber := strings.CutPrefix(rest, "NumberClaim_")
		many, isList := strings.CutPrefix(rest, "ListClaim_")
		switch {
		case isText:
			u.claims[text] = value
		case isNumber:
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || n != n || n-n != 0 {
				t.wrong(jaas, "an option unsecuredLoginNumberClaim_ is not a number")
				return nil
			}
			u.claims[num] = n
		case isList && value != "":
			u.claims[many] = strings.Split(value[1:], value[:1]) // its first character parts the rest
		case rest == "LifetimeSeconds":
			n, err := number(value, 1, 1<<31)
			if err != nil {
				t.wrong(jaas, "option unsecuredLoginLifetimeSeconds: "+err.Error())
				return nil
			}
			u.lifetime = time.Duration(n) * time.Second
		case rest == "PrincipalClaimName", rest == "ScopeClaimName":
		default:
			t.wrong(jaas, "it has an option unsecuredLogin... that is not known")
			return nil
		}
	}
	if u.claims[first(l.options["unsecuredLoginPrincipalClaimName"], "sub")] == nil {
		t.wrong(jaas, `want the option unsecuredLoginStringClaim_sub="...": who logs in`)
		return nil
	}
	return u
}

func (u *unsecured) fetch(context.Context) (token, error) {
	now := time.Now()
	claims := map[string]any{"iat": now.Unix(), "exp": now.Add(u.lifetime).Unix()}
	for name, value := range u.claims {
		claims[name] = value
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return token{}, errors.New("make a token: a claim that is no text")
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return token{text: hide(b64([]byte(`{"alg":"none"}`)) + "." + b64(body) + "."), issued: now, ends: now.Add(u.lifetime)}, nil
}
