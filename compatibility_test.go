package stategate_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// compatibility are the lists of docs/COMPATIBILITY.md, each a table of so many rows that are numbered from one.
var compatibility = []struct {
	heading string
	rows    int
}{
	{"## What SDKs and modules rely on", 25},
	{"## Features", 111},
	{"## What running StateFun shows", 25},
}

// Verdicts of a row. What works names its tests; what is left out says why.
const (
	works   = "works"
	differs = "works differently"
	leftOut = "left out"
)

// TestCompatibilityIsShown: each row of the page has a verdict, and one that says that something works names tests that show it.
func TestCompatibilityIsShown(t *testing.T) {
	text, err := os.ReadFile("docs/COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range judgeCompatibility(string(text), &shelf{}) {
		t.Error(problem)
	}
}

// judgeCompatibility says what is wrong with the page.
func judgeCompatibility(text string, tests *shelf) (problems []string) {
	for _, list := range compatibility {
		_, part, found := strings.Cut(text, "\n"+list.heading+"\n")
		if !found {
			problems = append(problems, fmt.Sprintf("there is no %q", list.heading))
			continue
		}
		part, _, _ = strings.Cut(part, "\n## ")
		seen := map[int]int{}
		for _, line := range strings.Split(part, "\n") {
			n, problem := judgeRow(line, tests)
			if n != 0 {
				seen[n]++
			}
			if problem != "" {
				problems = append(problems, fmt.Sprintf("%s, row %d: %s", list.heading, n, problem))
			}
		}
		for n := 1; n <= list.rows; n++ {
			if seen[n] != 1 {
				problems = append(problems, fmt.Sprintf("%s: row %d is there %d times", list.heading, n, seen[n]))
			}
			delete(seen, n)
		}
		for n := range seen {
			problems = append(problems, fmt.Sprintf("%s: there is a row %d", list.heading, n))
		}
	}
	return problems
}

// testNames are names of tests of one folder between backquotes: `folder: TestA, TestB/with_a_case`.
var testNames = regexp.MustCompile("^`([a-z][a-z0-9/]*): ((?:Test|Fuzz)[^`]*)`$")

// judgeRow reads "| number | what | verdict | how, and why | tests |"; the number is 0 for a line that is no row.
func judgeRow(line string, tests *shelf) (n int, problem string) {
	cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00"), "|")
	if len(cells) < 3 || cells[0] != "" {
		return 0, ""
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	n, err := strconv.Atoi(cells[1])
	if err != nil {
		return 0, ""
	}
	if len(cells) != 7 {
		return n, fmt.Sprintf("it has %d cells, want number, what, verdict, how, tests", len(cells)-2)
	}
	what, verdict, how, shown := cells[2], cells[3], cells[4], cells[5]
	switch {
	case what == "":
		return n, "it does not say of what it is"
	case verdict != works && verdict != differs && verdict != leftOut:
		return n, fmt.Sprintf("verdict %q, want %q, %q or %q", verdict, works, differs, leftOut)
	case verdict != works && how == "":
		return n, "it does not say how or why"
	case verdict == leftOut && shown != "":
		return n, "what is left out names tests"
	case verdict == leftOut:
		return n, ""
	case shown == "":
		return n, "it names no test"
	}
	for _, folder := range strings.Split(strings.ReplaceAll(shown, "`, `", "`\n`"), "\n") {
		m := testNames.FindStringSubmatch(folder)
		if m == nil {
			return n, fmt.Sprintf("%q is not of the form `folder: TestA, TestB`", folder)
		}
		for _, name := range strings.Split(m[2], ", ") {
			if problem := tests.find(m[1], name); problem != "" {
				return n, problem
			}
		}
	}
	return n, ""
}

// shelf looks tests up, and remembers the folders.
type shelf struct {
	folders map[string]*folder
}

type folder struct {
	tests map[string]*ast.FuncDecl
	words map[string]bool // texts in its test files, where cases have their names
}

// find says what is wrong with a test's name: "TestName", or with cases behind it as go test -run takes them. A case has its name from
// a text in the folder's tests or from a file of testdata.
func (s *shelf) find(name, test string) (problem string) {
	f, err := s.folder(name)
	if err != nil {
		return err.Error()
	}
	parts := strings.Split(test, "/")
	decl := f.tests[parts[0]]
	switch {
	case decl == nil || parts[0] == "TestMain":
		return fmt.Sprintf("there is no %s in %s", parts[0], name)
	case alwaysSkipped(decl):
		return fmt.Sprintf("%s of %s does not run unless it is asked for: it shows nothing", parts[0], name)
	}
	for _, part := range parts[1:] {
		if !f.words[part] && !f.words[strings.ReplaceAll(part, "_", " ")] && !fixture(name, part) {
			return fmt.Sprintf("%s of %s has no case %q", parts[0], name, part)
		}
	}
	return ""
}

func (s *shelf) folder(name string) (*folder, error) {
	if f := s.folders[name]; f != nil {
		return f, nil
	}
	files, err := filepath.Glob(path.Join(name, "*_test.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there are no tests in %s", name)
	}
	f := &folder{tests: map[string]*ast.FuncDecl{}, words: map[string]bool{}}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			if decl, ok := d.(*ast.FuncDecl); ok && decl.Recv == nil {
				f.tests[decl.Name.Name] = decl
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if word, err := strconv.Unquote(lit.Value); err == nil {
					f.words[word] = true
				}
			}
			return true
		})
	}
	if s.folders == nil {
		s.folders = map[string]*folder{}
	}
	s.folders[name] = f
	return f, nil
}

