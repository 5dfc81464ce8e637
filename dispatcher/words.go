package dispatcher

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/stategate/stategate/api"
)

// words are texts that a function says in each reply: names of states, types and egresses. They are made once. What is beyond its
// bounds, as the names that a function makes up, is made each time. It may be used by any number of goroutines.
type words struct {
	known atomic.Pointer[map[string]string] // never changed: a new word makes a new one
	mu    sync.Mutex                        // of who makes it
}

const (
	wordsMax     = 128
	wordBytesMax = 128
	speakersMax  = 4096 // functions that have words
)

func newWords() *words {
	w := &words{}
	w.known.Store(&map[string]string{})
	return w
}

// text is a text of a reply; the error says that it is none.
func (w *words) text(b []byte) (string, error) {
	if s, ok := (*w.known.Load())[string(b)]; ok {
		return s, nil
	}
	if err := check(b); err != nil {
		return "", err
	}
	return w.learn(string(b)), nil
}

// pair is "a/b".
func (w *words) pair(a, b []byte) string {
	var room [wordBytesMax]byte
	if len(a)+1+len(b) > len(room) {
		return string(a) + "/" + string(b)
	}
	both := append(append(append(room[:0], a...), '/'), b...)
	if s, ok := (*w.known.Load())[string(both)]; ok {
		return s
	}
	return w.learn(string(both))
}

func (w *words) learn(s string) string {
	if len(s) > wordBytesMax || len(*w.known.Load()) >= wordsMax {
		return s
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	more := maps.Clone(*w.known.Load())
	if len(more) < wordsMax {
		more[s] = s
		w.known.Store(&more)
	}
	return s
}

// speakers are the words of each function.
type speakers struct {
	mu sync.RWMutex
	of map[api.FunctionType]*words // guarded by mu
}

// words of a function. Those beyond the bound share theirs.
func (s *speakers) words(t api.FunctionType) *words {
	s.mu.RLock()
	w := s.of[t]
	s.mu.RUnlock()
	if w != nil {
		return w
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.of) >= speakersMax {
		t = api.FunctionType{}
	}
	if w = s.of[t]; w == nil {
		if s.of == nil {
			s.of = map[api.FunctionType]*words{}
		}
		w = newWords()
		s.of[t] = w
	}
	return w
}
