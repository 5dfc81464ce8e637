package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

// child is an owner in a process of its own: it acquires, says so, and commits until it is fenced or its input ends. "idle" only
// renews.
func child(role string) {
	ctx := context.Background()
	lease, err := time.ParseDuration(os.Getenv("STATEGATE_SQLITE_TEST_LEASE"))
	if err != nil {
		fmt.Println("lease:", err)
		os.Exit(1)
	}
	s, err := Open(ctx, Config{Path: os.Getenv("STATEGATE_SQLITE_TEST_PATH"), Lease: lease, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	c, err := s.Acquire(ctx, newMember(), nil)
	if err != nil {
		fmt.Println("acquire:", err)
		os.Exit(1)
	}
	fmt.Println("owner")
	stop := make(chan struct{})
	go func() { _, _ = io.ReadAll(os.Stdin); close(stop) }()
	for n := c.Commit + 1; ; n++ {
		err := s.Renew(ctx, c.Fence)
		if role == "busy" {
			next := c.NextNumber + n // above those of all lives before
			err = s.Commit(ctx, &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: next, States: []statestore.AddressState{state("x", []byte(fmt.Sprint(next)))}})
			if err == nil {
				fmt.Println("commit", next)
			}
		}
		if errors.Is(err, statestore.ErrFenced) {
			fmt.Println("fenced")
			return
		}
		if err != nil {
			fmt.Println("error:", err)
			n--
		}
		select {
		case <-stop:
			if err := s.Release(ctx, c.Fence); err != nil {
				fmt.Println("release:", err)
			}
			fmt.Println("released")
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// process is a running child.
type process struct {
	*exec.Cmd
	stdin io.WriteCloser
	lines chan string
}

func startChild(t *testing.T, role, path string, lease time.Duration) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), lines: make(chan string, 10_000)}
	p.Env = append(os.Environ(), "STATEGATE_SQLITE_TEST_CHILD="+role, "STATEGATE_SQLITE_TEST_PATH="+path, "STATEGATE_SQLITE_TEST_LEASE="+lease.String())
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			select {
			case p.lines <- in.Text():
			default: // nobody reads: the child must not block
			}
		}
		close(p.lines)
	}()
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// wait reads lines until one begins with want.
func (p *process) wait(t *testing.T, want string) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if strings.HasPrefix(line, want) {
				return
			}
			if !ok {
				t.Fatalf("child ended before it said %q", want)
			}
			if !strings.HasPrefix(line, "commit") {
				t.Logf("child: %s", line)
			}
		case <-limit:
			t.Fatalf("child did not say %q", want)
		}
	}
}
