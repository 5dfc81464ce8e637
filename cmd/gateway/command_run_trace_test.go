package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const httpModule = `kind: io.stategate.http.v1/ingress
spec: {id: a/in, functions: [a/*]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: a/*, urlPathTemplate: "http://127.0.0.1:1/"}
`

// TestRunTraces: what OpenTelemetry's variables say is heeded, spans reach the collector by the end at the latest, and their key is in no
// line of the log.
func TestRunTraces(t *testing.T) {
	posts := make(chan []byte, 1000)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/otlp/v1/traces" || r.Header.Get("Api-Key") != "hunter2" {
			t.Errorf("a post to %s with the key %q", r.URL.Path, r.Header.Get("Api-Key"))
		}
		posts <- body
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL+"/otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
	t.Setenv("OTEL_SERVICE_NAME", "shop")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, log := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- execute(ctx, []string{"run", "--module", writeModule(t, httpModule), "--store=memory:", "--admin=127.0.0.1:0", "--listen=127.0.0.1:0", "--log-format=json", "--log-level=debug"}, io.Discard, log)
		log.Close()
	}()
	events, admin, all := make(chan string, 1), make(chan string, 1), make(chan string, 1)
	go func() {
		var said strings.Builder
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			said.Write(scanner.Bytes())
			var line struct{ Msg, Address, Admin string }
			_ = json.Unmarshal(scanner.Bytes(), &line) // TestRunEndsAsAsked holds each line to be JSON
			switch line.Msg {
			case "http: listening":
				events <- line.Address
			case "gateway starts":
				admin <- line.Admin
			}
		}
		all <- said.String()
	}()
	waitFor(t, "http://"+<-admin+"/metrics", "stategate_trace_spans_dropped_total 0")
	event := "http://" + <-events + "/v1/send/a/f/x"
	for limit := time.Now().Add(patience); ; { // until it works, and not only listens
		response, err := http.Post(event, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusAccepted {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("the event is answered %s", response.Status)
		}
	}
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit %d", got)
	}
	close(posts)
	var sent []byte
	for body := range posts {
		sent = append(sent, body...)
	}
	for _, want := range []string{"shop", "POST /v1/send/{namespace}/{name}/{id}", "service.version"} {
		if !bytes.Contains(sent, []byte(want)) {
			t.Errorf("%q is not in what was sent: %q", want, sent)
		}
	}
	if said := <-all; strings.Contains(said, "hunter2") || !strings.Contains(said, "traces are sent") || strings.Contains(said, "spans are dropped") {
		t.Errorf("the log:\n%s", said)
	}
}

// TestRunRefusesBrokenTraces: what is wrong with where traces go ends the start, without a key.
func TestRunRefusesBrokenTraces(t *testing.T) {
	for _, c := range []struct {
		variable, value string
		args            []string
		code            int
		want            string
	}{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@collector", nil, exitFailed, "OTEL_EXPORTER_OTLP_ENDPOINT: want the URL of a collector"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "hunter2", []string{"--trace-endpoint=http://collector"}, exitFailed, "OTEL_EXPORTER_OTLP_HEADERS: want name=value"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", []string{"--trace-endpoint=http://collector"}, exitFailed, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: want"},
		{"OTEL_SERVICE_NAME", "x", []string{"--trace-endpoint=http://u:hunter2@collector"}, exitUsage, "--trace-endpoint: want"},
		{"OTEL_SERVICE_NAME", "x", []string{"--trace-sample=2"}, exitUsage, "--trace-sample: want a number from 0 to 1"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Setenv(c.variable, c.value)
			code, _, stderr := call(t, append([]string{"run", "--module", writeModule(t, httpModule), "--store=memory:", "--admin=127.0.0.1:0"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
				t.Errorf("exit %d, stderr:\n%s", code, stderr)
			}
		})
	}
}
