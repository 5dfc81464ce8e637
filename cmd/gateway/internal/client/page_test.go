package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// list serves the numbers from 1 to n, page by page.
func list(t *testing.T, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 || limit > 1000 || r.URL.Query().Get("function") != "shop/cart" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{ "role": {"x":[1]}, "items": [`)
		last := min(n, after+limit)
		for i := after + 1; i <= last; i++ {
			fmt.Fprint(w, i)
			if i < last {
				fmt.Fprint(w, ",")
			}
		}
		if last < n {
			fmt.Fprintf(w, `], "next": "%d"}`, last)
		} else {
			fmt.Fprint(w, `], "next": null}`)
		}
	}
}

func TestItems(t *testing.T) {
	for _, c := range []struct {
		n, limit, want int
		more           bool
	}{{0, 0, 0, false}, {1, 0, 1, false}, {1000, 0, 1000, false}, {200, 0, 200, false}, {1000, 1, 1, true}, {1000, 200, 200, true}, {1000, 450, 450, true}, {450, 450, 450, false}, {3, 450, 3, false}} {
		client := serve(t, list(t, c.n), Config{})
		var got int
		more, err := client.Items(t.Context(), "/v1/x", url.Values{"function": {"shop/cart"}}, c.limit, func(item json.RawMessage) error {
			if got++; string(item) != strconv.Itoa(got) {
				return fmt.Errorf("got %s as number %d", item, got)
			}
			return nil
		})
		if err != nil || got != c.want || more != c.more {
			t.Errorf("%+v: got %d, more %v, %v", c, got, more, err)
		}
	}
	enough := errors.New("enough")
	client := serve(t, list(t, 1000), Config{})
	if _, err := client.Items(t.Context(), "/v1/x", url.Values{"function": {"shop/cart"}}, 0, func(json.RawMessage) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// A long list costs the memory of an item and not of all of them.
func TestItemsHoldOne(t *testing.T) {
	client := serve(t, list(t, 200_000), Config{})
	most := uint64(0)
	var m runtime.MemStats
	n := 0
	_, err := client.Items(t.Context(), "/v1/x", url.Values{"function": {"shop/cart"}}, 0, func(json.RawMessage) error {
		if n++; n%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		return nil
	})
	if err != nil || n != 200_000 || most > 32<<20 {
		t.Errorf("%d items, %d bytes, %v", n, most, err)
	}
}

func TestNoPages(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "no list", `[]`: "no list", `{"items":{}}`: "no list", `{"items":null}`: "no list", `{"items":[1,]}`: "no list", `{"items":[1],"items":[2]}`: "no list", `{"items":[1],"next":7}`: "no list",
		`{"items":[1,2`: "breaks off", ``: "breaks off", `{"items":[1]`: "breaks off", `{"items":[`: "breaks off", `{"items":[1],"next":""}`: "goes on where it has been", "\x00": "no list",
		`{"x":` + strings.Repeat("[", 20_000): "no list",
	} {
		client := serve(t, says(body), Config{})
		_, err := client.Items(t.Context(), "/v1/x", nil, 0, func(json.RawMessage) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", body, err, want)
		}
	}
	endless := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"items":["`)
		for chunk := strings.Repeat("x", 1<<20); ; {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}, Config{})
	if _, err := endless.Items(t.Context(), "/v1/x", nil, 0, nil); !errors.Is(err, errLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := endless.Do(t.Context(), Request{Path: "/"}); !errors.Is(err, errLarge) {
		t.Errorf("got %v", err)
	}
}

func FuzzPage(f *testing.F) {
	for _, s := range []string{`{"items":[1,"a",{"b":[]}],"next":"x"}`, `{"next":null,"items":[]}`, `{`, `{"items":[`, `null`, `{"items":[],"next":{}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		items := 0
		n, _, err := readPage(json.NewDecoder(strings.NewReader(body)), func(item json.RawMessage) error {
			if items++; !json.Valid(item) {
				t.Fatalf("%q gives %q", body, item)
			}
			return nil
		})
		if n != items && err == nil {
			t.Fatalf("%q: %d items are counted as %d", body, items, n)
		}
	})
}
