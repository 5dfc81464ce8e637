// Package stategate_test holds the plan of the house as a test: who may import whom, and what no file may hold. It reads the
// files themselves. An import that it refuses is a design question; docs/ARCHITECTURE.md has the reasons.
package stategate_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "github.com/stategate/stategate"

// rule is what the packages of a folder, and of the folders in it that have no rule of their own, may import.
type rule struct {
	folder string
	house  []string // packages of ours, with all below; "x/." is x alone
	tests  []string // more of them for test files
}

// plan: api <- statestore <- { ingress, dispatcher, egress } <- cmd/gateway. Folders below one folder may always import each other
// where house says so only: adapters do not.
var plan = []rule{
	{folder: "api"},
	{folder: "api/protocol"},
	{folder: "statestore", house: []string{"api/."}},
	{folder: "statestore/storetest", house: []string{"api/.", "statestore/.", "statestore/memory"}},
	{folder: "statestore/memory", house: []string{"api/.", "statestore/."}, tests: []string{"statestore/storetest"}},
	{folder: "statestore/sqlite", house: []string{"api/.", "statestore/."}, tests: []string{"statestore/storetest", "statestore/memory"}},
	{folder: "statestore/postgres", house: []string{"api/.", "statestore/."}, tests: []string{"statestore/storetest", "statestore/memory"}},
	{folder: "dispatcher", house: []string{"api", "statestore/.", "dispatcher"}, tests: []string{"statestore/memory"}},
	{folder: "dispatcher/machine", house: []string{"api/.", "statestore/."}, tests: []string{"statestore/memory"}},
	{folder: "dispatcher/endpoint", house: []string{"api", "internal/certificate"}},
	// The simulation drives the machine, every store and what an egress decides, in one goroutine.
	{folder: "dispatcher/simulation", tests: []string{"api", "statestore/.", "statestore/memory", "statestore/sqlite", "statestore/postgres", "dispatcher", "egress/."}},
	{folder: "ingress", house: []string{"api/.", "statestore/."}},
	{folder: "ingress/kafka", house: []string{"api/.", "statestore/.", "ingress/.", "internal/kafkaproperty"}},
	{folder: "ingress/kinesis", house: []string{"api/.", "statestore/.", "ingress/.", "internal/aws"}},
	{folder: "ingress/playground", house: []string{"api", "statestore/.", "ingress/.", "internal/playground"}},
	{folder: "ingress/http", house: []string{"api", "statestore/.", "ingress/.", "internal/conns"}},
	{folder: "egress", house: []string{"api/.", "statestore/."}},
	{folder: "egress/kafka", house: []string{"api", "statestore/.", "egress/.", "internal/kafkaproperty"}, tests: []string{"statestore/memory"}},
	{folder: "egress/kinesis", house: []string{"api", "statestore/.", "egress/.", "internal/aws"}, tests: []string{"statestore/memory"}},
	{folder: "egress/playground", house: []string{"api", "statestore/.", "egress/.", "internal/playground"}, tests: []string{"statestore/memory"}},
	{folder: "egress/log", house: []string{"api", "statestore/.", "egress/."}},
	{folder: "egress/http", house: []string{"api", "statestore/.", "egress/."}},
	{folder: "cmd/gateway", house: []string{"api", "statestore/.", "statestore/memory", "statestore/sqlite", "statestore/postgres", "dispatcher", "ingress", "egress", "cmd/gateway"}},
	{folder: "cmd/gateway/internal/module", house: []string{"api/.", "cmd/gateway/internal/nearest"}},
	{folder: "cmd/gateway/internal/admin", house: []string{"api", "statestore/.", "dispatcher/.", "dispatcher/machine", "cmd/gateway/internal/report", "cmd/gateway/internal/version", "internal/conns"}},
	{folder: "cmd/gateway/internal/report", house: []string{"api", "statestore/.", "dispatcher/machine"}},
	{folder: "cmd/gateway/internal/testgateway", house: []string{"internal/testserver"}},
	{folder: "cmd/gateway/internal/cluster", house: []string{"api/.", "statestore/."}, tests: []string{"statestore/memory"}},
	// What adapters have in common, without the libraries that they have apart: certificates and their keys, the property names of
	// Kafka's Java clients, and who asks AWS and where.
	{folder: "internal/certificate"},
	{folder: "internal/kafkaproperty", house: []string{"internal/certificate"}},
	{folder: "internal/aws"},
	// The port that both of the playground's kinds open while their member works.
	{folder: "internal/playground", house: []string{"internal/conns"}},
	{folder: "internal/conns"},
	// What tests start must be startable by the tests of every package, so it knows none of them.
	{folder: "internal/testserver"},
	{folder: "internal/testfunction", house: []string{"api/protocol"}},
	{folder: "bench", house: []string{"api", "internal"}},
	{folder: "sdk/go", house: []string{"sdk/go"}},
	{folder: "."},
}

