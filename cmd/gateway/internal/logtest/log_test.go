//go:build unix

package logtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// marker is in every payload, with what would make two lines of one, and what a terminal obeys.
const marker = "MARKER-7f3a\r\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\ntime=1 level=ERROR msg=forged\x1b[2J\x1b]0;owned\a\u202e\x9b31m"

// fail answers what it was sent, in each way in which a function can be wrong.
func fail(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	batch := call.GetInvocation()
	said := batch.GetInvocations()[0].GetArgument().GetValue()
	switch batch.GetTarget().GetType() {
	case "status", "letter":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(said)
	case "overloaded":
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(said)
	case "garbage":
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(said)
	case "html":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(said)
	case "typed":
		kind, _, _ := strings.Cut(string(said), "\r")
		w.Header().Set("Content-Type", "text/"+kind)
	case "astray":
		value := &protocol.TypedValue{Typename: "test/value", HasValue: true, Value: said}
		out := &protocol.FromFunction_InvocationResponse{
			OutgoingMessages: []*protocol.FromFunction_Invocation{{Target: &protocol.Address{Namespace: "nobody", Type: "at", Id: "home"}, Argument: value}},
			OutgoingEgresses: []*protocol.FromFunction_EgressMessage{{EgressNamespace: "no", EgressType: "egress", Argument: value}},
		}
		answer, err := proto.Marshal(&protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}})
		if err == nil {
			_, _ = w.Write(answer)
		}
	}
}

var functions = []string{"status", "letter", "overloaded", "garbage", "html", "typed", "astray"}

const moduleText = `kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: %[1]s/{function.name}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/letter
  urlPathTemplate: %[1]s/letter
  onFailure: deadLetter
  transport: {type: io.statefun.transports.v1/async, call: 200ms}
---
kind: io.stategate.http.v1/ingress
spec: {id: shop/api, functions: [shop/*], timeout: 5s}
`

// world is a gateway before functions at an address.
type world struct {
	*testgateway.Gateway
	t           *testing.T
	events, log string
}

func newWorld(t *testing.T, functions, format string) *world {
	t.Helper()
	folder := t.TempDir()
	module := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(module, fmt.Appendf(nil, moduleText, functions), 0o600); err != nil {
		t.Fatal(err)
	}
	address, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := testgateway.New(t, folder, "gateway", nil, "--module", module, "--store", "sqlite:"+filepath.Join(folder, "state.db"), "--listen", address, "--log-format", format)
	w := &world{Gateway: g, t: t, events: "http://" + address, log: g.Log}
	g.Open()
	return w
}

// send sends an event, as soon as events are taken.
func (w *world) send(function, id, value string) {
	w.t.Helper()
	testgateway.Poll(w.t, "an event to be taken", func() (bool, string) {
		resp, err := http.Post(w.events+"/v1/send/shop/"+function+"?id="+url.QueryEscape(id), "application/octet-stream", strings.NewReader(value))
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusAccepted, resp.Status + " " + string(body)
	})
}

func (w *world) setLevel(level string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPut, w.Admin()+"/v1/log-level", strings.NewReader(`{"level":"`+level+`"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("set the level: %s %s", resp.Status, body)
	}
}

// told waits for what the metrics say.
func (w *world) told(what string, ok func(testgateway.Samples) bool) {
	w.t.Helper()
	testgateway.Poll(w.t, what, func() (bool, string) {
		s := w.Samples()
		return s != nil && ok(s), fmt.Sprint(s)
	})
}

func (w *world) lines() [][]byte {
	w.t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// TestNoPayloadIsLogged: nothing of a payload is in the log above debug, however a function fails on it, and nothing that others have sent
// makes a line of its own or reaches a terminal. At debug, to which the level is set while the gateway runs, one sees what functions said.
func TestNoPayloadIsLogged(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(fail))
			defer server.Close()
			w := newWorld(t, server.URL, format)
			for _, function := range functions {
				w.send(function, "id\nof \x1b[2J\u202e"+function, marker)
			}
			w.told("every function to have failed, and letters", func(s testgateway.Samples) bool {
				failed := s.Sum("stategate_calls_total", map[string]string{"function": "shop/status", "result": "status"}) > 0 &&
					s.Sum("stategate_calls_total", map[string]string{"function": "shop/overloaded", "result": "overloaded"}) > 0
				for _, f := range []string{"garbage", "html", "typed"} {
					failed = failed && s.Sum("stategate_calls_total", map[string]string{"function": "shop/" + f, "result": "bad_reply"}) > 0
				}
				return failed && s.Sum("stategate_dead_letters", nil) >= 3
			})
			w.wellFormed(format)
			if text := bytes.Join(w.lines(), []byte("\n")); bytes.Contains(text, []byte("MARKER")) || !bytes.Contains(text, []byte("calls fail")) || !bytes.Contains(text, []byte("set aside")) {
				t.Errorf("a payload is in the log, or what is said of failures and letters is not:\n%s", text)
			}
			w.setLevel("debug")
			testgateway.Poll(t, "the log to show what a function said", func() (bool, string) {
				lines := bytes.Join(w.lines(), []byte("\n"))
				return bytes.Contains(lines, []byte("MARKER")) && bytes.Contains(lines, []byte("the level of the log is changed")), fmt.Sprintf("%d bytes", len(lines))
			})
			w.setLevel("error")
			w.Stop()
			w.wellFormed(format)
		})
	}
}

// wellFormed checks that each line is one event, in the form that the settings say.
func (w *world) wellFormed(format string) {
	w.t.Helper()
	for _, line := range w.lines() {
		var fields struct{ Time, Level, Msg string }
		switch {
		case format == "text" && !bytes.HasPrefix(line, []byte("time=20")):
			w.t.Errorf("a line of its own: %q", line)
		case format == "json" && (json.Unmarshal(line, &fields) != nil || fields.Time == "" || fields.Level == "" || fields.Msg == "" || fields.Msg == "forged"):
			w.t.Errorf("not a line in JSON: %q", line)
		}
		if bytes.ContainsAny(line, "\x1b\a\r\x9b") && bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x9b }) {
			w.t.Errorf("a control character: %q", line)
		}
	}
}

// TestALongFailureIsFewLines: an endpoint that refuses everything is called a thousand times, and the log says so in some lines.
func TestALongFailureIsFewLines(t *testing.T) {
	address, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "http://"+address, "json")
	before := len(w.lines())
	for i := range 200 {
		w.send(fmt.Sprintf("f%d", i%20), fmt.Sprint(i), "x")
	}
	w.told("many calls to have failed", func(s testgateway.Samples) bool {
		return s.Sum("stategate_calls_total", map[string]string{"result": "unreachable"}) >= 1000
	})
	lines := w.lines()[before:]
	// A line for each of the 20 functions at most, each of their breakers, and some more.
	if len(lines) > 50 {
		t.Errorf("%d lines:\n%s", len(lines), bytes.Join(lines, []byte("\n")))
	}
	w.Stop()
}
