package kafkaproperty

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowSource takes its time for each token.
type slowSource struct {
	asked      atomic.Int32
	life, time time.Duration
}

func (s *slowSource) fetch(context.Context) (token, error) {
	n, begin := s.asked.Add(1), time.Now()
	time.Sleep(s.time)
	return token{text: hide(fmt.Sprint("token-", n)), issued: begin, ends: begin.Add(s.life)}, nil
}

// TestTokenDueAtOnce: a token that is due for renewal when it arrives is good nevertheless, and it rests a while: neither a login nor many
// ask the source over and over.
func TestTokenDueAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		pace       pace
		life, time time.Duration
	}{
		"life below the buffer": {pace{factor: 0.8, buffer: 300 * time.Second}, 200 * time.Second, 0},
		"slower than least":     {pace{factor: 0.8, least: time.Second, buffer: 300 * time.Second}, 200 * time.Second, 1200 * time.Millisecond},
		"life of the buffer":    {pace{factor: 1, buffer: 300 * time.Second}, 300 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := &slowSource{life: c.life, time: c.time}
				c.pace.retry, c.pace.most = time.Second, 8*time.Second
				tokens := &Tokens{source: from, pace: c.pace}
				logins := func(want string) {
					t.Helper()
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a login that asks over and over ends here
					defer cancel()
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() {
							if got, err := tokens.Token(ctx); err != nil || got.Reveal() != want {
								t.Errorf("got %q, %v, want %s", got.Reveal(), err, want)
							}
						})
					}
					all.Wait()
				}
				logins("token-1")
				time.Sleep(restMin - time.Millisecond)
				logins("token-1")
				time.Sleep(time.Millisecond)
				logins("token-2")
				if n := from.asked.Load(); n != 2 {
					t.Errorf("the source is asked %d times", n)
				}
			})
		})
	}
}

// TestTokenThatHardlyLives: one that ends before its rest is over serves until then, and one that ended on its way is an error, not a reason
// to ask again at once.
func TestTokenThatHardlyLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &slowSource{life: 100 * time.Millisecond}
		tokens := &Tokens{source: from, pace: pace{factor: 0.8, least: time.Minute, retry: time.Second, most: 8 * time.Second}}
		for n := int32(1); n <= 3; n++ {
			for range 2 {
				if got, err := tokens.Token(t.Context()); err != nil || got.Reveal() != fmt.Sprint("token-", n) || from.asked.Load() != n {
					t.Errorf("got %q, %v after %d, want token-%d", got.Reveal(), err, from.asked.Load(), n)
				}
			}
			time.Sleep(from.life)
		}
		from.time = 200 * time.Millisecond
		for range 2 {
			if got, err := tokens.Token(t.Context()); err == nil || from.asked.Load() != 4 {
				t.Errorf("got %q after %d, want that it has ended already", got.Reveal(), from.asked.Load())
			}
		}
	})
}

// TestTokenFileDueAtOnce: the file is not read over and over either.
func TestTokenFileDueAtOnce(t *testing.T) {
	made, err := (&unsecured{claims: map[string]any{"sub": "a"}, lifetime: 200 * time.Second}).fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token.jwt")
	if err := os.WriteFile(file, []byte(made.text.Reveal()+"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens := &Tokens{source: tokenFile{file}, pace: pace{factor: 0.8, buffer: 300 * time.Second, retry: time.Second, most: time.Second}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if got, err := tokens.Token(ctx); err != nil || got.Reveal() != made.text.Reveal()+"x" || !time.Now().Before(tokens.stale) {
		t.Errorf("%v, to be replaced at %v", err, tokens.stale)
	}
}
