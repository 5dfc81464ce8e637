package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// other stands for all values of a label beyond its bound.
const other = "other"

// labelBytesMax bounds one value of a label. Longer ones are cut; those that are the same until there count as one.
const labelBytesMax = 128

// clean makes text fit for a label: valid UTF-8, no control characters, not long.
func clean(s string) string {
	fit := len(s) <= labelBytesMax
	for i := 0; fit && i < len(s); i++ {
		fit = s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != 0x7f
	}
	if fit {
		return s
	}
	const ellipsis = "…"
	var b strings.Builder
	for _, r := range s { // what is no UTF-8 comes as U+FFFD
		if unicode.IsControl(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > labelBytesMax-len(ellipsis) {
			b.WriteString(ellipsis)
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// labels gives the first `most` things that it sees a label each, and all others "other".
type labels[K comparable] struct {
	most   int
	render func(K) string

	mu    sync.RWMutex
	known map[K]string // guarded by mu
}

func newLabels[K comparable](most int, render func(K) string) *labels[K] {
	return &labels[K]{most: most, render: render, known: map[K]string{}}
}

// of is the label of k; ok is false when it is "other".
func (l *labels[K]) of(k K) (text string, ok bool) {
	l.mu.RLock()
	text, ok = l.known[k]
	full := len(l.known) >= l.most
	l.mu.RUnlock()
	switch {
	case ok:
		return text, true
	case full:
		return other, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if text, ok = l.known[k]; ok {
		return text, true
	}
	if len(l.known) >= l.most {
		return other, false
	}
	text = l.render(k)
	l.known[k] = text
	return text, true
}

func (l *labels[K]) text(k K) string {
	text, _ := l.of(k)
	return text
}

// all are the labels that were given.
func (l *labels[K]) all() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Collect(maps.Values(l.known))
}
