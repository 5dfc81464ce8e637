package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"database/sql/driver"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// rowBytesMax is the size from which packed messages and outputs are cut into several rows. SQLite ends at 1 GB; what is cut
// smaller is also read piece by piece.
const rowBytesMax = 8 << 20

// fenceSQL is the first statement of each commit: the compare-and-set of the member's row.
const fenceSQL = `UPDATE member SET commit_number = commit_number + 1, next_number = max(next_number, ?1), lease_until = ?2
WHERE id = ?3 AND epoch = ?4 AND commit_number = ?5`

// Commit makes c one transaction.
func (s *Store) Commit(ctx context.Context, c *statestore.Commit) error {
	if c.Number == 0 {
		return errors.New("commit 0: numbers begin at 1")
	}
	action := fmt.Sprintf("commit %d", c.Number)
	atCommit, err := s.writer.transact(ctx, func(conn *conn) error {
		p := &part{store: s, ctx: ctx, conn: conn}
		p.commit(c)
		return p.err
	})
	if err != nil && atCommit && doubtful(err) {
		return fmt.Errorf("%s: %w: %w", action, statestore.ErrDoubt, s.advice(err))
	}
	if err != nil {
		return s.fenced(c.Fence, s.refusal(action, err))
	}
	return nil
}

// part writes the parts of a commit. The first error ends it: what comes behind does nothing.
type part struct {
	store *Store
	ctx   context.Context
	conn  *conn
	err   error
	buf   []byte // of the row that is written: the driver copies it
}

func (p *part) exec(sql string, args ...driver.Value) (changed int64) {
	if p.err == nil {
		p.err = p.ctx.Err()
	}
	if p.err == nil {
		changed, p.err = p.conn.exec(sql, args...)
	}
	return changed
}

func (p *part) commit(c *statestore.Commit) {
	p.fence(c)
	p.progress(c.Progress)
	p.functions(c.Functions)
	p.states(c.States)
	p.packMarks(c.PackMarks)
	p.packs(c.Packs)
	p.mailTrims(c.MailTrims)
	p.mail(c.Mail)
	p.timerEnds(c.TimerEnds)
	p.cancels(c.Cancels)
	p.timers(c.Timers)
	p.outputs(c.Outputs)
	p.laneStarts(c.LaneStarts)
	p.trims(c.Trims)
	p.refusals(c.Refusals)
	p.deadLetters(c.DeadLetters)
	p.deadEnds(c.DeadEnds)
	p.pauses(c.Pauses)
	p.progressEnds(c.ProgressEnds)
	p.acts(c.Acts)
}

// fence moves the member's row, or says why it cannot.
func (p *part) fence(c *statestore.Commit) {
	changed := p.exec(fenceSQL, number(c.NextNumber), p.store.leaseEnd(time.Now()), c.Fence.Member, number(c.Fence.Epoch), number(c.Number-1))
	if p.err != nil || changed > 0 {
		return
	}
	r, err := p.conn.one(`SELECT commit_number FROM member WHERE id = ? AND epoch = ?`, c.Fence.Member, number(c.Fence.Epoch))
	switch {
	case err != nil:
		p.err = err
	case r == nil:
		p.err = fmt.Errorf("member %s with epoch %d: %w", c.Fence.Member, c.Fence.Epoch, statestore.ErrFenced)
	case r.num(0) < c.Number-1:
		p.err = fmt.Errorf("the store's last commit is %d: it went back", r.num(0))
	default:
		p.err = fmt.Errorf("the store's last commit is %d", r.num(0))
	}
}

// number is how rows hold the numbers of messages, outputs and commits. None that is drawn is above; a bound may be.
func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// keyed is a row on its way: its key, and where it stands in the commit.
type keyed struct {
	key []byte
	at  int
}

// sorted are the keys of n things in the order of the index, so that neighbours are written together. Of two with the same key
// the later one comes later.
func sorted(n int, key func(i int) []byte) []keyed {
	rows := make([]keyed, n)
	for i := range rows {
		rows[i] = keyed{key(i), i}
	}
	slices.SortFunc(rows, func(a, b keyed) int { // a stable sort takes several times as long
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	return rows
}

// chunks cuts n things into runs that are at most rowBytesMax, or one thing.
func chunks(n int, size func(i int) int, emit func(from, to, bytes int)) {
	from, sum := 0, 0
	for i := range n {
		b := size(i)
		if i > from && sum+b > rowBytesMax {
			emit(from, i, sum)
			from, sum = i, 0
		}
		sum += b
	}
	if from < n {
		emit(from, n, sum)
	}
}

func (p *part) progress(all []statestore.Progress) {
	for i := range all {
		p.buf = statestore.AppendProgress(p.buf[:0], &all[i])
		p.exec(`INSERT INTO progress (key, data) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data`, statestore.SourceKey(all[i].Source), p.buf)
	}
}

func (p *part) functions(all []statestore.FunctionSpec) {
	for i := range all {
		p.buf = statestore.AppendSpec(p.buf[:0], &all[i])
		p.exec(`INSERT INTO function_spec (key, data) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data`, statestore.FunctionKey(all[i].Function), p.buf)
	}
}

func (p *part) deadLetters(all []api.DeadLetter) {
	for i := range all {
		p.buf = statestore.AppendDeadLetter(p.buf[:0], &all[i])
		p.exec(`INSERT INTO dead_letter (number, origin, bytes, data) VALUES (?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET origin = excluded.origin, bytes = excluded.bytes, data = excluded.data`,
			number(all[i].Number), []byte(all[i].Origin), int64(all[i].Size()), p.buf)
	}
}

func (p *part) deadEnds(all []uint64) {
	for _, n := range all {
		p.exec(`DELETE FROM dead_letter WHERE number = ?`, number(n))
	}
}
