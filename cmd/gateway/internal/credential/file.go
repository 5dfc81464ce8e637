// Package credential holds what proves who somebody is - tokens, certificates, keys of signatures - and reads it again when its files
// change, so that none of them needs a restart to be replaced. It says none of it in any error and in no line of the log.
package credential

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	lookEvery    = time.Second
	fileBytesMax = 1 << 20
)

// Files are the files that something was read from. New ones are added before Run.
type Files struct {
	Log *slog.Logger // default slog.Default()

	mu  sync.Mutex // guards all, and the trouble of each
	all []*files
}

// files are read and taken together.
type files struct {
	what    string // which they are, for people
	names   []string
	take    func(contents [][]byte) error
	counts  digest // of what was taken
	seen    digest // of the last look
	refused digest // of what could not be taken; it is said once
	trouble string // why what they hold does not count; guarded by Files' mu
}

type digest [sha256.Size]byte

// Add reads files and hands them to take, now and whenever they have changed. What take refuses then does not count: it says why, keeps
// what it has, and is asked again when they change once more. Files that are none, such as pipes, are read once.
func (f *Files) Add(what string, take func(contents [][]byte) error, names ...string) error {
	contents, regular, err := readAll(names)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := take(contents); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !regular {
		return nil
	}
	d := digestOf(contents)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, &files{what: what, names: names, take: take, counts: d, seen: d})
	return nil
}

// Run looks at the files again and again until ctx ends.
func (f *Files) Run(ctx context.Context) {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			f.look()
		}
	}
}

// Troubles says of which files what they hold does not count, and why.
func (f *Files) Troubles() (texts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.all {
		if one.trouble != "" {
			texts = append(texts, one.trouble)
		}
	}
	return texts
}

// look looks once. Only one goroutine does so at a time.
func (f *Files) look() {
	f.mu.Lock()
	all := f.all
	f.mu.Unlock()
	for _, one := range all {
		f.lookAt(one)
	}
}

// lookAt takes what has changed when two looks in a row have found the same: whoever writes a file, or one and then its other, may be at it.
func (f *Files) lookAt(one *files) {
	contents, err := readAgain(one.names)
	if err != nil {
		f.tell(one, err)
		one.seen = digest{}
		return
	}
	d := digestOf(contents)
	settled := d == one.seen
	one.seen = d
	switch {
	case d == one.counts:
		f.tell(one, nil)
	case !settled || d == one.refused:
	default:
		if err := one.take(contents); err != nil {
			one.refused = d
			f.tell(one, err)
			return
		}
		one.counts, one.refused = d, digest{}
		f.log().Info("credentials: read again", "of", one.what)
		f.tell(one, nil)
	}
}

// tell remembers what is wrong, and says it when it is new.
func (f *Files) tell(one *files, err error) {
	trouble := ""
	if err != nil {
		trouble = fmt.Sprintf("%s: %v; what was read before still counts", one.what, err)
	}
	f.mu.Lock()
	known := one.trouble
	one.trouble = trouble
	f.mu.Unlock()
	if trouble != "" && trouble != known {
		f.log().Warn("credentials: a file that has changed cannot be used", "detail", trouble)
	}
}

func (f *Files) log() *slog.Logger {
	if f.Log == nil {
		return slog.Default()
	}
	return f.Log
}

// readAgain reads files whole, and opens nothing else: a pipe may be waited for without end.
func readAgain(names []string) (contents [][]byte, err error) {
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no file any more", name)
		}
	}
	contents, _, err = readAll(names)
	return contents, err
}

// readAll reads files whole; regular: all are files that can be read again.
func readAll(names []string) (contents [][]byte, regular bool, err error) {
	regular = true
	for _, name := range names {
		data, isRegular, err := read(name)
		if err != nil {
			return nil, false, err
		}
		contents, regular = append(contents, data), regular && isRegular
	}
	return contents, regular, nil
}

func read(name string) (data []byte, regular bool, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	data, err = io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err == nil && len(data) > fileBytesMax {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it is larger than %d bytes", fileBytesMax)}
	}
	return data, info.Mode().IsRegular(), err
}

func digestOf(contents [][]byte) (d digest) {
	h := sha256.New()
	for _, c := range contents {
		part := sha256.Sum256(c) // of one length, so that no two files are another two
		h.Write(part[:])
	}
	h.Sum(d[:0])
	return d
}