// libraries are the modules of others that have one place each; all may be imported below the folders named, in tests of those
// folders too. inTests: by any test file as well.
var libraries = []struct {
	prefix  string
	folders []string
	inTests bool
}{
	{"github.com/jackc/pgx", []string{"statestore/postgres", "bench"}, false},
	{"modernc.org/sqlite", []string{"statestore/sqlite"}, false},
	{"github.com/pressly/goose", []string{"statestore/postgres", "statestore/sqlite"}, false},
	{"github.com/IBM/sarama", []string{"ingress/kafka", "egress/kafka", "bench/floor"}, false},
	// What batches of Kafka are compressed with; the library does so, too.
	{"github.com/klauspost/compress", []string{"ingress/kafka"}, false},
	{"github.com/pierrec/lz4", []string{"ingress/kafka"}, false},
	{"github.com/xdg-go/scram", []string{"internal/kafkaproperty"}, false},
	{"golang.org/x/oauth2", []string{"internal/kafkaproperty"}, false},
	// Keys that are encrypted and the key stores of Java, which the standard library does not read.
	{"github.com/emmansun/gmsm", []string{"internal/certificate"}, true},
	{"github.com/pavlo-v-chernykh/keystore-go", []string{"internal/certificate"}, true},
	{"software.sslmate.com/src/go-pkcs12", []string{"internal/certificate"}, true},
	{"github.com/aws", []string{"ingress/kinesis", "egress/kinesis", "internal/aws"}, true},
	{"github.com/go-chi/chi", []string{"ingress/http", "ingress/playground", "egress/playground", "cmd/gateway/internal/admin"}, false},
	{"github.com/prometheus/client_golang", []string{"cmd/gateway/internal/metrics"}, false},
	{"github.com/prometheus/client_model", []string{"cmd/gateway/internal/metrics"}, false},
	{"github.com/spf13", []string{"cmd/gateway"}, false},
	{"github.com/mattn/go-isatty", []string{"cmd/gateway"}, false},
	{"go.yaml.in/yaml", []string{"cmd/gateway"}, false},
	{"github.com/google/uuid", []string{"statestore", "cmd/gateway", "dispatcher", "egress", "ingress"}, false},
	// The Kafka inside the process is for dev and for tests; so is the client that is not the product's, which checks it.
	{"github.com/twmb/franz-go", []string{"cmd/gateway/internal/dev", "bench", "internal/testserver"}, true},
	{"github.com/google/go-cmp", []string{"statestore/storetest"}, true},
	{"go.opentelemetry.io", []string{"cmd/gateway/internal/trace"}, false},
	{"go.uber.org/goleak", nil, true},
	{"github.com/anishathalye/porcupine", nil, true},
	{"google.golang.org/protobuf", []string{"api", "statestore", "dispatcher", "ingress", "egress", "cmd/gateway", "bench", "internal/testfunction", "sdk/go"}, true},
}

// machineStandard is all of the standard library that the machine uses: no clock, no I/O, no goroutine's tools.
var machineStandard = []string{"bytes", "cmp", "container/heap", "encoding/binary", "errors", "fmt", "hash/maphash", "iter", "maps", "math", "math/bits",
	"math/rand/v2", "reflect", "slices", "sort", "strconv", "strings", "unicode/utf8"}

// longFiles may be longer than linesMax; each with its reason.
var longFiles = map[string]string{}

const linesMax = 600

// file is one file of the repository.
type file struct {
	name string // from the root, with slashes
	text []byte
}

