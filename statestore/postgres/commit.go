package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// fenceSQL is the first statement of each commit: the compare-and-set of the member's row. When it misses it divides by zero,
// which is the way to fail in plain SQL: an error ends the pipeline, and with it the transaction, in the same round trip.
// It waits for a claim that is about to raise the epoch, and then sees what the claim wrote.
const fenceSQL = `
WITH moved AS (
  UPDATE {s}.member SET commit_number = commit_number + 1, next_number = greatest(next_number, $4),
    lease_until = clock_timestamp() + $5 * interval '1 millisecond'
  WHERE id = $1 AND epoch = $2 AND commit_number = $3 AND doubts = $6
  RETURNING 1)
SELECT 1 / count(*) FROM moved`

// Commit makes c one transaction, in one round trip unless it is large.
func (s *Store) Commit(ctx context.Context, c *statestore.Commit) error {
	if c.Number == 0 {
		return errors.New("commit 0: numbers begin at 1")
	}
	action := fmt.Sprintf("commit %d", c.Number)
	if err := checkOutputs(c.Outputs); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	doubts := s.doubts.Load()
	missed, err := s.writer.write(ctx, c.Fence.Member, action, s.statements(c, doubts))
	if missed {
		return s.explain(ctx, c, action, doubts)
	}
	return err
}

// explain says why the fence missed, or a lane. Nothing was written.
func (s *Store) explain(ctx context.Context, c *statestore.Commit, action string, doubts int64) error {
	r, err := s.memberRow(ctx, c.Fence)
	last := uint64(r.commit)
	switch {
	case errors.Is(err, statestore.ErrFenced):
		s.unkeep(c.Fence)
		return fmt.Errorf("%s: %w", action, err)
	case err != nil:
		return fmt.Errorf("%s: %w", action, err)
	case last < c.Number-1:
		return fmt.Errorf("%s: the store's last commit is %d: it went back", action, last)
	case last >= c.Number:
		return fmt.Errorf("%s: the store's last commit is %d", action, last)
	case r.doubts != doubts: // asked for through another handle, or the answer was lost
		s.doubts.Store(r.doubts)
		return fmt.Errorf("%s: the last commit was asked for meanwhile: %w", action, statestore.ErrUnavailable)
	}
	return fmt.Errorf("%s: its outputs do not begin at the next number of their lane", action)
}

// part gathers the statements of a commit.
type part struct {
	store *Store
	all   []statement
	room  []byte // of small rows
}

// Small rows share room, so that thousands of them cost a few allocations; a small commit takes little of it.
const (
	firstRoomBytes = 2 << 10
	nextRoomBytes  = 64 << 10
)

// row is what f appends.
func (p *part) row(f func(b []byte) []byte) []byte {
	switch {
	case p.room == nil:
		p.room = make([]byte, 0, firstRoomBytes)
	case len(p.room) > cap(p.room)/2:
		p.room = make([]byte, 0, nextRoomBytes)
	}
	from := len(p.room)
	p.room = f(p.room)
	return p.room[from:len(p.room):len(p.room)]
}

func (p *part) add(sql string, bytes int, args ...any) {
	p.all = append(p.all, statement{sql: p.store.sql(sql), args: args, bytes: bytes})
}

// chunks cuts n things into runs that are at most pipelineBytesMax, or one thing.
func chunks(n int, size func(i int) int, emit func(from, to, bytes int)) {
	from, sum := 0, 0
	for i := 0; i < n; i++ {
		b := size(i)
		if i > from && sum+b > pipelineBytesMax {
			emit(from, i, sum)
			from, sum = i, 0
		}
		sum += b
	}
	if from < n {
		emit(from, n, sum)
	}
}

// number is how rows hold the numbers of messages, outputs and commits. None that is drawn is above; a bound may be.
func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// statements is the commit in SQL. Each table is written by arrays, its keys sorted.
func (s *Store) statements(c *statestore.Commit, doubts int64) []statement {
	p := &part{store: s}
	p.add(fenceSQL, 0, c.Fence.Member, number(c.Fence.Epoch), number(c.Number-1), number(c.NextNumber), s.cfg.Lease.Milliseconds(), doubts)
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
	return p.all
}

