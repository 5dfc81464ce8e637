package app

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/endpoint"
)

// Each option of a transport is shown at work from the text of a module to a server that sees, or suffers, what it does.

const octetStream = "application/octet-stream"

// noEffects is how the SDKs of JavaScript, Go and Java answer that nothing is to be done.
var noEffects = []byte{0xa2, 0x06, 0x00}

// served is the function test/fn of a module whose endpoint is given as text: how it is called, and a client that calls it.
func served(t testing.TB, pool *endpoint.Pool, endpointText string, vars map[string]string) (dispatcher.Function, *endpoint.Client) {
	t.Helper()
	f := resolved(t, endpointText, vars)
	client, err := pool.Client(f.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return f, client
}

func resolved(t testing.TB, endpointText string, vars map[string]string) dispatcher.Function {
	t.Helper()
	const ingress = `
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: kafka:9092
  consumerGroupId: test
  topics: [{topic: in, valueType: test/event, targets: [test/fn]}]
`
	if !strings.Contains(endpointText, "version:") {
		endpointText += ingress
	}
	m, complaints := module.Parse("module.yaml", []byte(endpointText), func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if m == nil {
		t.Fatal(complaints)
	}
	f, declared := newFunctions(m).of(api.FunctionType{Namespace: "test", Name: "fn"})
	if !declared || f.Refusal != "" || f.Spec.Fault != "" {
		t.Fatalf("declared %v, refusal %q, fault %q\n%s", declared, f.Refusal, f.Spec.Fault, complaints)
	}
	return f
}

// v2 is an endpoint of today with this transport.
func v2(transport string) string {
	return "kind: io.statefun.endpoints.v2/http\nspec: {functions: test/*, urlPathTemplate: \"${URL}\", transport: {" + transport + "}}\n"
}

func okhttp(options string) string { return v2("type: io.statefun.transports.v1/okhttp, " + options) }

// v1 is an endpoint of old with these options of its spec.
func v1(options string) string {
	return "kind: io.statefun.endpoints.v1/http\nspec: {functions: test/*, urlPathTemplate: \"${URL}\", " + options + "}\n"
}

// legacy is the format 3.0.
func legacy(options string) string {
	return `version: "3.0"
module:
  meta: {type: remote}
  spec:
    endpoints:
      - endpoint:
          meta: {kind: http}
          spec: {functions: test/*, urlPathTemplate: "${URL}", ` + options + `}
    ingresses:
      - ingress:
          meta: {type: io.statefun.kafka/ingress, id: test/in}
          spec:
            address: kafka:9092
            consumerGroupId: test
            topics: [{topic: in, valueType: test/event, targets: [test/fn]}]
`
}

func poolOf(t testing.TB) *endpoint.Pool {
	pool := endpoint.NewPool()
	t.Cleanup(pool.Close)
	return pool
}

// listen serves plain HTTP and counts connections.
func listen(t testing.TB, handler http.HandlerFunc) (vars map[string]string, opened *atomic.Int32) {
	t.Helper()
	opened = new(atomic.Int32)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return map[string]string{"URL": server.URL + "/{function.name}"}, opened
}

func answers(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", octetStream)
	w.Write(body)
}

// hang takes the request and answers nothing.
func hang(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// attempt calls as the dispatcher does, with the call's time for the attempt.
func attempt(t testing.TB, f dispatcher.Function, c *endpoint.Client, body []byte) ([]byte, *endpoint.Failure) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(f.Budget)*time.Millisecond)
	defer cancel()
	reply, _, fail := c.Call(ctx, body)
	return reply, fail
}

func succeeds(t testing.TB, f dispatcher.Function, c *endpoint.Client) []byte {
	t.Helper()
	reply, fail := attempt(t, f, c, []byte("request"))
	if fail != nil {
		t.Fatalf("%s: %s", fail.Kind, fail.Text)
	}
	return reply
}

func fails(t testing.TB, f dispatcher.Function, c *endpoint.Client, body []byte, kind endpoint.Kind, text string) {
	t.Helper()
	reply, fail := attempt(t, f, c, body)
	if fail == nil {
		t.Errorf("got a reply of %d bytes, want %s, %q", len(reply), kind, text)
	} else if fail.Kind != kind || !strings.Contains(fail.Text, text) {
		t.Errorf("got %s, %q; want %s, %q", fail.Kind, fail.Text, kind, text)
	}
}

// What a function is sent, by each kind of endpoint. Only the async transport says what it accepts.
func TestTransportRequest(t *testing.T) {
	type seen struct {
		Method, Path, Host, Proto string
		Length                    int64
		Chunked                   bool
		Header                    http.Header
	}
	got := make(chan seen, 1)
	vars, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
		got <- seen{r.Method, r.RequestURI, r.Host, r.Proto, r.ContentLength, len(r.TransferEncoding) > 0, r.Header.Clone()}
		answers(w, noEffects)
	})
	host := strings.TrimSuffix(strings.TrimPrefix(vars["URL"], "http://"), "/{function.name}")
	for name, tc := range map[string]struct {
		text   string
		accept bool
	}{
		"async, by default": {v2(""), true},
		"async, by name":    {v2("type: io.statefun.transports.v1/async"), true},
		"okhttp":            {okhttp("timeouts: {}"), false},
		"endpoints v1":      {v1("timeouts: {}"), false},
		"legacy":            {legacy("timeouts: {}"), false},
	} {
		f, c := served(t, poolOf(t), tc.text, vars)
		succeeds(t, f, c)
		want := seen{"POST", "/fn", host, "HTTP/1.1", 7, false, http.Header{
			"Content-Type": {octetStream}, "User-Agent": {"statefun"}, "Accept-Encoding": {"gzip,deflate"}, "Content-Length": {"7"}, "Stategate-Bulk": {"1"},
		}}
		if tc.accept {
			want.Header["Accept"] = []string{octetStream}
		}
		if diff := cmp.Diff(want, <-got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// StateFun sends what follows the socket as one segment, with its first slash.
func TestTransportUnixSocket(t *testing.T) {
	for _, scheme := range []string{"http+unix", "https+unix"} {
		for path, want := range map[string]string{"": "/", "/fn": "/%2Ffn", "/a/b c": "/%2Fa%2Fb%20c", "/{function.name}": "/%2Ffn"} {
			socket := filepath.Join(t.TempDir(), "x.sock")
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			got := make(chan string, 1)
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got <- r.RequestURI
				answers(w, noEffects)
			})}
			go server.Serve(listener)
			defer server.Close()
			vars := map[string]string{"URL": scheme + "://" + socket + strings.ReplaceAll(path, " ", "%20")}
			for _, text := range []string{okhttp("timeouts: {}"), v1("timeouts: {}")} {
				f, c := served(t, poolOf(t), text, vars)
				succeeds(t, f, c)
				if got := <-got; got != want {
					t.Errorf("%s: asked for %q, want %q", vars["URL"], got, want)
				}
			}
		}
	}
}

