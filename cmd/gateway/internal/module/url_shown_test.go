package module

import (
	"strings"
	"testing"
)

// TestProxyPort: what is no port is found before the first call.
func TestProxyPort(t *testing.T) {
	for proxy, good := range map[string]bool{
		"http://h:1": true, "http://h:65535": true, "http://h": true, "socks5://u:p@h:1080": true, "http://[::1]:3128": true, "environment": true,
		"http://h:99999": false, "http://h:0": false, "socks5://h:65536": false, "http://h:-1": false, "http://h:99999999999999999999": false,
	} {
		m, complaints := Parse("f", []byte(canaryEndpoint("https://h/", "proxy: '"+proxy+"'")), nil)
		if (m != nil) != good || !good && !strings.Contains(complaints.String(), "proxy: want environment") {
			t.Errorf("%s: module %v\n%s", proxy, m != nil, complaints)
		}
	}
}

// TestShownURL: an URL that can be called is shown as it is; one that cannot, as it is written, for a variable may hold a secret.
func TestShownURL(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"WORD": canary, "HOST": "functions"}[name]
		return value, ok
	}
	for template, want := range map[string][2]string{
		"http://${HOST}/f":    {"http://functions/f", ""},
		"http://u:${WORD}@h/": {"http://***@h/", ""},
		"${WORD}://h/":        {"${WORD}://h/", "urlPathTemplate: unknown scheme ***: want http, https, http+unix or https+unix"},
		"${WORD}":             {"${WORD}", "urlPathTemplate: want a full URL, http://HOST/PATH or https://HOST/PATH"},
		"http://h:${WORD}/":   {"http://h:${WORD}/", "urlPathTemplate: invalid port *** after host"},
		"http://h:${X:-a}/":   {"http://h:${X...}/", "urlPathTemplate: invalid port *** after host"},
		"ftp://h/":            {"ftp://h/", `urlPathTemplate: unknown scheme "ftp": want http, https, http+unix or https+unix`},
	} {
		m, complaints := Parse("f", []byte(canaryEndpoint(template, "call: 1s")), lookup)
		if m == nil {
			t.Errorf("%s: %s", template, complaints)
			continue
		}
		if got := [2]string{m.Endpoints[0].shown(), m.Endpoints[0].Fault}; got != want || !strings.Contains(m.Summary(), "endpoint a/*: "+want[0]+" (") {
			t.Errorf("%s: got %q, want %q\n%s", template, got, want, m.Summary())
		}
	}
}