// keyed is a row on its way: a key, its packed data and a number.
type keyed struct {
	key, data []byte
	number    int64
}

// settle sorts rows by key and keeps the last of each: a statement must not touch a row twice.
func settle(rows []keyed) []keyed {
	slices.SortStableFunc(rows, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
	out := rows[:0]
	for i, r := range rows {
		if i+1 < len(rows) && bytes.Equal(r.key, rows[i+1].key) {
			continue
		}
		out = append(out, r)
	}
	return out
}

// columns turns rows into one array per column.
func columns(rows []keyed) (keys, data [][]byte, numbers []int64) {
	keys, data, numbers = make([][]byte, len(rows)), make([][]byte, len(rows)), make([]int64, len(rows))
	for i, r := range rows {
		keys[i], data[i], numbers[i] = r.key, r.data, r.number
	}
	return keys, data, numbers
}

// each emits rows in statements of bounded size.
func each(rows []keyed, emit func(keys, data [][]byte, numbers []int64, size int)) {
	chunks(len(rows), func(i int) int { return len(rows[i].key) + len(rows[i].data) + 16 }, func(from, to, size int) {
		keys, data, numbers := columns(rows[from:to])
		emit(keys, data, numbers, size)
	})
}

func (p *part) progress(all []statestore.Progress) {
	if len(all) == 0 {
		return
	}
	rows := make([]keyed, len(all))
	for i := range all {
		rows[i] = keyed{key: statestore.SourceKey(all[i].Source), data: p.row(func(b []byte) []byte { return statestore.AppendProgress(b, &all[i]) })}
	}
	each(settle(rows), func(keys, data [][]byte, _ []int64, size int) {
		p.add(`INSERT INTO {s}.progress (key, data) SELECT * FROM unnest($1::bytea[], $2::bytea[])
ON CONFLICT (key) DO UPDATE SET data = excluded.data`, size, keys, data)
	})
}

func (p *part) functions(all []statestore.FunctionSpec) {
	if len(all) == 0 {
		return
	}
	rows := make([]keyed, len(all))
	for i := range all {
		rows[i] = keyed{key: statestore.FunctionKey(all[i].Function), data: p.row(func(b []byte) []byte { return statestore.AppendSpec(b, &all[i]) })}
	}
	each(settle(rows), func(keys, data [][]byte, _ []int64, size int) {
		p.add(`INSERT INTO {s}.function_spec (key, data) SELECT * FROM unnest($1::bytea[], $2::bytea[])
ON CONFLICT (key) DO UPDATE SET data = excluded.data`, size, keys, data)
	})
}

// deadLetters have numbers of their own.
func (p *part) deadLetters(all []api.DeadLetter) {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b api.DeadLetter) int { return cmp.Compare(a.Number, b.Number) })
	rows := make([][]byte, len(sorted))
	for i := range sorted {
		rows[i] = p.row(func(b []byte) []byte { return statestore.AppendDeadLetter(b, &sorted[i]) })
	}
	chunks(len(rows), func(i int) int { return len(rows[i]) + len(sorted[i].Origin) + 32 }, func(from, to, size int) {
		n := to - from
		numbers, origins, bytes := make([]int64, n), make([][]byte, n), make([]int64, n)
		for i, d := range sorted[from:to] {
			numbers[i], origins[i], bytes[i] = number(d.Number), []byte(d.Origin), int64(d.Size())
		}
		p.add(`INSERT INTO {s}.dead_letter (number, origin, bytes, data)
SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[])`, size, numbers, origins, bytes, rows[from:to])
	})
}

func (p *part) deadEnds(all []uint64) {
	if len(all) == 0 {
		return
	}
	numbers := make([]int64, len(all))
	for i, n := range all {
		numbers[i] = number(n)
	}
	slices.Sort(numbers)
	p.add(`DELETE FROM {s}.dead_letter WHERE number = ANY($1::bigint[])`, 0, numbers)
}