// fixture reports whether a case is a file, or a folder, of testdata: the repository's or the folder's own.
func fixture(folder, name string) bool {
	for _, place := range []string{"testdata", folder + "/testdata"} {
		for _, depth := range []string{"", "*/", "*/*/"} {
			for _, ext := range []string{"", ".*"} {
				if found, err := filepath.Glob(path.Join(place, depth) + "/" + name + ext); err == nil && len(found) > 0 {
					return true
				}
			}
		}
	}
	return false
}

// alwaysSkipped finds a test that begins with a Skip, or with one for want of a flag: if !*flag { t.Skip(...) }. What the machine must have
// for a test cannot be told from here.
func alwaysSkipped(decl *ast.FuncDecl) bool {
	return slices.ContainsFunc(decl.Body.List, func(s ast.Stmt) bool {
		if branch, ok := s.(*ast.IfStmt); ok && flagIsUnset(branch.Cond) {
			return slices.ContainsFunc(branch.Body.List, skips)
		}
		return skips(s)
	})
}

// flagIsUnset reports whether a condition holds as long as nobody sets a flag: !*a, *a == "", or both with && between.
func flagIsUnset(cond ast.Expr) bool {
	flag := func(e ast.Expr) bool { _, ok := e.(*ast.StarExpr); return ok }
	switch c := cond.(type) {
	case *ast.UnaryExpr:
		return c.Op == token.NOT && flag(c.X)
	case *ast.BinaryExpr:
		return c.Op == token.LAND && flagIsUnset(c.X) && flagIsUnset(c.Y) || c.Op == token.EQL && flag(c.X)
	}
	return false
}

// skips reports whether a statement is a call of Skip, Skipf or SkipNow.
func skips(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, f.Sel.Name)
}

// TestBrokenCompatibilityIsFound breaks a page that is right, and wants to hear of it.
func TestBrokenCompatibilityIsFound(t *testing.T) {
	const named = "`dispatcher/machine: TestScenarios/12-timers`, `dispatcher/endpoint: TestStatus, TestTLS/name_is_verified`"
	page := "# Page\n"
	for _, list := range compatibility {
		page += "\n" + list.heading + "\n\n| | what | verdict | how | shown by |\n|---|---|---|---|---|\n"
		for n := 1; n <= list.rows; n++ {
			page += fmt.Sprintf("| %d | a | works | | %s |\n", n, named)
		}
	}
	if problems := judgeCompatibility(page, &shelf{}); len(problems) != 0 {
		t.Fatalf("a page that is right: %q", problems)
	}
	row := fmt.Sprintf("| 7 | a | works | | %s |\n", named)
	for name, c := range map[string]struct{ row, want string }{
		"a row is gone":                {"", "row 7 is there 0 times"},
		"a row comes twice":            {row + row, "row 7 is there 2 times"},
		"a row too many":               {row + strings.Replace(row, "| 7 |", "| 999 |", 1), "there is a row 999"},
		"a cell too few":               {"| 7 | a | works | " + named + " |\n", "it has 4 cells"},
		"another verdict":              {strings.Replace(row, "works", "works well", 1), `verdict "works well"`},
		"no verdict":                   {strings.Replace(row, "works", "", 1), `verdict ""`},
		"of nothing":                   {strings.Replace(row, "| a |", "| |", 1), "of what it is"},
		"works without a test":         {"| 7 | a | works | | |\n", "names no test"},
		"differs without a test":       {"| 7 | a | works differently | so | |\n", "names no test"},
		"differs and does not say how": {strings.Replace(row, "works", "works differently", 1), "how or why"},
		"left out without a reason":    {"| 7 | a | left out | | |\n", "how or why"},
		"left out with a test":         {strings.Replace(row, "| works | |", "| left out | so |", 1), "names tests"},
		"words for a test":             {"| 7 | a | works | | see the tests |\n", "is not of the form"},
		"an unknown folder":            {"| 7 | a | works | | `nowhere: TestStatus` |\n", "no tests in nowhere"},
		"an unknown test":              {"| 7 | a | works | | `dispatcher/endpoint: TestStatuses` |\n", "no TestStatuses"},
		"an unknown test behind one":   {"| 7 | a | works | | `dispatcher/endpoint: TestStatus, TestStatuses` |\n", "no TestStatuses"},
		"an unknown case":              {"| 7 | a | works | | `dispatcher/endpoint: TestTLS/nobody` |\n", `no case "nobody"`},
		"an unknown story":             {"| 7 | a | works | | `dispatcher/machine: TestScenarios/999-none` |\n", `no case "999-none"`},
		"no test at all":               {"| 7 | a | works | | `dispatcher/endpoint: TestMain` |\n", "no TestMain"},
		"a test that is asked for":     {"| 7 | a | works | | `dispatcher/simulation: TestGuards` |\n", "unless it is asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := judgeCompatibility(strings.Replace(page, row, c.row, 1), &shelf{})
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("found %q, want something with %q", problems, c.want)
			}
		})
	}
	if problems := judgeCompatibility("# Page\n", &shelf{}); len(problems) != len(compatibility) {
		t.Errorf("a page without lists: %q", problems)
	}
}