// files are all files but what git, builds and scripts put beside them.
func files(t *testing.T) []file {
	t.Helper()
	var out []file
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".cache", "node_modules", "__pycache__", "bin":
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			return nil // another test's file, gone meanwhile
		}
		out = append(out, file{name, text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 100 {
		t.Fatalf("found %d files: not the root of the repository", len(out))
	}
	return out
}

func goFiles(t *testing.T) []file {
	return slices.DeleteFunc(files(t), func(f file) bool { return path.Ext(f.name) != ".go" })
}

func within(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// ruleOf is the rule of the longest folder that holds the package.
func ruleOf(folder string) (rule, bool) {
	for ; ; folder = path.Dir(folder) {
		for _, r := range plan {
			if r.folder == folder {
				return r, true
			}
		}
		if folder == "." || path.Dir(folder) == "." {
			return rule{}, false
		}
	}
}

// refuses says why the file may not import the package; "" when it may.
func refuses(name, imported string) string {
	folder, test := path.Dir(name), strings.HasSuffix(name, "_test.go")
	if !strings.Contains(strings.Split(imported, "/")[0], ".") {
		switch {
		case imported == "C":
			return "the program is built without cgo"
		case folder == "dispatcher/machine" && !test && !slices.Contains(machineStandard, imported):
			return "the machine has no clock, no I/O and no goroutine"
		}
		return ""
	}
	if within(imported, root) {
		return refusesHouse(folder, test, strings.TrimPrefix(strings.TrimPrefix(imported, root), "/"))
	}
	if within(folder, "sdk/go") && !within(imported, "google.golang.org/protobuf") {
		return "sdk/go needs protobuf alone"
	}
	for _, l := range libraries {
		if !within(imported, l.prefix) {
			continue
		}
		if test && l.inTests || slices.ContainsFunc(l.folders, func(f string) bool { return within(folder, f) }) {
			return ""
		}
		return l.prefix + " belongs in " + strings.Join(append(slices.Clone(l.folders), map[bool]string{true: "tests", false: "no tests elsewhere"}[l.inTests]), ", ")
	}
	return "a module that has no place in the plan"
}

func refusesHouse(folder string, test bool, imported string) string {
	r, ok := ruleOf(folder)
	if !ok {
		return "the folder has no place in the plan"
	}
	if imported == folder && test {
		return ""
	}
	allowed := r.house
	if test {
		allowed = slices.Concat(allowed, r.tests)
		if r.folder != "sdk/go" && r.folder != "internal/testserver" {
			allowed = append(allowed, "internal")
		}
	}
	for _, a := range allowed {
		if alone, ok := strings.CutSuffix(a, "/."); ok && imported == alone || !ok && within(imported, a) {
			return ""
		}
	}
	return "the plan allows " + r.folder + " only: " + strings.Join(allowed, ", ")
}

func TestImportsFollowThePlan(t *testing.T) {
	for _, f := range goFiles(t) {
		tree, err := parser.ParseFile(token.NewFileSet(), f.name, f.text, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		for _, i := range tree.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			if why := refuses(f.name, imported); why != "" {
				t.Errorf("%s imports %s: %s", f.name, imported, why)
			}
		}
	}
}

// The plan itself: what it must refuse.
func TestPlanRefuses(t *testing.T) {
	for _, c := range []struct{ name, imported string }{
		{"api/address.go", root + "/statestore"},
		{"statestore/store.go", root + "/dispatcher"},
		{"statestore/sqlite/store.go", root + "/statestore/postgres"},
		{"statestore/sqlite/store.go", root + "/statestore/storetest"},
		{"dispatcher/loop.go", root + "/ingress"},
		{"dispatcher/loop.go", root + "/internal/testserver"},
		{"dispatcher/machine/work.go", root + "/dispatcher/endpoint"},
		{"dispatcher/machine/work.go", "time"},
		{"ingress/kafka/reader.go", root + "/egress/kafka"},
		{"ingress/kafka/reader.go", root + "/statestore/memory"},
		{"ingress/kafka/reader_test.go", "github.com/jackc/pgx/v5"},
		{"ingress/kafka/reader.go", "github.com/twmb/franz-go/pkg/kgo"},
		{"egress/kafka/relay.go", root + "/dispatcher"},
		{"cmd/gateway/main.go", "github.com/IBM/sarama"},
		{"cmd/gateway/main.go", "github.com/prometheus/client_golang/prometheus"},
		{"cmd/gateway/main.go", root + "/sdk/go"},
		{"cmd/gateway/main_test.go", root + "/sdk/go"},
		{"cmd/gateway/internal/module/module.go", root + "/dispatcher"},
		{"internal/testserver/kafka_test.go", root + "/statestore"},
		{"sdk/go/handler.go", root + "/api"},
		{"sdk/go/handler_test.go", root + "/internal/testserver"},
		{"sdk/go/handler.go", "github.com/google/uuid"},
		{"shared/util.go", root + "/api"},
		{"api/address.go", "example.com/left/pad"},
		{"api/address.go", "C"},
	} {
		if refuses(c.name, c.imported) == "" {
			t.Errorf("%s may import %s", c.name, c.imported)
		}
	}
	for _, c := range []struct{ name, imported string }{
		{"statestore/postgres/store.go", "github.com/jackc/pgx/v5/pgxpool"},
		{"statestore/postgres/store_test.go", root + "/internal/testserver"},
		{"statestore/postgres/store_test.go", root + "/statestore/storetest"},
		{"dispatcher/loop.go", root + "/dispatcher/machine"},
		{"dispatcher/loop.go", "time"},
		{"cmd/gateway/internal/app/app.go", root + "/egress/kafka"},
		{"sdk/go/example/main.go", root + "/sdk/go"},
	} {
		if why := refuses(c.name, c.imported); why != "" {
			t.Errorf("%s may not import %s: %s", c.name, c.imported, why)
		}
	}
}

// Registries by init make what a program does depend on what it links; vague package names gather what belongs nowhere.
func TestNoInitAndNoVagueNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "shared", "types", "misc"}
	for _, f := range goFiles(t) {
		tree, err := parser.ParseFile(token.NewFileSet(), f.name, f.text, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if slices.Contains(vague, tree.Name.Name) {
			t.Errorf("%s: package %s says nothing", f.name, tree.Name.Name)
		}
		for _, d := range tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !isGenerated(f) {
				t.Errorf("%s: has an init function", f.name)
			}
		}
	}
}

