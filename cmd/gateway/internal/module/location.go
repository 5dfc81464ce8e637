package module

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of one application, over all its files.
const (
	filesMax       = 1000
	moduleBytesMax = 8 << 20
)

// fileName is how StateFun wants a module to be named.
const fileName = "module.yaml"

// files are the files that locations stand for, in their order, each once.
func files(locations []string) ([]string, Complaints) {
	var out []string
	var complaints Complaints
	var seen []fs.FileInfo
	for _, location := range locations {
		path, err := pathOf(location)
		if err != nil {
			complaints = append(complaints, notRead(location, err))
			continue
		}
		found, err := filesAt(path)
		if err != nil {
			complaints = append(complaints, notRead(path, err))
			continue
		}
		for _, file := range found {
			if info, err := os.Stat(file); err == nil {
				if slices.ContainsFunc(seen, func(s fs.FileInfo) bool { return os.SameFile(s, info) }) {
					continue // named twice, or in a folder that is named, too
				}
				seen = append(seen, info)
			}
			if out = append(out, file); len(out) > filesMax {
				return nil, append(complaints, notRead(path, fmt.Errorf("the application has more than %d files", filesMax)))
			}
		}
	}
	return out, complaints
}

// pathOf takes off what StateFun's settings write before a path. Its class path is the folder of the application: here that in which
// the gateway runs. An URL of another machine's file is an error: a file of this one, of the same path, is not meant.
func pathOf(location string) (string, error) {
	if resource, ok := strings.CutPrefix(location, "classpath:"); ok {
		return resource, nil
	}
	if strings.HasPrefix(location, "file:/") {
		u, err := url.Parse(location)
		switch {
		case err != nil:
		case u.Host != "" && u.Host != "localhost":
			return "", errors.New("what stands behind file:// is the name of a machine, and only files of this one are read: want file:///PATH")
		case u.Path != "":
			return u.Path, nil
		}
	}
	return location, nil
}

// filesAt are the modules at a path: the file itself, or in a folder its module.yaml and that of each folder in it, sorted. Names
// that begin with a dot are left out, as the image of StateFun does; a mounted ConfigMap keeps its files in such folders.
func filesAt(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, err
	}
	folders := []string{path}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			folders = append(folders, filepath.Join(path, e.Name()))
		}
	}
	var out []string
	for _, folder := range folders {
		file := filepath.Join(folder, fileName)
		switch info, err := os.Stat(file); {
		case err == nil && !info.IsDir():
			out = append(out, file)
		case err != nil && !errors.Is(err, fs.ErrNotExist) && !isNoFolder(folder):
			return nil, fmt.Errorf("%s: %w", file, cause(err))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("it is a folder with neither %s nor */%s", fileName, fileName)
	}
	return out, nil
}

// isNoFolder reports whether a path is something else, in which there cannot be a module.
func isNoFolder(path string) bool {
	info, err := os.Stat(path)
	return err != nil || !info.IsDir()
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for whoever writes it, maybe for ever
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, fileBytesMax+1)) // the parser says that it is too large
}

// notRead complains of a file as a whole.
func notRead(path string, err error) Complaint {
	return Complaint{File: path, Line: 1, Column: 1, Text: fmt.Sprintf("read the module: %v", cause(err))}
}

// cause takes the path out of an error of the file system: it is said already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
