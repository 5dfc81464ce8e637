package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/statestore"
)

// FuzzRequest: whatever comes over the wire as a request is answered with one of the statuses that are promised, a body that is JSON of
// its length and, where it is an error, a problem with a remedy. The gateway is asked for addresses that can be, and for pages within
// their bounds, only. HEAD is answered as GET is, without the body. Nothing is changed by a GET, nor by what a page in a browser sends.
func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, wire []byte) {
		read := func() *http.Request {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
			if err != nil {
				return nil
			}
			return r
		}
		r := read()
		if r == nil {
			return
		}
		if strings.HasPrefix(r.URL.Path, profilePath) {
			return // one may take half a minute
		}
		changed := false
		h := handlerOf(&fake{turning: true, fakeMender: fakeMender{outcome: func(what string) error {
			changed = true
			if r.Method == http.MethodGet || r.Method == http.MethodHead || len(r.Header.Values("Origin")) > 0 {
				t.Errorf("%s %q changes something: %s", r.Method, r.RequestURI, what)
			}
			outcomes := []error{nil, nil, report.ErrStandby, dispatcher.ErrNothing, dispatcher.ErrChanged, &dispatcher.Objection{Detail: what, Remedy: what}, statestore.ErrUnavailable, context.DeadlineExceeded, errSecret}
			return outcomes[len(what)%len(outcomes)]
		}}, address: func(_ context.Context, a api.Address) (report.Address, error) {
			if err := api.CheckAddress(a); err != nil {
				t.Errorf("asked for %q: %v", a, err)
			}
			v := statestore.StateValue{Name: a.ID, TypeName: a.ID, Value: []byte(a.ID), Touched: int64(len(a.ID)) << 50}
			return report.Address{Active: true, NowMS: 1, Stored: statestore.Loaded{Values: []statestore.StateValue{v}}}, nil
		}, dead: func(after uint64, limit int) ([]api.DeadLetter, error) {
			if limit < 1 || limit > pageMax || after > 1<<63+pageMax {
				t.Errorf("asked for %d behind %d", limit, after)
			}
			d := api.DeadLetter{Number: after + 1, Kind: api.DeadRecord, Reason: r.URL.Path, Detail: r.URL.RawQuery, Key: []byte(r.URL.RawQuery), AtMS: int64(after)}
			return slices.Repeat([]api.DeadLetter{d}, min(limit, 3)), nil
		}})
		code, body := exchange(t, h, r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead && code < 400 && !changed && r.URL.Path != logLevelPath {
			t.Errorf("%s is answered with %d", r.Method, code)
		}
		if r.Method == http.MethodGet {
			head := read()
			head.Method = http.MethodHead
			if headCode, headBody := exchange(t, h, head); headCode != code {
				t.Errorf("GET %q: %d, HEAD: %d of %d bytes, want %d", r.RequestURI, code, headCode, len(headBody), len(body))
			}
		}
	})
}

func exchange(t *testing.T, h http.Handler, r *http.Request) (int, []byte) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	response := w.Result()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	what := r.Method + " " + r.RequestURI
	if !slices.Contains([]int{200, 204, 400, 403, 404, 405, 409, 412, 413, 415, 428, 503, 504}, response.StatusCode) {
		t.Errorf("%q is answered with %d", what, response.StatusCode)
	}
	if response.Header.Get("Cache-Control") != "no-store" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q: header %v", what, response.Header)
	}
	if length := response.Header.Get("Content-Length"); length != "" && length != strconv.Itoa(len(body)) {
		t.Errorf("%q: a body of %d bytes is said to have %s", what, len(body), length)
	}
	kind := response.Header.Get("Content-Type")
	if err := theChecker().answer(r.Method, r.URL.EscapedPath(), response.StatusCode, kind, body); err != nil {
		t.Errorf("%q: not as the document says: %v", what, err)
	}
	if !strings.Contains(kind, "json") {
		if string(body) != "metrics\n" && !(response.StatusCode == http.StatusNoContent && len(body) == 0) {
			t.Errorf("%q: %d bytes of %q", what, len(body), kind)
		}
		return response.StatusCode, body
	}
	var problem struct {
		Type, Title, Detail, Remedy string
		Status                      int
	}
	if err := json.Unmarshal(body, &problem); err != nil && response.StatusCode >= 400 || !json.Valid(body) {
		t.Errorf("%q: %v in %q", what, err, body)
	}
	if response.StatusCode >= 400 && (kind != "application/problem+json" || problem.Status != response.StatusCode || problem.Type != "about:blank" ||
		problem.Title == "" || problem.Detail == "" || problem.Remedy == "") {
		t.Errorf("%q: %d %s %s", what, response.StatusCode, kind, body)
	}
	return response.StatusCode, body
}

// FuzzDeadLetter: any dead letter is shown as JSON with its bytes as they are, and the bytes that are left only shrink.
func FuzzDeadLetter(f *testing.F) {
	f.Fuzz(func(t *testing.T, number uint64, kind uint8, text string, at, offset int64, key, value []byte, left int) {
		if left < 0 || left > valueBytesMax {
			return
		}
		d := api.DeadLetter{
			Number: number, Kind: api.DeadLetterKind(kind), From: text, Reason: text, Detail: text, AtMS: at, Source: api.Source{Ingress: text, Topic: text, Partition: int32(offset)},
			Offset: offset, Address: api.Address{Type: api.FunctionType{Name: text}, ID: text}, TypeName: text, Key: key, Value: value, Headers: []api.Header{{Key: text, Value: value}, {}},
		}
		show := &showing{raw: number%2 == 0, left: left}
		shown := deadLetterOf(&d, show)
		if show.left >= left {
			t.Errorf("%d bytes are left of %d", show.left, left)
		}
		var back jsonDeadLetter
		if err := json.Unmarshal(encode(shown), &back); err != nil {
			t.Fatal(err)
		}
		same := func(what string, got *[]byte, want []byte) {
			if (got == nil) != (want == nil) || got != nil && !bytes.Equal(*got, want) {
				t.Errorf("%s: shown as %v, want %v", what, got, want)
			}
		}
		same("key", back.Key, key)
		same("header", back.Headers[0].Value, value)
		if !back.Omitted && back.Encoding == encodingBase64 {
			var plain *[]byte
			if err := json.Unmarshal(back.Value, &plain); err != nil {
				t.Fatal(err)
			}
			same("value", plain, value)
		}
		if back.Number != number || back.Bytes != len(value) || back.Omitted && string(back.Value) != "null" {
			t.Errorf("shown as %+v", back)
		}
		if text := back.At; (text == nil) != (at == 0) || text != nil && len(*text) != len("2006-01-02T15:04:05.000Z") {
			t.Errorf("time %d is shown as %v", at, text)
		}
	})
}
