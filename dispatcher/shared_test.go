package dispatcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestShared: whoever asks while somebody looks shares the next look with all the others; a look goes on when whoever asked for it has
// gone; what was expensive is kept, and nothing else.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dispatcher{}
		d.ctx, d.end = context.WithCancelCause(t.Context())
		s := newShared[int]()
		looks, cost, fails := 0, time.Duration(0), error(nil)
		take := func(ctx context.Context) (int, time.Duration, error) {
			time.Sleep(time.Second) // of the bubble's clock
			looks++
			return looks, cost, errors.Join(fails, ctx.Err())
		}
		get := func() int {
			t.Helper()
			n, err := s.get(t.Context(), d, take)
			if err != nil {
				t.Error(err)
			}
			return n
		}
		want := func(got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("got look %d, want %d", got, want)
			}
		}
		gone, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		if _, err := s.get(gone, d, take); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who has gone is answered %v", err)
		}
		const askers = 100
		seen := make(chan int, askers)
		for range askers {
			go func() { n, _ := s.get(t.Context(), d, take); seen <- n }()
		}
		for range askers {
			want(<-seen, 2) // the first one began before they asked
		}
		if looks != 2 {
			t.Errorf("%d looks for %d who asked at once", looks, askers)
		}
		time.Sleep(time.Nanosecond)
		want(get(), 3) // it cost nothing: what is told is what is so now

		cost = 100 * time.Millisecond
		want(get(), 4)
		time.Sleep(keptTimes*cost - 1)
		want(get(), 4)
		time.Sleep(time.Nanosecond)
		cost = time.Hour
		want(get(), 5)
		time.Sleep(keptMost)
		cost = 0

		fails = errors.New("the store is away")
		if n, err := s.get(t.Context(), d, take); !errors.Is(err, fails) {
			t.Errorf("got look %d, %v", n, err)
		}
		fails = nil
		want(get(), 7) // what has failed is not kept

		d.end(errors.New("over"))
		s.turn <- struct{}{}
		if _, err := s.get(t.Context(), d, take); err == nil || err.Error() != "over" {
			t.Errorf("when the incarnation has ended: %v", err)
		}
	})
}
