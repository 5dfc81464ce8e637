//go:build unix

package testserver

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
)

// lineBytesMax bounds the part of a log line in which a text is looked for.
const lineBytesMax = 64 << 10

// journal is a server's output: kept in a file, and looked through line by line while it is written.
type journal struct {
	mu     sync.Mutex
	file   *os.File
	line   []byte
	awaits map[string]chan struct{}
}

func newJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &journal{file: f, awaits: map[string]chan struct{}{}}, nil
}

// await answers a channel that is closed when a line holds the text from now on.
func (j *journal) await(text string) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen := make(chan struct{})
	j.awaits[text] = seen
	return seen
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, part := range bytes.SplitAfter(b, []byte("\n")) {
		if len(j.line) < lineBytesMax {
			j.line = append(j.line, part...)
		}
		if !bytes.HasSuffix(part, []byte("\n")) {
			continue
		}
		for text, seen := range j.awaits {
			if bytes.Contains(j.line, []byte(text)) {
				close(seen)
				delete(j.awaits, text)
			}
		}
		j.line = j.line[:0]
	}
	return j.file.Write(b)
}

// size is how much has been written: a mark for since.
func (j *journal) size() int64 {
	if info, err := j.file.Stat(); err == nil {
		return info.Size()
	}
	return 0
}

// since is what was written after the mark, at most its last 16 KiB.
func (j *journal) since(mark int64) string {
	mark = max(mark, j.size()-16<<10)
	var b strings.Builder
	_, _ = io.Copy(&b, io.NewSectionReader(j.file, mark, 1<<62))
	return b.String()
}

func (j *journal) close() { _ = j.file.Close() }
