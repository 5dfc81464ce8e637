package credential

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync/atomic"
)

// Tokens are known tokens. All that is kept of them is digests. It may be asked and changed by any goroutine.
type Tokens struct{ known atomic.Pointer[[]digest] }

// NewTokens knows these.
func NewTokens(tokens ...string) *Tokens {
	t := &Tokens{}
	t.set(tokens)
	return t
}

// Tokens reads a file of tokens, one a line, now and whenever it changes.
func (f *Files) Tokens(setting, name string) (*Tokens, error) {
	t := NewTokens()
	err := f.Add(setting, func(contents [][]byte) error {
		lines, err := linesOf(name, contents[0], "token", 1)
		if err == nil {
			t.set(lines)
		}
		return err
	}, name)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tokens) set(tokens []string) {
	known := make([]digest, len(tokens))
	for i, token := range tokens {
		known[i] = sha256.Sum256([]byte(token))
	}
	t.known.Store(&known)
}

// Known reports whether the header Authorization of a request carries one of them. It compares digests, all of them, so that time tells
// nothing. A nil Tokens knows none.
func (t *Tokens) Known(authorization string) bool {
	const scheme = "Bearer "
	if t == nil || len(authorization) < len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return false
	}
	given, found := digest(sha256.Sum256([]byte(authorization[len(scheme):]))), 0
	for _, known := range *t.known.Load() {
		found |= subtle.ConstantTimeCompare(given[:], known[:])
	}
	return found == 1
}

// linesOf takes a file of secrets apart, one a line. Errors show none.
func linesOf(name string, data []byte, what string, bytesMin int) (lines []string, err error) {
	for i, line := range strings.Split(string(data), "\n") {
		secret := strings.TrimSpace(line)
		if secret == "" {
			continue
		}
		if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("%s:%d: a %s is letters, digits and signs of ASCII without spaces, one a line", name, i+1, what)
		}
		if len(secret) < bytesMin {
			return nil, fmt.Errorf("%s:%d: a %s has at least %d characters; openssl rand -hex 32 makes one", name, i+1, what, bytesMin)
		}
		lines = append(lines, secret)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s holds no %s: want one a line", name, what)
	}
	return lines, nil
}
