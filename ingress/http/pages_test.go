package http

import (
	"context"
	"crypto/tls"
	"net"
	nethttp "net/http"
	"strings"
	"testing"
)

// TestPagesOfOthers: what a browser sends for a page of another site is refused, with a token and without.
func TestPagesOfOthers(t *testing.T) {
	cfg := testConfig()
	a := &asker{}
	local, _ := open(t, serving(t, cfg, a))
	cfg.Allow = bearer("secret")
	tokens, _ := open(t, serving(t, cfg, a))
	for _, address := range []string{local, tokens} {
		for site, want := range map[string]int{"cross-site": 403, "same-site": 202, "same-origin": 202, "none": 202, "": 202} {
			headers := []string{"Authorization: Bearer secret"}
			if site != "" {
				headers = append(headers, "Sec-Fetch-Site: "+site)
			}
			if code, text := post(t, "http://"+address+"/v1/send/shop/cart/a", nil, headers...); code != want || code == 403 && !strings.Contains(text, "nothing has happened") {
				t.Errorf("%q: %d, %s", site, code, text)
			}
		}
	}
	if a.mu.Lock(); len(a.did) != 8 {
		t.Errorf("%d are done", len(a.did))
	}
	a.mu.Unlock()
}

// TestOriginsOfOthers: in clear, and to a host that is not its own, a browser says nothing but where the page is from.
func TestOriginsOfOthers(t *testing.T) {
	address, _ := open(t, serving(t, testConfig(), &asker{}))
	for headers, want := range map[string]int{
		"Origin: http://127.0.0.1:3000": 202, "Origin: https://127.0.0.1": 202, "Origin: http://127.0.0.1:3000|Sec-Fetch-Site: same-site": 202,
		"Origin: https://shop.example|Sec-Fetch-Site: same-origin": 202, // a proxy asks for another name
		"Origin: https://evil.example":                             403, "Origin: null": 403, "Origin: ": 403, "Origin: http://%zz": 403, "Origin: //127.0.0.1.evil.example": 403,
		"Origin: http://127.0.0.1@evil.example": 403, "Origin: http://127.0.0.1|Origin: http://evil.example": 403,
		"Sec-Fetch-Site: same-origin|Sec-Fetch-Site: cross-site": 403,
	} {
		if code, text := post(t, "http://"+address+"/v1/send/shop/cart/a", nil, strings.Split(headers, "|")...); code != want {
			t.Errorf("%q: %d, want %d, %s", headers, code, want, text)
		}
	}
}

// TestNamesOfOthers: where nothing but the loopback address keeps others out a name that may be anybody's is refused.
func TestNamesOfOthers(t *testing.T) {
	cfg := testConfig()
	local, _ := open(t, serving(t, cfg, &asker{}))
	cfg.Allow = bearer("secret")
	tokens, _ := open(t, serving(t, cfg, &asker{}))
	ask := func(address, host string) int {
		r, err := nethttp.NewRequest("POST", "http://"+address+"/v1/send/shop/cart/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Authorization", "Bearer secret")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for host, want := range map[string]int{
		"localhost": 202, "LOCALHOST:8080": 202, "localhost.:1": 202, "shop.localhost:8080": 202, "127.0.0.1": 202, "127.0.0.1:80": 202, "[::1]:80": 202, "[::1]": 202, "10.1.2.3:80": 202,
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "notlocalhost": 403, "127.0.0.1.evil.example": 403, "1.evil:80": 403,
	} {
		if got := ask(local, host); got != want {
			t.Errorf("%q: %d, want %d", host, got, want)
		}
		if got := ask(tokens, host); got != 202 {
			t.Errorf("%q with a token: %d", host, got)
		}
	}
	if got := silent(t, local, "POST /v1/send/shop/cart/a HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 202 ") {
		t.Errorf("without a name: %q", got)
	}
}

// TestNamesOfOthersElsewhere: a name is nobody's business where others are let in, or TLS proves it, or by what is passed on.
func TestNamesOfOthersElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		listen string
		onward *tls.Config
		want   bool
	}{"loopback": {"127.0.0.1:0", nil, true}, "every interface": {"0.0.0.0:0", nil, false}, "TLS": {"127.0.0.1:0", &tls.Config{}, false}} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			active, _ := open(t, serving(t, cfg, &asker{}))
			cfg.Owner, cfg.Onward = func(context.Context) (string, bool) { return active, true }, c.onward
			s := New(cfg)
			listener, err := net.Listen("tcp", c.listen)
			if err != nil {
				t.Fatal(err)
			}
			ctx, end := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx, listener) }()
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			got := silent(t, "127.0.0.1:"+port, "POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
			if refused := strings.HasPrefix(got, "HTTP/1.1 403 "); refused != c.want || c.onward == nil && !refused && !strings.HasPrefix(got, "HTTP/1.1 202 ") {
				t.Errorf("answered %q", got)
			}
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
