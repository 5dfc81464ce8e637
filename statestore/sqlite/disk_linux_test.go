package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stategate/stategate/statestore"
)

// smallDisk is a folder on a disk of its own with room for size bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: a disk of its own needs root")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		t.Skipf("NOT TESTED: mount is not permitted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill takes all the room that is left.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return path
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, 8<<20)
	s := open(t, Config{Path: filepath.Join(dir, "store.db")})
	c := acquire(t, s, newMember(), "shop/out")
	commit := func(n uint64, size int) error {
		return s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: n + 1, States: []statestore.AddressState{
			state("a", fmt.Append(nil, n)), state("big", bytes.Repeat([]byte{byte(n)}, size)), state("b", fmt.Append(nil, n)),
		}})
	}
	expect := func(n uint64, size int) {
		t.Helper()
		for _, id := range []string{"a", "b"} {
			if got := string(loaded(t, s, id).Values[0].Value); got != fmt.Sprint(n) {
				t.Errorf("%s is %s, want %d", id, got, n)
			}
		}
		if got := loaded(t, s, "big").Values[0].Value; !bytes.Equal(got, bytes.Repeat([]byte{byte(n)}, size)) {
			t.Errorf("the large value is not that of commit %d", n)
		}
		if last, err := s.LastCommit(t.Context(), c.Fence); err == nil && last != n {
			t.Errorf("last commit %d, want %d", last, n)
		}
	}
	if err := commit(1, 500_000); err != nil {
		t.Fatal(err)
	}
	ballast := fill(t, dir)
	full := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, statestore.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full, make room") || !strings.Contains(err.Error(), s.cfg.Path) {
			t.Fatalf("%s on a full disk: %v, want ErrUnavailable with the file and what to do", what, err)
		}
	}
	full("large commit", commit(2, 3<<20))
	expect(1, 500_000)
	last, size := uint64(1), 500_000
	for { // small ones find room in the log, until it ends
		if err := commit(last+1, 20_000); err != nil {
			full("small commit", err)
			break
		}
		if last, size = last+1, 20_000; last > 10_000 {
			t.Fatal("the disk is never full")
		}
	}
	expect(last, size)
	full("large commit", commit(last+1, 3<<20))
	expect(last, size)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := commit(last+1, 1<<20); err != nil {
		t.Fatalf("the same commit with room again: %v", err)
	}
	expect(last+1, 1<<20)
}

// The disk refuses to write at one byte after the other of a commit's way into the log. Whatever the answer, LastCommit says
// whether the commit took place, and the store holds what it says.
func TestBrokenWrites(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var free syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	defer limit(free)
	s := open(t, Config{Path: fresh(t)})
	c := acquire(t, s, newMember())
	outcomes := map[string]int{}
	last := uint64(0)
	for step := range 60 {
		info, err := os.Stat(s.cfg.Path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		n := last + 1
		cut := &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: n, States: []statestore.AddressState{
			state("a", fmt.Append(nil, step)), state("large", bytes.Repeat([]byte{byte(step)}, 20_000)), state("b", fmt.Append(nil, step)),
		}}
		limit(syscall.Rlimit{Cur: uint64(info.Size() + int64(step)*1111), Max: free.Max})
		err = s.Commit(t.Context(), cut)
		if err != nil {
			if _, err := s.LastCommit(t.Context(), c.Fence); err != nil && !errors.Is(err, statestore.ErrUnavailable) {
				t.Fatalf("step %d: last commit while the disk refuses: %v, want ErrUnavailable", step, err)
			}
		}
		limit(free)
		switch {
		case err == nil:
			outcomes["done"]++
		case errors.Is(err, statestore.ErrDoubt):
			outcomes["doubt"]++
		case errors.Is(err, statestore.ErrUnavailable):
			outcomes["unavailable"]++
		default:
			t.Fatalf("step %d: %v", step, err)
		}
		got, lastErr := s.LastCommit(t.Context(), c.Fence)
		if lastErr != nil || got != n && got != last || err == nil && got != n || errors.Is(err, statestore.ErrUnavailable) && got != last {
			t.Fatalf("step %d ended with %v: last commit %d, %v; %d was tried", step, err, got, lastErr, n)
		}
		if last = got; got != n {
			if err := s.Commit(t.Context(), cut); err != nil {
				t.Fatalf("step %d once more: %v", step, err)
			}
			last = n
		}
		for _, id := range []string{"a", "b"} {
			if got := string(loaded(t, s, id).Values[0].Value); got != fmt.Sprint(step) {
				t.Fatalf("step %d: %s is %s", step, id, got)
			}
		}
		if got := loaded(t, s, "large").Values[0].Value; !bytes.Equal(got, bytes.Repeat([]byte{byte(step)}, 20_000)) {
			t.Fatalf("step %d: the large value is another commit's", step)
		}
	}
	t.Logf("outcomes: %v", outcomes)
	if outcomes["done"] == 0 || outcomes["doubt"] == 0 {
		t.Errorf("outcomes %v: want some of each", outcomes)
	}
}

// A new store on a full disk says so, and works there when there is room.
func TestOpenOnFullDisk(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	ballast := fill(t, dir)
	path := filepath.Join(dir, "store.db")
	if s, err := Open(t.Context(), Config{Path: path, Log: quiet()}); err == nil || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), path) {
		t.Errorf("open on a full disk: %v, %v; want the file and what to do", s, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	acquire(t, open(t, Config{Path: path}), newMember())
}

// A folder or a file that cannot be written is refused at the start, not at the first commit.
func TestReadOnlyPlacesAreRefused(t *testing.T) {
	check := func(path string, want ...string) {
		t.Helper()
		s, err := Open(t.Context(), Config{Path: path, Log: quiet()})
		if err == nil {
			_ = s.Close()
			t.Fatalf("%s: opened", path)
		}
		for _, w := range append(want, path) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("got %v, want %q", err, w)
			}
		}
	}
	if os.Getuid() != 0 { // nothing is read-only for root, except a disk
		dir := t.TempDir()
		file := filepath.Join(dir, "store.db")
		if err := errors.Join(open(t, Config{Path: file}).Close(), os.Chmod(file, 0o444)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
		check(file, "cannot be written", "change its mode")
		if err := errors.Join(os.Chmod(file, 0o644), os.Remove(file+".lock"), os.Chmod(dir, 0o555)); err != nil {
			t.Fatal(err)
		}
		check(filepath.Join(dir, "new.db"), "folder must be writable")
		check(file, "folder must be writable")
		return
	}
	dir := smallDisk(t, 4<<20)
	file := filepath.Join(dir, "store.db")
	if err := open(t, Config{Path: file}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("NOT TESTED: remount is not permitted here: %v", err)
	}
	check(file, "cannot be written", "read-only file system")
	check(filepath.Join(dir, "new.db"), "read-only file system", "folder must be writable")
}
