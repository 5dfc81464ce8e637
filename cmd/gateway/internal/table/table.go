// Package table shows rows to people: columns that are as wide as what stands in them, and words that a terminal only shows and never obeys. It
// holds a page of rows at a time, however many there are, and knows nothing of what they are about.
package table

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of what it holds and how it looks.
const (
	rowsHeld = 200 // rows that widths are made from; later rows may widen a column
	widthMax = 60  // of a column, in characters: a longer word pushes the rest of its row only
	gap      = 2   // between columns
)

// Writer writes one table. Cells are given by Word, Text and the others: what is in them is written as it is.
type Writer struct {
	out    io.Writer
	head   []string
	widths []int
	held   []line
	begun  bool // the head is written
	err    error
}

// line is a row, or a note below one.
type line struct {
	cells []string
	note  string
}

// New begins a table with the names of its columns, which are written with the first row.
func New(out io.Writer, head ...string) *Writer {
	w := &Writer{out: out, head: head, widths: make([]int, len(head))}
	w.widen(head)
	return w
}

// Row adds a row; what it lacks is empty.
func (w *Writer) Row(cells ...string) error {
	cells = append(make([]string, 0, len(w.head)), cells[:min(len(cells), len(w.head))]...)
	for len(cells) < len(w.head) {
		cells = append(cells, "")
	}
	return w.hold(line{cells: cells})
}

// Note adds a line of its own below a row, over all columns.
func (w *Writer) Note(text string) error { return w.hold(line{note: text}) }

func (w *Writer) hold(l line) error {
	w.held = append(w.held, l)
	if len(w.held) == rowsHeld {
		return w.Flush()
	}
	return w.err
}

// Flush writes what is held. It is for the end, and after it a table may go on. A table without rows writes nothing.
func (w *Writer) Flush() error {
	if len(w.held) == 0 || w.err != nil {
		return w.err
	}
	for _, l := range w.held {
		w.widen(l.cells)
	}
	var b strings.Builder
	if !w.begun {
		w.begun = true
		w.write(&b, line{cells: w.head})
	}
	for _, l := range w.held {
		w.write(&b, l)
	}
	w.held = w.held[:0]
	_, w.err = io.WriteString(w.out, b.String())
	return w.err
}

// Empty reports whether there was no row.
func (w *Writer) Empty() bool { return !w.begun && len(w.held) == 0 }

func (w *Writer) widen(cells []string) {
	for i, c := range cells {
		if n := utf8.RuneCountInString(c); n <= widthMax {
			w.widths[i] = max(w.widths[i], n)
		}
	}
}

func (w *Writer) write(b *strings.Builder, l line) {
	if l.cells == nil {
		b.WriteString(l.note + "\n")
		return
	}
	cells, last := l.cells, len(l.cells)-1
	for last > 0 && cells[last] == "" {
		last--
	}
	for i, c := range cells[:last+1] {
		b.WriteString(c)
		if i < last {
			b.WriteString(strings.Repeat(" ", max(0, w.widths[i]-utf8.RuneCountInString(c))+gap))
		}
	}
	b.WriteByte('\n')
}

// Fields writes one thing as a list of names and values, names as wide as the widest. A value that is "" is left out with its name.
func Fields(out io.Writer, pairs ...[2]string) error {
	width := 0
	for _, p := range pairs {
		if p[1] != "" {
			width = max(width, utf8.RuneCountInString(p[0]))
		}
	}
	var b strings.Builder
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		b.WriteString(p[0] + strings.Repeat(" ", width-utf8.RuneCountInString(p[0])+gap) + p[1] + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
