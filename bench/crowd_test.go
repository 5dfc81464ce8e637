//go:build linux

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// counting answers as a gateway does whose function test/ask counts, or as answer says for the nth request.
type counting struct {
	mu     sync.Mutex
	n      int
	counts map[string]int
	answer func(w http.ResponseWriter, n int) (answered bool)
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if c.answer != nil && c.answer(w, c.n) {
		return
	}
	c.counts[r.URL.Path]++
	_, _ = w.Write(strconv.AppendInt(nil, int64(c.counts[r.URL.Path]), 10))
}

func crowdOf(t *testing.T, call bool, answer func(w http.ResponseWriter, n int) bool) *crowd {
	t.Helper()
	server := httptest.NewServer(&counting{counts: map[string]int{}, answer: answer})
	c := newCrowd(&run{listen: strings.TrimPrefix(server.URL, "http://"), name: "run1", load: workload{keys: 2}.in(bulk)}, call)
	t.Cleanup(func() {
		c.close()
		server.Close()
	})
	return c
}

// Every answer is counted as what it is, in the part of the time in which its request was due.
func TestCrowdCountsOutcomes(t *testing.T) {
	c := crowdOf(t, true, func(w http.ResponseWriter, n int) bool {
		switch n % 4 {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusGatewayTimeout)
		default:
			return false
		}
		return true
	})
	a, err := c.press(t.Context(), 400, 100*time.Millisecond, 2)
	if err != nil {
		t.Fatal(err)
	}
	got := a.n[0]
	for of := range got {
		got[of] += a.n[1][of]
	}
	if want := [outcomes]int{durable: 20, refused: 10, unknown: 10}; got != want || a.durable() != 20 {
		t.Errorf("got %v, want %v", got, want)
	}
	values := a.values(0, 2, 100*time.Millisecond)
	if values["asked_per_second"] != 400 || values["records_per_second"] != 200 || values["refused_per_second"] != 100 || values["unknown"] != 10 || !(values["p50_ms"] > 0) {
		t.Errorf("got %v", values)
	}
	if got := c.reasons(); got != "504 Gateway Timeout (10)" {
		t.Errorf("reasons: %q", got)
	}
	for part, n := range a.n {
		if sum := n[durable] + n[refused] + n[unknown]; sum != 20 {
			t.Errorf("part %d has %d requests, want 20", part, sum)
		}
	}
}

// What is wrong is found: a reply that came twice, a refusal that does not say when to come again, a status that an overload does not explain.
func TestCrowdFindsWrongAnswers(t *testing.T) {
	for want, answer := range map[string]func(w http.ResponseWriter, n int) bool{
		"came twice": func(w http.ResponseWriter, n int) bool {
			_, _ = w.Write([]byte("1"))
			return true
		},
		"does not say when to come again": func(w http.ResponseWriter, n int) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"500": func(w http.ResponseWriter, n int) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		},
	} {
		c := crowdOf(t, true, answer)
		if _, err := c.press(t.Context(), 400, 20*time.Millisecond, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// Behind the overload counts must be those of the requests that were answered: one more was doubled, one less was lost, but for what is in doubt.
func TestCrowdSettles(t *testing.T) {
	for _, tt := range []struct {
		taken, doubt int
		want         string
	}{{2, 0, ""}, {1, 1, ""}, {1, 0, "want 2"}, {3, 0, "want 4"}, {0, 2, ""}} {
		c := crowdOf(t, true, nil)
		if _, err := c.press(t.Context(), 100, 40*time.Millisecond, 1); err != nil {
			t.Fatal(err)
		}
		for key := range c.taken {
			c.taken[key], c.doubt[key] = tt.taken, tt.doubt
		}
		if err := c.settle(t.Context()); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d answered, %d in doubt: got %v, want %q", tt.taken, tt.doubt, err, tt.want)
		}
	}
}

// A request for which no client is free is not sent; one that is not answered in time may have happened.
func TestCrowdHasSoManyClients(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server looks whether the client is still there
		<-r.Context().Done()
	}))
	defer server.Close()
	c := newCrowd(&run{listen: strings.TrimPrefix(server.URL, "http://"), name: "run1", load: workload{keys: 2}.in(bulk)}, false)
	defer c.close()
	c.clients, c.client.Timeout = 3, 500*time.Millisecond
	a, err := c.press(t.Context(), 1e6, 20*time.Microsecond, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.n[0]; got != [outcomes]int{unknown: 3, unsent: 17} || c.doubt["run1-0"]+c.doubt["run1-1"] != 3 {
		t.Errorf("got %v, in doubt are %v", got, c.doubt)
	}
}
