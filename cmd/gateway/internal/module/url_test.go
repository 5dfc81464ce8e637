package module

import (
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
)

func TestResolveURL(t *testing.T) {
	tests := []struct {
		template string
		kind     TransportKind
		name     string
		want     string // "" for an error
	}{
		{"http://h:1/fn/{function.name}", Async, "cart", "http://h:1/fn/cart"},
		{"http://h/{function.name}/{function.name}", Async, "a b", "http://h/a%20b/a%20b"},
		{"http://h/{function.name}", Async, "a/../../b?c#d%", "http://h/a%2F..%2F..%2Fb%3Fc%23d%25"},
		{"http://h/{function.name}", Async, `a\b`, "http://h/a%5Cb"},
		{"http://h/{function.name}", Async, "größe", "http://h/gr%C3%B6%C3%9Fe"},
		{"http://h/{function.name}", Async, "\xff", "http://h/%FF"},
		{"http://h/fixed", Async, "cart", "http://h/fixed"},
		{"http://h", Async, "cart", "http://h"},
		{"http://h/?f={function.name}&x", Async, "a&b=c d", "http://h/?f=a%26b%3Dc+d&x"},
		{"http://{function.name}.shop:80/", Async, "cart", "http://cart.shop:80/"},
		{"HTTPS://h/x", Async, "cart", "HTTPS://h/x"},
		{"http+unix:///run/{function.name}.sock/x", OkHTTP, "cart", "http+unix:///run/cart.sock/x"},

		{"http://{function.name}.shop:80/", Async, "a@evil", ""},
		{"http://{function.name}/", Async, "evil:99", ""},
		{"http://{function.name}/", Async, "evil/x", ""},
		{"http://h/{function.name}", Async, "", ""},
		{"http://h/{function.name}", Async, ".", ""},
		{"http://h/{function.name}", Async, "..", ""},
		{"http://h/fixed", Async, "..", ""},
		{"http://h/.{function.name}/x", Async, ".", ""},
		{"http://h/{function.name}", Async, "a\nb", ""},
		{"http://h/{function.name}", Async, "a\x00", ""},
		{"http://h/{function.name}", Async, "a\x7f", ""},
		{"http://h/{function.name}", Async, "a\u0085", ""},
		{"http+unix:///run/{function.name}.sock/x", OkHTTP, "../../tmp/x", ""},
		{"http+unix:///run/x.sock", Async, "cart", ""},
		{"{function.name}://h/", Async, "http", ""},
		{"ftp://h/", Async, "cart", ""},
		{"http:///x", Async, "cart", ""},
		{"http://h/%zz", Async, "cart", ""},
		{"http://h/{other}", Async, "cart", ""},
	}
	for _, tt := range tests {
		e := Endpoint{URLTemplate: tt.template, Transport: Transport{Kind: tt.kind}}
		got, err := e.ResolveURL(api.FunctionType{Namespace: "shop", Name: tt.name})
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s with %q: got %q, %v, want %q", tt.template, tt.name, got, err, tt.want)
		}
	}
}

func TestResolveURLOfFaultyEndpoint(t *testing.T) {
	e := Endpoint{URLTemplate: "http://h/", Fault: "client_cert without client_key"}
	got, err := e.ResolveURL(api.FunctionType{Namespace: "a", Name: "b"})
	if got != "" || err == nil || !strings.Contains(err.Error(), e.Fault) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestResolveURLShowsNoPassword(t *testing.T) {
	for _, template := range []string{"http://u:hunter2@h:port/", "http://u:hunter2/@h/", "http://u:hunter2@h/ x", "http://u:hunter2@/", "x://u:hunter2@h/"} {
		e := Endpoint{URLTemplate: template}
		_, err := e.ResolveURL(api.FunctionType{Namespace: "a", Name: "b"})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", template, err)
		}
	}
}

func TestSplitSocket(t *testing.T) {
	tests := []struct {
		url, socket, request string
		ok                   bool
	}{
		{"http+unix:///run/x.sock/fn", "/run/x.sock", "/%2Ffn", true},
		{"http+unix:///run/a/x.sock/fn/y.sock/z", "/run/a/x.sock", "/%2Ffn%2Fy.sock%2Fz", true},
		{"https+unix:///x.sock", "/x.sock", "/", true},
		{"http+unix:///run/a%20b.sock/", "/run/a b.sock", "/%2F", true},
		{"http+unix:///run/x", "", "", false},
		{"http+unix://run/x.sock/fn", "", "", false},
		{"http://h/x.sock/fn", "", "", false},
		{"://", "", "", false},
	}
	for _, tt := range tests {
		socket, request, ok := SplitSocket(tt.url)
		if socket != tt.socket || request != tt.request || ok != tt.ok {
			t.Errorf("%s: got %q, %q, %v", tt.url, socket, request, ok)
		}
	}
}
