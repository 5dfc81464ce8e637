package scaffold

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "make the archives anew")

// goes says which files of an SDK an application needs: no tests, no examples, nothing that a build has left.
var goes = map[string]func(name string) bool{
	"go": func(name string) bool {
		return name == "go.mod" || name == "go.sum" || name == "README.md" ||
			strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "example/")
	},
	"python": func(name string) bool {
		return name == "pyproject.toml" || name == "README.md" ||
			strings.HasPrefix(name, "stategate/") && slices.Contains([]string{".py", ".pyi", ".typed"}, path.Ext(name))
	},
}

// sources are the files of an SDK as they lie in the repository.
func sources(t *testing.T, language string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	root := filepath.Join("../../../../sdk", language)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		below, err := filepath.Rel(root, name)
		if err == nil && goes[language](filepath.ToSlash(below)) {
			files[filepath.ToSlash(below)], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files["LICENSE"], err = os.ReadFile("../../../../LICENSE"); err != nil {
		t.Fatal(err)
	}
	return files
}

// pack makes an archive that is the same for the same files.
func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	w := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestArchivesAreCurrent: what the program carries is what the repository has. Compared is what is inside: compressors differ.
func TestArchivesAreCurrent(t *testing.T) {
	for language, archive := range map[string][]byte{"go": sdkGo, "python": sdkPython} {
		want := sources(t, language)
		if len(want) < 10 {
			t.Fatalf("%s: found %d files", language, len(want))
		}
		if *rewrite {
			if err := os.WriteFile("sdk-"+language+".tar.gz", pack(t, want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := unpack(archive)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("sdk-%s.tar.gz is not what sdk/%[1]s holds: run \"go generate ./cmd/gateway/internal/scaffold\"", language)
		}
	}
}

func TestUnpackRefusesToLeave(t *testing.T) {
	for _, name := range []string{"../x", "/x", "a/../../x"} {
		if _, err := unpack(pack(t, map[string][]byte{name: nil})); err == nil {
			t.Errorf("%s is unpacked", name)
		}
	}
	if _, err := unpack([]byte("x")); err == nil {
		t.Error("no archive is unpacked")
	}
}

func TestWriteRefuses(t *testing.T) {
	folder := t.TempDir()
	if err := Write("cobol", folder); err == nil || err.Error() != `language "cobol": there is go and python` {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write("go", folder); err == nil || !strings.HasSuffix(err.Error(), "is not empty: it has a, b, c, d, e, and 2 more; name another folder") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 7 {
		t.Errorf("%d files, want the 7 that were there", len(entries))
	}
	if err := Write("go", filepath.Join(folder, "a")); err == nil {
		t.Error("a file is taken for a folder")
	}
}
