package kafkaproperty

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Tokens gives the token that a login needs. It keeps one until its time, however many connections ask.
type Tokens struct {
	source tokenSource
	pace   pace

	mu       sync.Mutex // never held while the source is asked
	asking   chan struct{}
	token    token
	stale    time.Time // when the token is replaced, if that can be
	err      error     // of the last attempt
	failures int
	again    time.Time // when the source may be asked again after a failure
}

// tokenSource makes or fetches a token.
type tokenSource interface {
	fetch(ctx context.Context) (token, error)
}

type token struct {
	text   Secret
	issued time.Time
	ends   time.Time // zero: nobody says
}

// pace is when a token is replaced, and how soon a source that failed is asked again.
type pace struct {
	factor, jitter float64
	least, buffer  time.Duration
	retry, most    time.Duration
}

// restMin is how long a token serves before the source is asked again, as long as it is good: one that is due for renewal as soon as it is
// there (its life is shorter than the buffer, or the source is slow) would else be fetched by each login anew.
const restMin = time.Second

// Token is a token that is good now. While a new one cannot be had, the one before it serves to its end. It asks the source once at most.
func (t *Tokens) Token(ctx context.Context) (Secret, error) {
	for {
		t.mu.Lock()
		now := time.Now()
		good := t.good(now)
		switch {
		case good && now.Before(t.stale), good && now.Before(t.again):
			defer t.mu.Unlock()
			return t.token.text, nil
		case now.Before(t.again):
			defer t.mu.Unlock()
			return Secret{}, t.err
		case t.asking == nil:
			t.asking = make(chan struct{})
			t.mu.Unlock()
			fetched, err := t.source.fetch(ctx)
			return t.keep(fetched, err, ctx.Err())
		}
		asking := t.asking // another connection asks already
		t.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			return Secret{}, ctx.Err()
		}
	}
}

// keep notes what a fetch has brought, and answers what whoever fetched it is to use: that, or the token before it. A fetch that was called
// off says nothing about the source.
func (t *Tokens) keep(fetched token, err, calledOff error) (Secret, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.asking)
	t.asking = nil
	now := time.Now()
	switch {
	case err != nil && calledOff != nil:
		return Secret{}, calledOff
	case err == nil && !fetched.ends.IsZero() && !now.Before(fetched.ends):
		err = errors.New("the token has expired already (do the clocks agree?)")
	case err == nil:
		t.token, t.stale, t.err, t.failures, t.again = fetched, t.pace.stale(fetched, now), nil, 0, time.Time{}
		return fetched.text, nil
	}
	t.err = err
	t.again = now.Add(min(t.pace.retry<<min(t.failures, 16), max(t.pace.most, t.pace.retry)))
	t.failures++
	if t.good(now) {
		return t.token.text, nil
	}
	return Secret{}, err
}

// good reports whether there is a token that has not ended.
func (t *Tokens) good(now time.Time) bool {
	return t.token.text.Reveal() != "" && (t.token.ends.IsZero() || now.Before(t.token.ends))
}

// stale is when a token that arrives now is to be replaced: by the rules of Java's login, but not before it was of some use.
func (p pace) stale(t token, now time.Time) time.Time {
	if t.ends.IsZero() {
		return t.issued.Add(time.Minute)
	}
	life := t.ends.Sub(t.issued)
	at := t.issued.Add(time.Duration(float64(life) * min(1, p.factor+p.jitter*rand.Float64())))
	if latest := t.ends.Add(-p.buffer); at.After(latest) {
		at = latest
	}
	if earliest := t.issued.Add(p.least); at.Before(earliest) {
		at = earliest
	}
	if rested := now.Add(restMin); at.Before(rested) {
		at = rested
	}
	if at.After(t.ends) {
		at = t.ends
	}
	return at
}

// ends is when a token of the usual form (JWT) says that its time is over.
func ends(text string) time.Time {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var c struct {
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(claims, &c) != nil || !(c.Expires > 0 && c.Expires < 1e11) {
		return time.Time{}
	}
	return time.UnixMilli(int64(c.Expires * 1000))
}

// checkToken refuses what cannot stand in a login, before anybody sends it.
func checkToken(text string) error {
	if text == "" {
		return errNoToken
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return errors.New("the token has characters that no token may have")
		}
	}
	return nil
}
