package sqlite

import (
	"context"
	"errors"
	"time"
)

// pool is the connections that read. A slot is a connection, or nil where one must be made first.
type pool struct {
	store *Store
	slots chan *conn
}

func (p *pool) init(s *Store) {
	p.store, p.slots = s, make(chan *conn, s.cfg.Readers)
	for range s.cfg.Readers {
		p.slots <- nil
	}
}

// read gives f a connection and one view of the store: what is committed meanwhile is not seen.
func (p *pool) read(ctx context.Context, f func(c *conn) error) (err error) {
	var c *conn
	select {
	case c = <-p.slots:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if err != nil && c != nil {
			_ = c.close() // its transaction may be open
			c = nil
		}
		p.slots <- c
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	if c == nil {
		if p.store.isClosed() {
			return errClosed
		}
		if c, err = dial(p.store.readerDSN()); err != nil {
			return err
		}
	}
	if _, err := c.exec(`BEGIN`); err != nil {
		return err
	}
	if err := f(c); err != nil {
		return err
	}
	_, err = c.exec(`COMMIT`)
	return err
}

// gate waits until nobody reads and keeps new readers waiting until open is called; nil: somebody read for too long.
func (p *pool) gate(max time.Duration) (open func()) {
	limit := time.NewTimer(max)
	defer limit.Stop()
	var all []*conn
	open = func() {
		for _, c := range all {
			p.slots <- c
		}
	}
	for range cap(p.slots) {
		select {
		case c := <-p.slots:
			all = append(all, c)
		case <-limit.C:
			open()
			return nil
		}
	}
	return open
}

// close waits for the readers to end. Later ones find empty slots and the store closed.
func (p *pool) close() (all error) {
	for range cap(p.slots) {
		if c := <-p.slots; c != nil {
			all = errors.Join(all, c.close())
		}
	}
	for range cap(p.slots) {
		p.slots <- nil
	}
	return all
}
