//go:build unix

package logtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../../../../"

// spoken are the folders whose packages write the gateway's log.
var spoken = []string{"cmd/gateway", "dispatcher", "egress", "ingress", "internal", "statestore"}

// elsewhere do not: the program of another command, and what runs in tests.
var elsewhere = []string{"internal/testserver", "internal/testfunction", "cmd/gateway/internal/dev", "cmd/gateway/internal/scaffold"}

// wordless are calls whose text is made elsewhere, by the place and what is handed over; each with the row of the document that covers it.
var wordless = map[string]string{
	"cmd/gateway/command_run.go w":                        "names of settings",
	"cmd/gateway/command_state.go w":                      "names of settings",
	"cmd/gateway/command_run.go c.Text":                   "lines with a file, line and column",
	"cmd/gateway/internal/app/kafka_check.go w.Text":      "lines with a file, line and column",
	"cmd/gateway/internal/app/kinesis.go %s:%d:%d: %s":    "lines with a file, line and column",
	"cmd/gateway/internal/app/app.go key":                 "outputs wait",
	"ingress/kafka/condition.go key":                      "topic was made anew",
	"ingress/kinesis/condition.go key":                    "stream was made anew",
	"ingress/kafka/start.go why.condition":                "goes on by autoOffsetResetPosition",
	"cmd/gateway/internal/app/incarnation.go consequence": "not every call has ended in time",
	"dispatcher/journal.go l.text":                        "calls fail",
	"egress/kafka/trouble.go text":                        "kafka is silent",
	"egress/kinesis/trouble.go text":                      "throttled",
}

// said is one text that the source hands to the log at WARN or above, in pieces without what differs.
type said struct {
	place  string
	pieces []string
	idents []string
}

// texts are the constant pieces of an expression, and what it is made of beside them.
func (s *said) read(e ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			s.pieces = append(s.pieces, regexp.MustCompile(`%[a-z]`).Split(text, -1)...)
		}
	case *ast.BinaryExpr:
		s.read(e.X)
		s.read(e.Y)
	case *ast.CallExpr:
		if name := nameOf(e.Fun); name == "fmt.Sprintf" {
			s.read(e.Args[0])
		} else {
			s.idents = append(s.idents, name)
		}
	default:
		s.idents = append(s.idents, nameOf(e))
	}
	s.pieces = slices.DeleteFunc(s.pieces, func(p string) bool { return len(strings.Trim(p, " :;,")) < 3 })
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	}
	return ""
}

