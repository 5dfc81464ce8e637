package endpoint

import (
	"net/http"
	"strings"
	"testing"
)

func TestAnnouncement(t *testing.T) {
	c := client(t, "http://f/")
	for text, want := range map[string]int{
		"1; calls=256": 256, "1;calls=2": 2, " 1 ;\tCALLS = 7 ": 7, "1; calls=4; later=x": 4, "1; later; calls=4": 4,
		"1; calls=4097": bulkCallsMax, "1; calls=99999999999999999999999999": bulkCallsMax, "1; calls=0004": 4,
		"": 0, "1": 0, "1; calls": 0, "1; calls=": 0, "1; calls=0": 0, "1; calls=1": 0, "1; calls=-4": 0, "1; calls=+4": 0, "1; calls=4.0": 0, "1; calls=0x10": 0,
		"2; calls=4": 0, "1.0; calls=4": 0, "1, 2; calls=4": 0, "1; calls=4, 2": 0, "1; calls=4; calls=5": 0, "calls=4": 0, "1 calls=4": 0, "1; calls=\u0664": 0,
		"1; calls=4; x=" + strings.Repeat("y", announcementBytesMax): 0,
	} {
		for range 2 { // the second time it is known
			if got := c.announced(http.Header{bulkHeader: {text}}); got != want {
				t.Errorf("%.40q: got %d, want %d", text, got, want)
			}
		}
	}
	if got := c.announced(http.Header{}); got != 0 {
		t.Errorf("nothing: got %d", got)
	}
	if got := c.announced(http.Header{bulkHeader: {"1; calls=4", "1; calls=4"}}); got != 0 {
		t.Errorf("twice: got %d", got)
	}
	header := http.Header{bulkHeader: {"1; calls=4"}}
	if n := testing.AllocsPerRun(100, func() { c.announced(header) }); n != 0 {
		t.Errorf("%v allocations each time", n)
	}
}

// TestBulkCallsMax: the spec bounds what is announced, and without bulk calls nothing is offered and nothing heard.
func TestBulkCallsMax(t *testing.T) {
	for most, want := range map[int]int{0: 8, 1: 0, 2: 2, 7: 7, 8: 8, 100: 8} {
		offers := make(chan []string, 1)
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			offers <- r.Header["Stategate-Bulk"]
			w.Header().Set(bulkHeader, "1; calls=8")
			w.Header().Set("Content-Type", contentType)
		}, func(s *Spec) { s.BulkCallsMax = most })
		if _, got, fail := c.Call(t.Context(), []byte("x")); got != want || fail != nil {
			t.Errorf("at most %d: got %d, %v, want %d", most, got, fail, want)
		}
		if offer := <-offers; (len(offer) > 0) != (most != 1) {
			t.Errorf("at most %d: offers %q", most, offer)
		}
		if c.CallsMax() != most {
			t.Errorf("at most %d: says %d", most, c.CallsMax())
		}
	}
	if _, err := New(Spec{URL: "http://f/", BulkCallsMax: -1}); err == nil {
		t.Error("a negative bound is taken")
	}
}

// TestCallHearsTheAnnouncement in each good response, and forgets it with one that does not say it.
func TestCallHearsTheAnnouncement(t *testing.T) {
	say := []string{"1; calls=8", "", "1; calls=16", "1; calls=16"}
	status := []int{200, 200, 202, 500}
	n := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header["Stategate-Bulk"]; len(got) != 1 || got[0] != "1" {
			t.Errorf("offers %q", got)
		}
		if say[n] != "" {
			w.Header().Set(bulkHeader, say[n])
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status[n])
		n++
	})
	for i, want := range []int{8, 0, 16, 0} {
		if _, bulk, fail := c.Call(t.Context(), []byte("x")); bulk != want || (fail != nil) != (status[i] == 500) {
			t.Errorf("call %d: got %d, %v, want %d", i, bulk, fail, want)
		}
	}
}
