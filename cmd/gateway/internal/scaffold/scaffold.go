// Package scaffold writes a small application with tests into an empty folder, with the source of the SDK that it uses: what it writes
// asks no registry for anything of ours. It runs nothing and connects to nothing.
package scaffold

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The archives hold the SDKs as they lie in sdk/go and sdk/python: go:embed does not enter other modules.
//
//go:generate go test -run TestArchivesAreCurrent -rewrite .

//go:embed sdk-go.tar.gz
var sdkGo []byte

//go:embed sdk-python.tar.gz
var sdkPython []byte

// templates are the applications. Their files end with .txt, so that no tool takes them for a part of this module.
//
//go:embed go/*.txt python/*.txt
var templates embed.FS

// sdkFolder is where the SDK is put, in the application's folder.
const sdkFolder = "stategate-sdk"

// Languages are those that there is an application for.
func Languages() []string { return []string{"go", "python"} }

// Write writes the application of a language into a folder, which it makes if it must. A folder that is not empty is refused.
func Write(language, folder string) error {
	if !slices.Contains(Languages(), language) {
		return fmt.Errorf("language %q: there is %s", language, strings.Join(Languages(), " and "))
	}
	if err := empty(folder); err != nil {
		return err
	}
	archive := sdkGo
	if language == "python" {
		archive = sdkPython
	}
	files, err := unpack(archive)
	if err != nil {
		return fmt.Errorf("read the SDK inside this program: %w", err)
	}
	for name, text := range files {
		if err := write(filepath.Join(folder, sdkFolder, filepath.FromSlash(name)), text); err != nil {
			return err
		}
	}
	return application(language, folder, files)
}

// application writes the templates.
func application(language, folder string, sdk map[string][]byte) error {
	entries, err := templates.ReadDir(language)
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := templates.ReadFile(path.Join(language, e.Name()))
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(e.Name(), ".txt")
		if name == "gitignore" {
			name = ".gitignore"
		}
		if name == "go.mod" {
			text = bytes.ReplaceAll(text, []byte("PROTOBUF"), protobufOf(sdk["go.mod"]))
		}
		if err := write(filepath.Join(folder, name), text); err != nil {
			return err
		}
	}
	if language == "go" {
		return write(filepath.Join(folder, "go.sum"), sdk["go.sum"])
	}
	return nil
}

var requirement = regexp.MustCompile(`google\.golang\.org/protobuf (v\S+)`)

// protobufOf is the version that the SDK needs, and so the application.
func protobufOf(mod []byte) []byte {
	if m := requirement.FindSubmatch(mod); m != nil {
		return m[1]
	}
	return nil
}

// empty refuses a folder that has files, and names some.
func empty(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	const named = 5
	var names []string
	for _, e := range entries {
		if len(names) == named {
			names = append(names, fmt.Sprintf("and %d more", len(entries)-named))
			break
		}
		names = append(names, e.Name())
	}
	if len(names) > 0 {
		return fmt.Errorf("%s is not empty: it has %s; name another folder", folder, strings.Join(names, ", "))
	}
	return nil
}

// unpack reads an archive: its files by name.
func unpack(archive []byte) (map[string][]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if !filepath.IsLocal(filepath.FromSlash(h.Name)) {
			return nil, fmt.Errorf("%q leads elsewhere", h.Name)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}

// write never replaces a file.
func write(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
