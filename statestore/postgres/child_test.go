package postgres

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

// child is an owner in a process of its own: it acquires, says so, and commits and renews until it is fenced or its input ends.
// "idle" only renews.
func child(role string) {
	ctx := context.Background()
	lease, err := time.ParseDuration(os.Getenv("STATEGATE_POSTGRES_TEST_LEASE"))
	if err != nil {
		fmt.Println("lease:", err)
		os.Exit(1)
	}
	s, err := Open(ctx, Config{URL: os.Getenv("STATEGATE_POSTGRES_TEST_URL"), Lease: lease, Log: slog.New(slog.DiscardHandler)})
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
			err = s.Commit(ctx, &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: n, States: []statestore.AddressState{state("x", []byte(fmt.Sprint(n)))}})
		}
		if errors.Is(err, statestore.ErrFenced) {
			fmt.Println("fenced")
			return
		}
		if errors.Is(err, statestore.ErrDoubt) {
			if last, err := s.LastCommit(ctx, c.Fence); errors.Is(err, statestore.ErrFenced) {
				fmt.Println("fenced")
				return
			} else if err == nil {
				n = last
			}
		} else if err != nil {
			fmt.Println("commit:", err)
			n--
		}
		select {
		case <-stop:
			if err := s.Release(ctx, c.Fence); err != nil {
				fmt.Println("release:", err)
			}
			fmt.Println("released")
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// process is a running child.
type process struct {
	*exec.Cmd
	stdin io.WriteCloser
	lines chan string
}

func startChild(t *testing.T, role, url string, lease time.Duration) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), lines: make(chan string, 100)}
	p.Env = append(os.Environ(), "STATEGATE_POSTGRES_TEST_CHILD="+role, "STATEGATE_POSTGRES_TEST_URL="+url, "STATEGATE_POSTGRES_TEST_LEASE="+lease.String())
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
			p.lines <- in.Text()
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
			t.Logf("child: %s", line)
		case <-limit:
			t.Fatalf("child did not say %q", want)
		}
	}
}
