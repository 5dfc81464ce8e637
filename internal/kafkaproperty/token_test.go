package kafkaproperty

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// endpoint is a token endpoint with TLS.
func endpoint(t *testing.T, answer http.HandlerFunc) (url, truststore string) {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	truststore = filepath.Join(t.TempDir(), "ca.pem")
	cert, err := x509.ParseCertificate(server.TLS.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(truststore, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL + "/token?tenant=" + password, truststore
}

// at are the properties of a client that fetches its tokens there.
func at(url, truststore string, more ...string) map[string]string {
	config := oauthModule + ` required clientId="my id" clientSecret="s+` + password + `" scope="a b"`
	if truststore != "" {
		config += ` ssl.truststore.location="` + truststore + `"`
	}
	return saslOf("OAUTHBEARER", config+";", append([]string{tokenURL, url}, more...)...)
}

func tokensOf(t *testing.T, properties map[string]string) *Tokens {
	t.Helper()
	s, complaints := Translate(Producer, properties)
	if err := Errors(complaints); err != nil {
		t.Fatal(err)
	}
	return s.SASL.Tokens
}

// TestTokenEndpoint: id, secret and scope are asked with as Kafka's client asks, once for all connections.
func TestTokenEndpoint(t *testing.T) {
	for name, c := range map[string]struct {
		more           []string
		wantID, wantPW string
	}{
		"as they are": {nil, "my id", "s+" + password},
		"encoded":     {[]string{"sasl.oauthbearer.header.urlencode", "TRUE"}, "my+id", "s%2B" + password},
		"properties":  {[]string{clientID, "id2", clientSecret, "pw2", scopeName, "a b"}, "id2", "pw2"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			url, truststore := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				id, pw, ok := r.BasicAuth()
				if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || !ok || id != c.wantID || pw != c.wantPW || r.Form.Get("grant_type") != "client_credentials" || r.Form.Get("scope") != "a b" || r.Header.Get("Accept") != "application/json" {
					t.Errorf("%s with %q %q, %v, %v", r.Method, id, pw, r.Form, err)
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"access_token":"tok-en","token_type":"Bearer","expires_in":1000}`)
			})
			tokens := tokensOf(t, at(url, truststore, c.more...))
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if token, err := tokens.Token(t.Context()); err != nil || token.Reveal() != "tok-en" {
						t.Errorf("%q, %v", token.Reveal(), err)
					}
				})
			}
			all.Wait()
			if n := asked.Load(); n != 1 {
				t.Errorf("the endpoint is asked %d times", n)
			}
			if left := time.Until(tokens.token.ends); left < 900*time.Second || left > 1000*time.Second {
				t.Errorf("the token ends in %v", left)
			}
		})
	}
}

// TestTokenEndpointFails: what goes wrong is told without a secret, whatever the endpoint answers.
func TestTokenEndpointFails(t *testing.T) {
	repeat := func(w http.ResponseWriter, r *http.Request) string {
		_, pw, _ := r.BasicAuth()
		return pw
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		trust  bool
		want   string
	}{
		"refused": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, repeat(w, r))
		}, true, "it answers 401 Unauthorized, invalid_client"},
		"code repeats": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error":%q}`, repeat(w, r))
		}, true, "it answers 400 Bad Request"},
		"down": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, repeat(w, r))
		}, true, "it answers 503"},
		"no JSON": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, repeat(w, r))
		}, true, "not what a token endpoint answers"},
		"no token": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{}`)
		}, true, "not what a token endpoint answers"},
		"bad token": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"a\u0001auth=x"}`)
		}, true, "characters that no token may have"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/"+repeat(w, r), http.StatusTemporaryRedirect)
		}, true, "it answers 307"},
		"not trusted": {func(http.ResponseWriter, *http.Request) {}, false, "add the authority to the truststore"},
	} {
		t.Run(name, func(t *testing.T) {
			url, truststore := endpoint(t, c.answer)
			if !c.trust {
				truststore = ""
			}
			_, err := tokensOf(t, at(url, truststore)).Token(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "fetch a token from https://127.0.0.1:") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want ...%s..., without a secret", err, c.want)
			}
		})
	}
	if _, err := tokensOf(t, at("http://127.0.0.1:1/x?"+password, "")).Token(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v, want that the connection is refused", err)
	}
}

// source is a source of tokens that a test steers.
type source struct {
	asked int
	err   error
	life  time.Duration
	hang  bool
}

func (s *source) fetch(ctx context.Context) (token, error) {
	s.asked++
	if s.hang {
		<-ctx.Done()
		return token{}, ctx.Err()
	}
	if s.err != nil {
		return token{}, s.err
	}
	return token{text: hide(fmt.Sprint("token-", s.asked)), issued: time.Now(), ends: time.Now().Add(s.life)}, nil
}

// TestTokenIsRenewed: a token is replaced in time; while that fails the old one serves to its end; a source that failed is left alone
// for longer and longer.
func TestTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &source{life: 1000 * time.Second}
		tokens := &Tokens{source: from, pace: pace{factor: 0.8, least: time.Minute, buffer: 300 * time.Second, retry: time.Second, most: 8 * time.Second}}
		want := func(text string, asked int) {
			t.Helper()
			got, err := tokens.Token(t.Context())
			if err != nil || got.Reveal() != text || from.asked != asked {
				t.Errorf("got %q, %v, asked %d times, want %q after %d", got.Reveal(), err, from.asked, text, asked)
			}
		}
		want("token-1", 1)
		time.Sleep(699 * time.Second) // 1000 - buffer
		want("token-1", 1)
		time.Sleep(2 * time.Second)
		want("token-2", 2)
		time.Sleep(701 * time.Second)
		from.err = errors.New("away")
		want("token-2", 3)
		want("token-2", 3) // left alone
		time.Sleep(time.Second)
		want("token-2", 4)
		time.Sleep(time.Second) // two by now
		want("token-2", 4)
		time.Sleep(298 * time.Second) // the token's end
		if _, err := tokens.Token(t.Context()); err == nil || err.Error() != "away" || from.asked != 5 {
			t.Errorf("%v after %d, want the source's error", err, from.asked)
		}
		if _, err := tokens.Token(t.Context()); err == nil || from.asked != 5 {
			t.Errorf("%v after %d, want the source's error, without asking", err, from.asked)
		}
		time.Sleep(8 * time.Second)
		from.err, from.hang = nil, true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tokens.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that it is called off", err)
		}
		from.hang = false
		want("token-7", 7) // that it was called off is no failure of the source
	})
}