// source reads what the gateway's packages say, and their conditions.
func source(t *testing.T) (all []said, conditions []string) {
	t.Helper()
	for _, folder := range spoken {
		err := filepath.WalkDir(root+folder, func(name string, d fs.DirEntry, err error) error {
			place := strings.TrimPrefix(filepath.ToSlash(name), root)
			if err != nil || d.IsDir() && (slices.Contains(elsewhere, place) || strings.HasSuffix(place, "test") || d.Name() == "testdata") {
				if err == nil {
					err = filepath.SkipDir
				}
				return err
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if text := loud(n); text != nil {
						s := said{place: place}
						s.read(text)
						all = append(all, s)
					}
				case *ast.GenDecl:
					conditions = append(conditions, conditionsOf(n)...)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all, conditions
}

// loud answers the text of a call that writes a line at WARN or above; nil: it does not.
func loud(call *ast.CallExpr) ast.Expr {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	receiver := strings.ToLower(nameOf(selector.X))
	logger := receiver == "slog" || strings.HasSuffix(receiver, "log") || receiver == "" // "": of a call, f.log()
	switch {
	case logger && slices.Contains([]string{"Warn", "Error"}, selector.Sel.Name) && len(call.Args) > 0:
		return call.Args[0]
	case logger && selector.Sel.Name == "Log" && len(call.Args) > 2 && nameOf(call.Args[1]) != "" && nameOf(call.Args[1]) != "slog.LevelInfo":
		return call.Args[2] // at a level that is not known here
	case selector.Sel.Name == "say" && len(call.Args) > 1 && strings.HasPrefix(nameOf(call.Args[0]), "slog.Level") && nameOf(call.Args[0]) != "slog.LevelInfo":
		return call.Args[1]
	}
	return nil
}

// conditionsOf are the keys of conditions that a declaration says to be some.
func conditionsOf(d *ast.GenDecl) (keys []string) {
	if d.Tok != token.CONST || d.Doc == nil || !regexp.MustCompile(`^(Conditions|Keys of the conditions)`).MatchString(d.Doc.Text()) {
		return nil
	}
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING && !strings.HasPrefix(v.Names[0].Name, "remedy") {
			key, _ := strconv.Unquote(lit.Value)
			keys = append(keys, key)
		}
	}
	return keys
}

// TestEachLineIsExplained: what the log says at WARN and above is in docs/OPERATIONS.md, and what stands there is said somewhere.
func TestEachLineIsExplained(t *testing.T) {
	text, err := os.ReadFile(root + "docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## The log\n")
	chapter, _, _ := strings.Cut(rest, "\n## ")
	all, conditions := source(t)
	if len(all) < 30 || len(conditions) < 15 {
		t.Fatalf("only %d lines and %d conditions are found in the source", len(all), len(conditions))
	}
	used := map[string]bool{}
	var corpus strings.Builder
	for _, s := range all {
		for _, piece := range s.pieces {
			corpus.WriteString(piece + "\n")
			if piece = strings.Trim(piece, " :;,"); !strings.Contains(chapter, piece) {
				t.Errorf("%s says %q, which docs/OPERATIONS.md does not explain", s.place, piece)
			}
		}
		if len(s.pieces) > 0 && len(s.idents) == 0 {
			continue
		}
		for _, ident := range append(s.idents, "%s:%d:%d: %s") {
			key := s.place + " " + ident
			row, known := wordless[key]
			used[key] = used[key] || known
			if ident == "%s:%d:%d: %s" {
				continue
			}
			if !known {
				t.Errorf("%s logs %s at WARN or above: nobody knows what that says", s.place, ident)
			} else if !strings.Contains(chapter, row) {
				t.Errorf("%s logs %s; docs/OPERATIONS.md has no row with %q", s.place, ident, row)
			}
		}
	}
	for _, c := range conditions {
		corpus.WriteString(c + "\n")
		if !strings.Contains(chapter, "`"+c+"`") && !strings.Contains(chapter, "... "+c+"`") {
			t.Errorf("docs/OPERATIONS.md does not explain the condition %q", c)
		}
	}
	for key := range wordless {
		if !used[key] {
			t.Errorf("%s is no call of the source any more", key)
		}
	}
	documented(t, chapter, corpus.String())
}

// documented checks that the rows' lines are said: a line that was renamed must not be explained under its old name.
func documented(t *testing.T, chapter, corpus string) {
	t.Helper()
	// What is made of names of other places: keys of conditions that are no constants, and the stop's consequences.
	for _, file := range []string{"ingress/kafka/ingress.go", "ingress/kinesis/ingress.go", "cmd/gateway/internal/app/app.go", "cmd/gateway/internal/app/incarnation.go", "cmd/gateway/internal/logs/repeat.go", "dispatcher/journal.go", "internal/conns/log.go", "egress/kafka/relay.go"} {
		text, err := os.ReadFile(root + file)
		if err != nil {
			t.Fatal(err)
		}
		corpus += string(text)
	}
	rows := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| (?:WARN|ERROR) \|`).FindAllStringSubmatch(chapter, -1) {
		for _, line := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			if line[1] == "at" || line[1] == "/readyz" {
				continue
			}
			rows++
			for piece := range strings.SplitSeq(line[1], "...") {
				if piece = strings.Trim(piece, " :;"); piece != "" && !strings.Contains(corpus, piece) {
					t.Errorf("docs/OPERATIONS.md explains %q, which nothing says", line[1])
				}
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d lines are explained", rows)
	}
}
