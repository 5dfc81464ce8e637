package postgres

import (
	"context"
	"time"

	"github.com/stategate/stategate/statestore"
)

// A member that waits says so in a table that nothing else reads than Members, on connections that ownership does not use: whatever
// becomes of it, no takeover waits for it.
const (
	appearAfter = 200 * time.Millisecond // of waiting: most members need not wait at all
	appearEvery = 10 * time.Second
	appearFor   = 25 * time.Second
	vanishMax   = time.Second
)

// presence is the row of a member that waits.
type presence struct {
	cancel context.CancelFunc
	gone   chan struct{}
}

// appear keeps the row until end is called.
func (s *Store) appear(ctx context.Context, m statestore.Member) *presence {
	ctx, cancel := context.WithCancel(ctx)
	p := &presence{cancel, make(chan struct{})}
	go func() {
		defer close(p.gone)
		for pause, there := appearAfter, false; ; pause = appearEvery {
			if !rest(ctx, pause) {
				if there {
					s.vanish(m)
				}
				return
			}
			there = true // also after an error: it may have been written
			if err := s.showWaiting(ctx, m); err != nil && ctx.Err() == nil {
				s.cfg.Log.Debug("the store was not told that this gateway waits", "error", err)
			}
		}
	}()
	return p
}

// end has the row removed. It waits for that only when wait is set.
func (p *presence) end(wait bool) {
	p.cancel()
	if wait {
		<-p.gone
	}
}

// showWaiting writes the row, and removes those that nobody renews.
func (s *Store) showWaiting(ctx context.Context, m statestore.Member) error {
	const show = `
WITH old AS (DELETE FROM {s}.waiting WHERE id <> $1 AND until < clock_timestamp() - $2 * interval '1 millisecond')
INSERT INTO {s}.waiting (id, until, host, pid, address, events, started) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond', $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET until = excluded.until, host = excluded.host, pid = excluded.pid, address = excluded.address, events = excluded.events, started = excluded.started`
	_, err := s.readers.Exec(ctx, s.sql(show), m.ID, appearFor.Milliseconds(), m.Host, m.PID, m.Address, m.Events, m.Started)
	return err
}

func (s *Store) vanish(m statestore.Member) {
	ctx, cancel := context.WithTimeout(context.Background(), vanishMax)
	defer cancel()
	if _, err := s.readers.Exec(ctx, s.sql(`DELETE FROM {s}.waiting WHERE id = $1`), m.ID); err != nil {
		s.cfg.Log.Debug("the store was not told that this gateway waits no more", "error", err)
	}
}
