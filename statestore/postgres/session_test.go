package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// What a dead client leaves behind ends before its lease does, on every connection that can hold a row.
func TestSessionsAreBoundBelowTheLease(t *testing.T) {
	const lease = 3 * time.Second
	s := open(t, Config{URL: common(t).URL(), Schema: fresh(), Lease: lease})
	c := acquire(t, s, newMember())
	if err := s.Commit(t.Context(), one(c.Fence, 1, "x")); err != nil {
		t.Fatal(err)
	}
	lock, err := s.dial(t.Context(), "stategate", lockSettings(lease))
	if err != nil {
		t.Fatal(err)
	}
	defer s.hangUp(lock)
	check := func(where string, q querier) {
		t.Helper()
		for _, name := range []string{"idle_in_transaction_session_timeout", "statement_timeout", "tcp_user_timeout"} {
			var text string
			if err := q.QueryRow(t.Context(), `SELECT setting FROM pg_settings WHERE name = $1`, name).Scan(&text); err != nil {
				t.Fatalf("%s: %s: %v", where, name, err)
			}
			if ms, err := strconv.Atoi(text); err != nil || ms <= 0 || time.Duration(ms)*time.Millisecond >= lease {
				t.Errorf("%s: %s is %s ms, want less than %v", where, name, text, lease)
			}
		}
	}
	check("writer", s.writer.conn)
	check("owners", s.owners)
	check("lock", lock)
}

// The first thing that a commit does is the compare-and-set of its member's row, however many round trips it takes.
func TestFenceComesFirst(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	for _, async := range []bool{false, true} {
		s.async = async
		for _, values := range []int{0, 1, 5} {
			c := &statestore.Commit{Number: 1}
			for i := range values {
				c.States = append(c.States, state(strconv.Itoa(i), make([]byte, pipelineBytesMax-100)))
			}
			batches := s.writer.pipelines(s.statements(c, 0), 5*time.Second)
			var all []string
			for _, b := range batches {
				for _, q := range b.QueuedQueries {
					all = append(all, q.SQL)
				}
			}
			if len(batches) > 1 {
				if all[0] != "BEGIN" || slices.Index(all, "COMMIT") != len(all)-1 {
					t.Errorf("%d round trips begin with %q and end with %q", len(batches), all[0], all[len(all)-1])
				}
				all = all[1:]
			} else if slices.Contains(all, "BEGIN") || slices.Contains(all, "COMMIT") {
				t.Errorf("one round trip is a transaction by itself: %q", all)
			}
			if all[0] != s.sql(fenceSQL) {
				t.Errorf("%d values: the first statement is %q", values, all[0])
			}
			if len(batches) < values {
				t.Errorf("%d values of 8 MiB in %d round trips", values, len(batches))
			}
		}
	}
}

// Every statement over tables that grow goes by key. A claim reads whole tables, and is not looked at here.
func TestStatementsGoByKey(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	c := acquire(t, s, newMember(), "e")
	lane, a := statestore.LaneID{Egress: "e"}, addr("a")
	m := mail(1, "a", "x")
	commit := &statestore.Commit{
		Fence: c.Fence, Number: 1, Progress: make([]statestore.Progress, 1), Functions: make([]statestore.FunctionSpec, 1),
		States:    []statestore.AddressState{state("a", nil), state("b", make([]byte, statestore.StateApartAbove+1)), {Address: a}},
		PackMarks: []statestore.PackMark{{Number: 1}, {Number: 2, Remove: true}}, Packs: []statestore.Pack{{Number: 1, Messages: []statestore.Mail{m}}},
		MailTrims: []statestore.MailTrim{{Address: a, Below: 5}}, Mail: []statestore.MailChunk{{Address: a, Messages: []statestore.Mail{m}}},
		TimerEnds: make([]statestore.TimerKey, 1), Cancels: make([]statestore.Cancel, 1), Timers: make([]statestore.Timer, 1),
		Outputs: []statestore.OutputPack{{Lane: lane, First: 1, Outputs: nil}}, LaneStarts: []statestore.LaneID{lane},
		Refusals: []statestore.Refusal{{Lane: lane, Number: 1}}, Trims: []statestore.Trim{{Lane: lane, Below: 2}},
		Pauses: []statestore.Pause{{Kind: statestore.PauseIngress}, {Kind: statestore.PauseAddress, Ended: true}}, ProgressEnds: make([]api.Source, 1),
		Acts: []statestore.Act{{Number: statestore.ActsKept + 1}}, DeadLetters: []api.DeadLetter{{Number: 1}}, DeadEnds: []uint64{2},
	}
	if err := s.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	// A refusal is known by now, so all statements are there.
	all := s.statements(commit, 0)
	if len(all) < 27 {
		t.Errorf("only %d statements", len(all))
	}
	for _, st := range all {
		checkPlan(t, s.writer.conn, st.sql, st.args)
	}
	reader, err := s.readers.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	for _, sql := range []string{stateSQL, stateSQL + largeSQL, stateSQL + mailboxSQL, stateSQL + largeSQL + mailboxSQL, noneSQL + mailboxSQL} {
		checkPlan(t, reader.Conn(), s.sql(sql), []any{[][]byte{{1}, {2}}})
	}
	checkPlan(t, reader.Conn(), s.sql(pageSQL), []any{[]byte{1}, []byte{2}, walkRows, walkBytesMax})
	checkPlan(t, reader.Conn(), s.sql(pageLargeSQL), []any{[]byte{1}, []byte{2}})
	checkPlan(t, reader.Conn(), s.sql(keysSQL), []any{[]byte{1}, []byte{2}, 1001})
	checkPlan(t, reader.Conn(), s.sql(rowSQL), []any{[]byte{1}})
	checkPlan(t, reader.Conn(), s.sql(deadSQL), []any{1, 1000, statestore.DeadPageBytes})
	checkPlan(t, reader.Conn(), s.sql(actsSQL), []any{1 << 40, 1000})
	checkPlan(t, reader.Conn(), s.sql(noteSQL), []any{[]byte{1}})
}

func checkPlan(t *testing.T, conn *pgx.Conn, sql string, args []any) {
	t.Helper()
	plan, err := explain(t.Context(), conn, sql, args)
	if err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	for i, step := range plan {
		cond := ""
		if i+1 < len(plan) {
			cond = plan[i+1]
		}
		// An index that is walked from end to end has no condition, or none on its first column.
		walks := strings.Contains(step, "Index") && strings.Contains(step, "Scan") && !strings.Contains(cond, "Index Cond: ") ||
			strings.Contains(step, "timer_token") && !strings.Contains(cond, "token = ")
		if walks || strings.Contains(step, "Seq Scan") || strings.Contains(step, "Hash") || strings.Contains(step, "Merge") || strings.Contains(step, "Bitmap") {
			t.Errorf("%s\n\t%s", sql, strings.Join(plan, "\n\t"))
			return
		}
	}
}

func explain(ctx context.Context, conn *pgx.Conn, sql string, args []any) ([]string, error) {
	rows, err := conn.Query(ctx, "EXPLAIN "+sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
