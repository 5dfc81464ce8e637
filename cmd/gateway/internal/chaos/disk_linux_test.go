package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// smallDisk is a folder on a disk of its own with room for size bytes; "" where that cannot be had.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Log("NOT TESTED: a full disk: a disk of its own needs root")
		return ""
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		t.Logf("NOT TESTED: a full disk: mount is not permitted here: %v", err)
		return ""
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// onDisk are blows for a store on a small disk.
var onDisk = []blow{
	{"disk: full", 0, 2, func(a *arena, r *rand.Rand) { a.fillDisk(between(r, time.Second/10, 2*time.Second), nil) }},
	{"disk: full, and kill -9 of the active", 1, 2, func(a *arena, r *rand.Rand) { a.fillDisk(between(r, time.Second/10, time.Second), a.crashActive) }},
}

// fillDisk takes all room that the store's disk has left, until the gateway says that its store is away and so for a while, and
// gives it back. Meanwhile happens while the disk is full.
func (a *arena) fillDisk(d time.Duration, meanwhile func()) {
	a.t.Helper()
	ballast := filepath.Join(a.disk, "ballast")
	asked := 0
	testgateway.Poll(a.t, "the store to be away for want of room", func() (bool, string) {
		a.check()
		a.must(fill(ballast)) // again and again: the store gives room back
		if asked++; asked%weighEvery == 1 {
			a.weigh()
		}
		r, err := a.active.Readiness()
		return err == nil && r.Code == 503, fmt.Sprint(r, err)
	})
	a.tell("the disk is full")
	a.pass(d)
	if meanwhile != nil {
		meanwhile()
		a.pass(d)
	}
	a.check()
	a.must(os.Remove(ballast))
	a.tell("the disk has room again")
}

// The files of the store have room in them for small commits, long after the disk is full. States that grow end that.
const (
	weighEvery    = 50 // looks
	weighAccounts = 10
	weighKiB      = 200 // more each time
)

// weigh has every heavy account keep more than before.
func (a *arena) weigh() {
	c := a.heavy
	kib := weighKiB * (1 + c.draw.drawn/weighAccounts)
	for n := range weighAccounts {
		c.send(topicEvents, fmt.Sprintf("heavy%d", n), event{op: fmt.Sprintf("c%d-%d", c.draw.client, c.draw.drawn), kind: kindWeigh, n: kib, to: "-"})
		c.draw.drawn++
	}
}

// fill takes all the room that is left on a file's disk.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return f.Close()
}
