//go:build linux

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Each run has its functions at a path of its own: its mode and its topics are in it, and one can be down without the others.
func TestFunctionsByPath(t *testing.T) {
	server := httptest.NewServer(&functions{})
	defer server.Close()
	w := &world{url: server.URL}
	bulked := &run{w: w, name: "run1", cell: cell{Mode: bulk}, load: workload{apart: true}}
	alone := &run{w: w, name: "run2", cell: cell{Mode: single}}
	ask := func(url string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		drop(response.Body)
		return response.StatusCode
	}
	count := strings.ReplaceAll(bulked.url(), "{function.name}", "count")
	if err := bulked.setDown(t.Context(), "count", true); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]int{
		count:                           http.StatusServiceUnavailable,
		bulked.functionsURL() + "/hop9": http.StatusBadRequest, // served, and there is no call in the body
		alone.url():                     http.StatusBadRequest,
		server.URL + "/run3":            http.StatusNotFound,
		server.URL + "/run3/bulk/a lot": http.StatusNotFound,
	} {
		if got := ask(url); got != want {
			t.Errorf("%s: %d, want %d", url, got, want)
		}
	}
	if err := bulked.setDown(t.Context(), "count", false); err != nil {
		t.Fatal(err)
	}
	if got := ask(count); got != http.StatusBadRequest {
		t.Errorf("up again, and it answers %d", got)
	}
	for r, want := range map[*run]int{bulked: bulkCalls, alone: 0} {
		h, err := handlerOf(strings.TrimPrefix(r.functionsURL(), server.URL))
		if err != nil || h.Bulk != want || h.TopicPrefix != r.name+"-" {
			t.Errorf("%s: %v, %v", r.name, h, err)
		}
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 3.14159: "3.14", 45.67: "45.7", 12345.6: "12346", -0.5: "-0.50"} {
		if got := figure(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	var out bytes.Buffer
	r := reportOf(16.5)
	r.add(cell{Subject: gatewaySubject, Store: sqliteStore, Workload: slowRate, Mode: bulk, Semantic: exactlyOnce}, map[string]float64{"p50_ms": 12})
	r.tables(&out)
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"workload records/s both count 60606 16.5", "at a rate", "workload p50 20/s 12.0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}
