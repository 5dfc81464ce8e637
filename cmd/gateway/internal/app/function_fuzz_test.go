package app

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/endpoint"
)

// FuzzEndpointURL: a template that gateway check takes, and the URL that it gives for a name, can be called: who reads module.yaml and
// who calls have the same opinion of it. What is shown of it holds no password and no query.
func FuzzEndpointURL(f *testing.F) {
	f.Fuzz(func(t *testing.T, template, name string, plain bool) {
		e := module.Endpoint{URLTemplate: template, Transport: module.Transport{Kind: module.OkHTTP}}
		if plain {
			e.Transport.Kind = module.Async
		}
		resolved, err := e.ResolveURL(api.FunctionType{Namespace: "n", Name: name})
		if err != nil {
			return
		}
		pool := endpoint.NewPool()
		defer pool.Close()
		if _, err := pool.Client(endpointSpec(&e.Transport, resolved)); err != nil {
			t.Fatalf("%q with %q gives %q, which cannot be called: %v", template, name, resolved, err)
		}
		shown := place(resolved)
		u, err := url.Parse(shown)
		if err != nil || shown == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q is shown as %q: %v", resolved, shown, err)
		}
		if whole, _ := url.Parse(resolved); whole.Host != u.Host || whole.Path != u.Path {
			t.Fatalf("%q is shown as %q", resolved, shown)
		}
		if socket, request, ok := module.SplitSocket(resolved); ok && (!strings.HasSuffix(socket, ".sock") || !strings.HasPrefix(request, "/")) {
			t.Fatalf("%q: socket %q, request %q", resolved, socket, request)
		}
	})
}