// Replies that StateFun takes, and those that it does not.
func TestTransportReply(t *testing.T) {
	// An unknown field (number 900) beside an invocation response: a newer SDK may send one.
	unknown := append([]byte{0xa2, 0x38, 0x01, 0x78}, noEffects...)
	gz := func(data []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(data)
		w.Close()
		return b.Bytes()
	}
	zl := func(data []byte) []byte {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		w.Write(data)
		w.Close()
		return b.Bytes()
	}
	const length = "\r\nContent-Length: %d\r\n\r\n"
	say := func(head string, body []byte) string { return head + fmt.Sprintf(length, len(body)) + string(body) }
	const ok, of = "HTTP/1.1 200 OK\r\nContent-Type: ", octetStream
	for name, tc := range map[string]struct {
		raw  string
		kind endpoint.Kind // 0: a reply
		want []byte
		text string
	}{
		"no effects":              {say(ok+of, noEffects), 0, noEffects, ""},
		"no effects of Python":    {say(ok+of, nil), 0, nil, ""},
		"status 201":              {say("HTTP/1.1 201 Created\r\nContent-Type: "+of, noEffects), 0, noEffects, ""},
		"gzip":                    {say(ok+of+"\r\nContent-Encoding: gzip", gz(noEffects)), 0, noEffects, ""},
		"deflate":                 {say(ok+of+"\r\nContent-Encoding: deflate", zl(noEffects)), 0, noEffects, ""},
		"HTTP/1.0 till the close": {"HTTP/1.0 200 OK\r\nContent-Type: " + of + "\r\n\r\n" + string(noEffects), 0, noEffects, ""},
		"capitals":                {say(ok+"Application/Octet-Stream", noEffects), 0, noEffects, ""},
		"with parameters":         {say(ok+of+"; charset=utf-8", noEffects), 0, noEffects, ""},
		"unknown field":           {say(ok+of, unknown), 0, unknown, ""},
		"header named Status":     {"HTTP/1.1 200 OK\r\nStatus: 500\r\nContent-Length: 0\r\n\r\n", endpoint.BadReply, nil, "no content type (must be application/octet-stream), and a header Status: 500"},
		"no content type":         {say("HTTP/1.1 200 OK\r\nX: y", noEffects), endpoint.BadReply, nil, "no content type"},
		"another content type":    {say(ok+"text/html", []byte("please log in")), endpoint.BadReply, nil, "please log in"},
		"500 of JavaScript":       {"HTTP/1.1 500 Internal Server Error\r\nContent-Type: " + of + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", endpoint.Status, nil, "status 500"},
		"redirect":                {"HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", endpoint.Status, nil, "redirects are not followed"},
	} {
		vars, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, tc.raw)
		})
		f, c := served(t, poolOf(t), v2(""), vars)
		reply, fail := attempt(t, f, c, []byte("request"))
		if tc.kind != 0 {
			if fail == nil || fail.Kind != tc.kind || !strings.Contains(fail.Text, tc.text) {
				t.Errorf("%s: got %q, %v; want %s, %q", name, reply, fail, tc.kind, tc.text)
			}
			continue
		}
		if fail != nil || !bytes.Equal(reply, tc.want) {
			t.Errorf("%s: got %q, %v; want %q", name, reply, fail, tc.want)
		} else if err := proto.Unmarshal(reply, &protocol.FromFunction{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
