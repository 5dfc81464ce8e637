package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// scrape asks as Prometheus does and reads the answer strictly: names, labels and values must be well formed, every family
// described before its samples, and no sample told twice.
func scrape(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("status %s, %v", response.Status, err)
	}
	samples := map[string]float64{}
	described := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(body), "\n"), "\n") {
		if help, ok := strings.CutPrefix(line, "# "); ok {
			described[strings.Fields(help)[1]] = true
			continue
		}
		name, value, err := parseSample(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, twice := samples[name]; twice {
			t.Fatalf("%q is told twice", name)
		}
		family, _, _ := strings.Cut(name, "{")
		if !described[family] && !described[suffix.ReplaceAllString(family, "")] {
			t.Fatalf("%q is not described", family)
		}
		samples[name] = value
	}
	return samples
}

var (
	suffix     = regexp.MustCompile(`_(bucket|sum|count)$`)
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*`)
	labelForm  = regexp.MustCompile(`^([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"`)
	unescaping = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
)

// parseSample reads one line into name{label="value",...} with sorted labels, unescaped.
func parseSample(line string) (string, float64, error) {
	name := nameForm.FindString(line)
	rest := line[len(name):]
	var labels []string
	if after, ok := strings.CutPrefix(rest, "{"); ok {
		for rest = after; !strings.HasPrefix(rest, "}"); rest = strings.TrimPrefix(rest, ",") {
			l := labelForm.FindStringSubmatch(rest)
			if l == nil {
				return "", 0, fmt.Errorf("no label at %q", rest)
			}
			labels = append(labels, fmt.Sprintf("%s=%q", l[1], unescaping.Replace(l[2])))
			rest = rest[len(l[0]):]
		}
		rest = rest[1:]
	}
	value, err := strconv.ParseFloat(strings.TrimPrefix(rest, " "), 64)
	if err != nil || name == "" {
		return "", 0, fmt.Errorf("name %q: %w", name, err)
	}
	if len(labels) > 0 {
		sort.Strings(labels)
		name += "{" + strings.Join(labels, ",") + "}"
	}
	return name, value, nil
}

// count is how many samples begin so.
func count(samples map[string]float64, prefix string) int {
	n := 0
	for name := range samples {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// TestScrapesThatEnd: what cannot be told is a line of the log; that whoever scrapes has gone is none.
func TestScrapesThatEnd(t *testing.T) {
	var out bytes.Buffer
	log := scrapeLog{slog.New(slog.NewTextHandler(&out, nil))}
	log.Println("error encoding and sending metric family:", &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE})
	log.Println("error encoding and sending metric family:", fmt.Errorf("flush: %w", net.ErrClosed))
	if out.Len() > 0 {
		t.Errorf("logged %s", &out)
	}
	log.Println("error gathering metrics:", errors.New("told twice"))
	if text := out.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, `msg="metrics: a metric cannot be told" error="error gathering metrics: told twice"`) {
		t.Errorf("logged %s", text)
	}
}
