package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicsPath    = "/topics"
	valueBytesMax = 900 << 10 // of a record that is put in; Kafka's own bound is 1 MiB with all that is around it
	waitMax       = 25 * time.Second
)

// ServeHTTP lets people put records in and read what there is, with curl alone:
//
//	GET /topics                           the topics, a line each
//	PUT /topics/{topic}?key=K             a record; the body is its value
//	GET /topics/{topic}?from=N&wait=5s    the records from number N on, a line each; wait: until there is one
func (k *kafka) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, err := url.PathUnescape(strings.TrimPrefix(strings.TrimPrefix(r.URL.EscapedPath(), topicsPath), "/"))
	put := r.Method == http.MethodPut || r.Method == http.MethodPost
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
	case name == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		k.list(w)
	case name != "" && put:
		k.putRecord(w, r, name)
	case name != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		k.getRecords(w, r, name)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, POST")
		refuse(w, http.StatusMethodNotAllowed, "GET /topics; GET /topics/{topic}?from=N; PUT /topics/{topic}?key=K with the value as body")
	}
}

// refuse answers with a problem (RFC 9457) that says what to do.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

func (k *kafka) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.topics))
}

func (k *kafka) list(w http.ResponseWriter) {
	lines := newLines(w)
	for _, name := range k.names() {
		k.mu.Lock()
		t := k.topics[name]
		line := struct {
			Topic   string `json:"topic"`
			Records int    `json:"records"`
			Read    bool   `json:"read"` // by the module
		}{name, t.first + len(t.records), t.input}
		k.mu.Unlock()
		lines.write(line)
	}
}

func (k *kafka) putRecord(w http.ResponseWriter, r *http.Request, name string) {
	if !slices.Contains(k.names(), name) {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no topic %q: there are %s", name, strings.Join(k.names(), ", ")))
		return
	}
	if !r.URL.Query().Has("key") {
		refuse(w, http.StatusBadRequest, "say ?key=K: the key of the record is the id of the address that it is for")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, valueBytesMax))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a value may have %d bytes", valueBytesMax))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	record, err := k.put(r.Context(), name, r.URL.Query().Get("key"), body)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	newLines(w).write(struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
	}{name, record.Partition, record.Offset})
}

func (k *kafka) getRecords(w http.ResponseWriter, r *http.Request, name string) {
	from, wait := 0, time.Duration(0)
	var err error
	if v := r.URL.Query().Get("from"); v != "" {
		if from, err = strconv.Atoi(v); err != nil || from < 0 {
			refuse(w, http.StatusBadRequest, "from: want the number of a record, 0 for the first")
			return
		}
	}
	if v := r.URL.Query().Get("wait"); v != "" {
		if wait, err = time.ParseDuration(v); err != nil || wait < 0 {
			refuse(w, http.StatusBadRequest, "wait: want a duration such as 5s")
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(wait, waitMax))
	defer cancel()
	first, records, err := k.read(ctx, name, from)
	if err != nil {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no topic %q: there are %s", name, strings.Join(k.names(), ", ")))
		return
	}
	lines := newLines(w)
	for i, record := range records {
		lines.write(lineOf(first+i, record))
	}
}

// line is a record as it is shown. A value that is a JSON object or list is shown as such, text as a string, others in base64.
type line struct {
	N         int             `json:"n"`
	Partition int32           `json:"partition"`
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value,omitempty"`
	Base64    []byte          `json:"base64,omitempty"`
}

func lineOf(n int, r *kgo.Record) line {
	l := line{N: n, Partition: r.Partition, Key: strings.ToValidUTF8(string(r.Key), "\ufffd")}
	switch v := r.Value; {
	case len(v) > 0 && (v[0] == '{' || v[0] == '[') && json.Valid(v):
		l.Value = v
	case utf8.Valid(v):
		l.Value, _ = json.Marshal(string(v))
	default:
		l.Base64 = v
	}
	return l
}

// lines writes a JSON value a line.
type lines struct{ to *json.Encoder }

func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	to := json.NewEncoder(w)
	to.SetEscapeHTML(false)
	return lines{to}
}

func (l lines) write(v any) { _ = l.to.Encode(v) } // who does not read has gone
