package postgres

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// A server that takes connections and answers nothing (a frozen machine, a network that swallows packets) does not hold a stop
// up, whether its connections are idle, in use or given up.
func TestCloseIsBoundedWhenTheServerHangs(t *testing.T) {
	srv := private(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh()})
	c := acquire(t, s, newMember())
	if err := s.Commit(t.Context(), one(c.Fence, 1, "x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Renew(t.Context(), c.Fence); err != nil { // an owner's connection
		t.Fatal(err)
	}
	inUse, err := s.readers.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	idle, err := s.readers.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	idle.Release()
	defer inUse.Release()
	// SIGSTOP reaches the postmaster only: each session is a process of its own.
	pids := []int{srv.PID()}
	rows, err := connect(t, srv).Query(t.Context(), `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if err := rows.Err(); err != nil || len(pids) < 1+5 {
		t.Fatalf("sessions %v, %v: want those of the writer, an owner, the lock and two readers", pids, err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT) // one that has ended needs none
		}
	})

	// The client ends a query that was given up by asking the server, for 15 s.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.readers.Exec(ctx, `SELECT 1`); err == nil {
		t.Fatal("the server answers although it is stopped")
	}
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 2*closeMax {
		t.Errorf("Close took %s, want at most some %s", took, closeMax)
	}
}
