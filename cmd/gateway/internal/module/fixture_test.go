package module

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write what the fixtures give now as what they shall give")

const fixtures = "../../../../testdata/module"

// environment is what the placeholders of the fixtures find; UNSET is not in it.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"PORT": "8090", "BATCH": "250", "BROKERS": "kafka-0:9092,kafka-1:9092", "EMPTY": "",
		"SECRET": "hunter2", "TRICKY": "${PORT}: [*x",
	}[name]
	return v, ok
}

// TestFixtures parses every file of testdata/module and compares all its complaints, and for good ones the module, with the .txt
// beside it.
func TestFixtures(t *testing.T) {
	total := 0
	for _, folder := range []string{"good", "bad"} {
		files, err := filepath.Glob(filepath.Join(fixtures, folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		total += len(files)
		for _, file := range files {
			base := strings.TrimSuffix(filepath.Base(file), ".yaml")
			t.Run(folder+"/"+base, func(t *testing.T) {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				m, complaints := Parse(filepath.Base(file), data, environment)
				if isGood := folder == "good"; complaints.HasErrors() == isGood || (m != nil) != isGood {
					t.Errorf("module %v with errors %v in folder %s", m != nil, complaints.HasErrors(), folder)
				}
				got := complaints.String()
				if m != nil {
					got += "\n" + m.Summary() + "\n" + render(m)
				}
				if strings.Contains(got, "hunter2") && base != "late-url-password-not-shown" || strings.Contains(complaints.String(), "hunter2") {
					t.Error("a secret is shown")
				}
				compare(t, strings.TrimSuffix(file, ".yaml")+".txt", got)
			})
		}
	}
	if total < 60 {
		t.Errorf("%d fixtures, want at least 60", total)
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", filepath.Base(file), diff)
	}
}

// render shows all exported fields of the module that are not zero, a line each.
func render(m *Module) string {
	var b strings.Builder
	renderValue(&b, "", reflect.ValueOf(*m))
	return b.String()
}

func renderValue(b *strings.Builder, path string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case Place:
		fmt.Fprintf(b, "%s: %d:%d\n", path, x.Line, x.Column)
		return
	case time.Time:
		fmt.Fprintf(b, "%s: %s\n", path, x.Format(time.RFC3339Nano))
		return
	case time.Duration, fmt.Stringer:
		fmt.Fprintf(b, "%s: %v\n", path, x)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		renderValue(b, path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				renderValue(b, strings.TrimPrefix(path+"."+f.Name, "."), v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			renderValue(b, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Map:
		fmt.Fprintf(b, "%s: %v\n", path, v.Interface()) // sorted by fmt
	default:
		fmt.Fprintf(b, "%s: %v\n", path, v.Interface())
	}
}
