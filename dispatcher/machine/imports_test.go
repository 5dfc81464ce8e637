package machine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowedImports neither do I/O nor know the time. What they may be used for is said below where it is not everything.
var allowedImports = []string{
	"cmp", "container/heap", "fmt", "maps", "math", "math/rand/v2", "reflect", "slices", "sort", "strings",
	"github.com/stategate/stategate/api", "github.com/stategate/stategate/statestore",
}

// allowedUses are the only names of a package that the machine may use. fmt prints, rand draws from a seed of its own, reflect goes through
// a map over several turns, and the store's roles take a context.
var allowedUses = map[string][]string{
	"fmt":     {"Errorf", "Sprintf"},
	"rand":    {"New", "NewPCG", "Rand"},
	"reflect": {"MapIter", "ValueOf"},
}

var forbiddenUses = map[string][]string{
	"statestore": {"Store", "Ownership", "Committer", "Reader"},
}

// TestMachineIsDeterministic reads the package's own files: nothing in them can do I/O, ask the time, start or wait for a
// goroutine, or draw what no seed repeats.
func TestMachineIsDeterministic(t *testing.T) {
	files := token.NewFileSet()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, entry := range entries {
		if !isSource(entry) {
			continue
		}
		file, err := parser.ParseFile(files, entry.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		read++
		for _, complaint := range complaints(file) {
			t.Errorf("%s: %s", files.Position(complaint.at), complaint.text)
		}
	}
	if read < 10 {
		t.Errorf("only %d files were read", read)
	}
}

// TestDeterminismBites: each of these would be found.
func TestDeterminismBites(t *testing.T) {
	for _, body := range []string{
		`import "time"`, `import "sync"`, `import "context"`, `import "os"`, `import r "math/rand/v2"`, `import . "fmt"`,
		`func f() { go f() }`, `var c chan int`, `func f() { select {} }`, `func f() { <-g() }`, `func f() { g() <- 1 }`,
		"import \"fmt\"\nfunc f() { fmt.Println() }", "import \"math/rand/v2\"\nvar n = rand.Int()",
		"import \"github.com/stategate/stategate/statestore\"\nvar s statestore.Store",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package machine\n"+body, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if len(complaints(file)) == 0 {
			t.Errorf("nothing is said against %q", body)
		}
	}
}

func isSource(entry fs.DirEntry) bool {
	return strings.HasSuffix(entry.Name(), ".go") && !strings.HasSuffix(entry.Name(), "_test.go")
}

type complaint struct {
	at   token.Pos
	text string
}

func complaints(file *ast.File) (found []complaint) {
	say := func(n ast.Node, text string) { found = append(found, complaint{n.Pos(), text}) }
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !slices.Contains(allowedImports, path) || spec.Name != nil {
			say(spec, "import of "+spec.Path.Value)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n, "goroutine")
		case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			say(n, "channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				say(n, "channel")
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			if only, limited := allowedUses[pkg.Name]; limited && !slices.Contains(only, n.Sel.Name) || slices.Contains(forbiddenUses[pkg.Name], n.Sel.Name) {
				say(n, "use of "+pkg.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}
