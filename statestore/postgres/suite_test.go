package postgres

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Fixture {
		const lease = 2 * time.Second // a busy machine must be able to renew it in time
		var loss loss
		cfg := Config{URL: relay(t, common(t), way{ask: loss.ask, answer: loss.answer}), Schema: fresh(), Lease: lease, Log: quiet()}
		reopen := func(t *testing.T) (statestore.Store, error) {
			s, err := Open(t.Context(), cfg)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
		return &storetest.Fixture{
			Lease: lease,
			Open: func(t *testing.T) statestore.Store {
				s, err := reopen(t)
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			// Who sleeps keeps the advisory lock, for its sockets stay open. It is no authority: nobody needs it to take over.
			Sleep: nil,
			Doubt: func(t *testing.T, s statestore.Store, done bool) { loss.next(t, s.(*Store), done) },
			Newer: func(t *testing.T) {
				t.Helper()
				if _, err := connect(t, common(t)).Exec(t.Context(), `INSERT INTO "`+cfg.Schema+`".stategate_version (version_id, is_applied) VALUES (2, true)`); err != nil {
					t.Fatal(err)
				}
			},
			Reopen: reopen,
		}
	})
}

// loss cuts the way to the server once: before what is asked next, or between the server's commit and its answer.
type loss struct {
	request, done, reply atomic.Bool
}

// next makes the writer's next commit end in doubt. The writer's connection is there already, and nobody else asks anything.
func (l *loss) next(t *testing.T, s *Store, done bool) {
	t.Helper()
	s.mu.Lock()
	member := s.keeper.fence.Member
	s.mu.Unlock()
	<-s.writer.turn
	_, err := s.writer.connect(t.Context(), member)
	s.writer.turn <- struct{}{}
	if err != nil {
		t.Fatal(err)
	}
	l.done.Store(false)
	l.request.Store(!done)
	l.reply.Store(done)
}

func (l *loss) ask([]byte) bool { return !l.request.CompareAndSwap(true, false) }

// answer waits for a statement that is done ('C'; none is while statements are prepared) and then for the end of the pipeline
// ('Z'), which the server sends when it has committed.
func (l *loss) answer(kind byte, _ []byte) bool {
	switch {
	case !l.reply.Load():
	case kind == 'C':
		l.done.Store(true)
	case kind == 'Z' && l.done.Load():
		l.reply.Store(false)
		return false
	}
	return true
}
