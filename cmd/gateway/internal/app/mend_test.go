package app

import (
	"context"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// letterStore answers of dead letters only.
type letterStore struct {
	statestore.Store
	numbers []uint64
	asked   int
}

func (s *letterStore) DeadLetters(_ context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	s.asked++
	for _, n := range s.numbers {
		if n > after && limit > 0 {
			return []api.DeadLetter{{Number: n}}, nil
		}
	}
	return nil, nil
}

func TestLastDeadLetter(t *testing.T) {
	for _, numbers := range [][]uint64{
		nil, {1}, {2}, {1, 2}, {7}, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 1000}, {999, 1000, 1001}, {5, 1 << 40}, {1<<62 + 5}, {3, 4, 900_000, 1_000_000}, {1, 1<<63 - 1},
	} {
		s := &letterStore{numbers: numbers}
		a := &App{cfg: Config{Store: s}}
		want := uint64(0)
		if len(numbers) > 0 {
			want = numbers[len(numbers)-1]
		}
		got, err := a.LastDeadLetter(t.Context())
		if err != nil || got != want || s.asked > 130 {
			t.Errorf("%d: got %d, %v, asked %d times", numbers, got, err, s.asked)
		}
	}
}
