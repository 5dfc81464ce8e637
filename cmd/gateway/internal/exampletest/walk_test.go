//go:build unix

package exampletest

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// step is one curl line of a README.
type step struct {
	line string // as it stands there
	// One of the two: a message that goes in, or a topic of which the next result is asked for.
	in    message
	topic string
	want  string // the result
}

// message is what a line sends.
type message struct {
	valueType         string // of Content-Type: application/vnd.TYPE
	function, id, arg string // function: "namespace/name"
}

// walk reads the steps out of a README: lines that begin with "$ curl" in blocks of kind console, each with its output behind it.
func walk(t *testing.T, readme string) []step {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ curl "):
			steps = append(steps, parseStep(t, strings.TrimPrefix(line, "$ ")))
		default:
			last := &steps[len(steps)-1]
			if last.topic == "" || last.want != "" {
				t.Fatalf("%s: output %q behind %q", readme, line, last.line)
			}
			last.want = line
		}
	}
	if len(steps) < 4 {
		t.Fatalf("%s: %d steps", readme, len(steps))
	}
	for _, s := range steps {
		if (s.topic == "") != (s.want == "") {
			t.Fatalf("%s: %q has output %q", readme, s.line, s.want)
		}
	}
	return steps
}

// The places that the READMEs and module files name.
const (
	functionsPlace = "localhost:8000"
	ingressPlace   = "localhost:8090"
	egressPlace    = "localhost:8091"
	kafkaPlace     = "localhost:9092"
)

// parseStep understands the few things that the READMEs say to curl, so that they can be said to Kafka instead.
func parseStep(t *testing.T, line string) step {
	t.Helper()
	s := step{line: line}
	words := shellWords(t, line)
	put := false
	for i := 1; i < len(words); i++ {
		switch w := words[i]; w {
		case "-X":
			i++
			put = words[i] == "PUT"
		case "-H":
			i++
			s.in.valueType = strings.TrimPrefix(words[i], "Content-Type: application/vnd.")
		case "-d":
			i++
			s.in.arg = words[i]
		default:
			if topic, ok := strings.CutPrefix(w, egressPlace+"/"); ok {
				s.topic = topic
				continue
			}
			path, ok := strings.CutPrefix(w, ingressPlace+"/")
			parts := strings.Split(path, "/")
			id, err := url.PathUnescape(parts[len(parts)-1])
			if !ok || len(parts) != 3 || err != nil {
				t.Fatalf("%s: cannot read %q", line, w)
			}
			s.in.function, s.in.id = parts[0]+"/"+parts[1], id
		}
	}
	if put != (s.in.valueType != "" && s.in.function != "" && s.in.arg != "") || put == (s.topic != "") {
		t.Fatalf("%s: read as %+v", line, s)
	}
	return s
}

// shellWords splits a line at blanks; quotes hold words together.
func shellWords(t *testing.T, line string) (words []string) {
	t.Helper()
	var word strings.Builder
	quote, begun := rune(0), false
	for _, r := range line {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case r == quote:
			quote = 0
		case quote == 0 && r == ' ':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		t.Fatalf("%s: a quote is not closed", line)
	}
	return append(words, word.String())
}

// TestSteps: what is played is what stands there.
func TestSteps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	text := "```sh\n$ curl never\n```\n```console\n$ curl -X PUT -H \"Content-Type: application/vnd.a/B\" -d '{\"x\": 1}' localhost:8090/a/f/%C3%AB\n" +
		"$ curl localhost:8091/t\nIt is 1.\n```\nwords\n```console\n$ curl -X PUT -H 'Content-Type: application/vnd.a/C' -d 2 localhost:8090/a/g/x\n$ curl localhost:8091/u\n2\n```\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := walk(t, file)
	want := []step{
		{line: "curl -X PUT -H \"Content-Type: application/vnd.a/B\" -d '{\"x\": 1}' localhost:8090/a/f/%C3%AB", in: message{"a/B", "a/f", "ë", `{"x": 1}`}},
		{line: "curl localhost:8091/t", topic: "t", want: "It is 1."},
		{line: "curl -X PUT -H 'Content-Type: application/vnd.a/C' -d 2 localhost:8090/a/g/x", in: message{"a/C", "a/g", "x", "2"}},
		{line: "curl localhost:8091/u", topic: "u", want: "2"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{}, message{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