// A test binary that starts servers must end them and say what it left out.
func TestMainEndsTheServers(t *testing.T) {
	uses, ends := map[string]bool{}, map[string]bool{}
	for _, f := range goFiles(t) {
		if !strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		folder := path.Dir(f.name)
		uses[folder] = uses[folder] || bytes.Contains(f.text, []byte(strconv.Quote(root+"/internal/testserver")))
		for _, main := range []string{"testserver.Main(", "testgateway.Main("} { // which calls the other one
			ends[folder] = ends[folder] || bytes.Contains(f.text, []byte(main))
		}
	}
	for folder := range uses {
		if uses[folder] && !ends[folder] {
			t.Errorf("%s: its tests use internal/testserver and have no TestMain with testserver.Main or testgateway.Main", folder)
		}
	}
}

var generatedMark = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$|^# Generated by the protocol buffer compiler\.  DO NOT EDIT!$`)

// generatedName are the files that scripts/generate.sh writes; protoc marks all but the Python stubs.
var generatedName = regexp.MustCompile(`\.pb\.go$|_pb2\.pyi?$`)

func isGenerated(f file) bool { return generatedName.MatchString(f.name) }

func TestGeneratedFilesAreMarked(t *testing.T) {
	for _, f := range files(t) {
		if f.name == "tidy_test.go" || path.Ext(f.name) == ".md" || path.Ext(f.name) == ".pyi" {
			continue
		}
		if named, marked := isGenerated(f), generatedMark.Match(f.text); named != marked {
			t.Errorf("%s: its name says generated: %v, its text: %v", f.name, named, marked)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range files(t) {
		switch path.Ext(f.name) {
		case ".go", ".py", ".sh", ".js", ".ts", ".sql", ".proto":
		default:
			if !within(f.name, "scripts") {
				continue
			}
		}
		n, reason := bytes.Count(f.text, []byte("\n")), longFiles[f.name]
		switch {
		case isGenerated(f):
		case n > linesMax && reason == "":
			t.Errorf("%s has %d lines, more than %d", f.name, n, linesMax)
		case n <= linesMax && reason != "":
			t.Errorf("%s has %d lines: it needs no exception", f.name, n)
		}
	}
}

// Every module is built and tested together with the others, against the files that lie here.
func TestModules(t *testing.T) {
	work, err := os.ReadFile("go.work")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^(?:use)?\s*(\.\S*)\s*\)?$`)
	var want []string
	for _, m := range named.FindAllStringSubmatch(string(work), -1) {
		want = append(want, path.Clean(m[1]))
	}
	var got []string
	for _, f := range files(t) {
		base := path.Base(f.name)
		if base == "go.mod" {
			got = append(got, path.Dir(f.name))
		}
		if (base == "go.mod" || base == "go.work") && regexp.MustCompile(`(?m)^\s*replace\b`).Match(f.text) {
			t.Errorf("%s has a replace", f.name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("go.work names the modules %v, there are %v", want, got)
	}
}

// A path of the machine that a file was written on, or the address that a package came from on it, is of no use elsewhere.
func TestNoWordsOfOneMachine(t *testing.T) {
	machine := regexp.MustCompile(`(?:^|[^A-Za-z0-9_.\-/})])/(?:` + "wo" + `rk|fa` + `rm)/`)
	resolved := regexp.MustCompile(`(?i)"?resolved"?:?\s*"https?://`)
	for _, f := range files(t) {
		if bytes.IndexByte(f.text, 0) >= 0 {
			continue // a program that was built here
		}
		for i, line := range bytes.Split(f.text, []byte("\n")) {
			if machine.Match(line) {
				t.Errorf("%s:%d: holds a path of one machine", f.name, i+1)
			}
			if base := path.Base(f.name); strings.Contains(base, "lock") && resolved.Match(line) {
				t.Errorf("%s:%d: holds the address that a package came from", f.name, i+1)
			}
		}
	}
}
