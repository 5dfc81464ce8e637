//go:build unix

package killtest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// slack is by what a bound of time may be exceeded on a machine that has other things to do.
const slack = 3

// pair is two gateways on one store, records that flow, and what comes out.
type pair struct {
	*world
	active, standby *testgateway.Gateway
	producer        *producer
	reader          *reader
	marks           int
}

// newPair starts both; the second one waits.
func newPair(t *testing.T, store string, args ...string) *pair {
	t.Helper()
	w := newWorld(t, testserver.Kafka(t).Addr())
	if store == "" {
		_, store = w.sqlite()
	} else {
		store = w.postgres(store)
	}
	p := &pair{
		world: w, active: w.newGateway("first", store, args...), standby: w.newGateway("second", store, args...),
		producer: newProducer(t, w.broker, w.topic("events"), "x", 300, keys(w.seed, "key-", 50)), reader: newReader(t, w.broker, w.topic("counts")),
	}
	p.active.Open()
	p.standby.Start()
	p.standby.Until("a standby", testgateway.IsStandby)
	p.flow()
	return p
}

// flow lets records flow until finish, and returns when the active gateway is in the midst of them.
func (p *pair) flow() {
	p.t.Helper()
	p.producer.allow(1_000_000)
	p.reader.untilCount(100)
}

// takeover measures from now until a record that is sent now has come out.
func (p *pair) takeover() time.Duration {
	p.t.Helper()
	began := time.Now()
	p.marks++
	mark := fmt.Sprintf("mark-%d", p.marks)
	p.producer.one(p.t, mark)
	p.reader.untilKey(mark, 1)
	took := time.Since(began)
	p.active, p.standby = p.standby, p.active
	p.active.Until("active", testgateway.IsActive)
	return took
}

// within judges a takeover.
func (p *pair) within(what string, took, bound time.Duration) {
	p.t.Helper()
	p.t.Logf("%s: the first output of the other gateway was visible after %v; it should be within %v", what, took.Round(time.Millisecond), bound)
	if took > slack*bound {
		p.t.Errorf("%s: took %v, want at most %v (%d times what it should be)", what, took, slack*bound, slack)
	}
}

// finish judges all that came out.
func (p *pair) finish() {
	p.t.Helper()
	want := p.producer.halt(p.t)
	sum := 0
	for _, n := range want {
		sum += n
	}
	p.reader.untilCount(sum)
	p.active.Stop()
	if p.standby.Process.Runs() {
		p.standby.Stop()
	}
	p.verify(p.topic("counts"), want)
}

func TestStandby(t *testing.T) {
	t.Run("kill", func(t *testing.T) {
		p := newPair(t, testserver.Postgres(t).URL())
		p.consumesNothing()
		p.active.Kill()
		p.within("kill -9", p.takeover(), time.Second)
		p.standby.Start()
		p.standby.Until("a standby", testgateway.IsStandby)
		p.active.Kill()
		p.within("kill -9 again", p.takeover(), time.Second)
		p.finish()
	})
	t.Run("no-hint", func(t *testing.T) {
		const lease = 2 * time.Second
		p := newPair(t, testserver.Postgres(t).URL(), "--no-advisory-lock", "--lease", lease.String())
		p.active.Kill()
		p.within("kill -9 without the lock", p.takeover(), lease+time.Second)
		p.finish()
	})
	t.Run("stop", func(t *testing.T) {
		p := newPair(t, testserver.Postgres(t).URL(), "--lease", "20s")
		ended := make(chan error, 1)
		go func(g *testgateway.Process) { ended <- g.Stop() }(p.active.Process)
		p.within("SIGTERM", p.takeover(), time.Second)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		p.finish()
	})
	t.Run("asleep", testAsleep)
	t.Run("sqlite", testFileLock)
}

// consumesNothing: a standby answers its operator and touches neither ingress nor functions.
func (p *pair) consumesNothing() {
	p.t.Helper()
	if n := p.active.Samples().Sum("stategate_ingress_records_total", nil); n == 0 {
		p.t.Error("the active gateway says that it has read no record: the metric proves nothing")
	}
	all := p.standby.Samples()
	if len(all) == 0 {
		p.t.Error("the standby has no /metrics")
	}
	for _, name := range []string{"stategate_ingress_records_total", "stategate_calls_total", "stategate_deliveries_total", "stategate_commit_duration_seconds_count"} {
		if n := all.Sum(name, nil); n != 0 {
			p.t.Errorf("standby: %s is %v, want 0", name, n)
		}
	}
}

// testAsleep freezes the owner in the midst of its work. When it wakes it has a commit and outputs on its way, and may do neither.
func testAsleep(t *testing.T) {
	const lease = 2 * time.Second
	p := newPair(t, testserver.Postgres(t).URL(), "--lease", lease.String())
	for range 2 {
		p.active.Signal(syscall.SIGSTOP)
		p.within("SIGSTOP", p.takeover(), lease+time.Second)
		p.standby.Signal(syscall.SIGCONT)
		p.standby.Until("a standby", testgateway.IsStandby)
		p.reader.untilCount(p.reader.count() + 100) // the new owner is not disturbed
		p.active.Until("active still", testgateway.IsActive)
	}
	if pid := p.standby.Process.PID(); p.standby.Lives != 1 {
		t.Errorf("the first one was started %d times, want it to live on as process %d", p.standby.Lives, pid)
	}
	p.finish()
}

// fileLease is short: on a file it must not matter.
const fileLease = time.Second

// testFileLock: on one file the second gateway waits for the lock of the first one's process.
func testFileLock(t *testing.T) {
	p := newPair(t, "", "--lease", fileLease.String())
	holder := fmt.Sprintf("pid=%d", p.active.Process.PID())
	if len(p.standby.Logged(holder)) == 0 {
		t.Errorf("the log of the second gateway does not name the first one's process (%s):\n%s", holder, testgateway.Tail(p.standby.Log, 2<<10))
	}
	p.consumesNothing()
	p.keepsItsLock()
	p.active.Kill()
	p.within("kill -9", p.takeover(), time.Second)
	p.finish()
}

// keepsItsLock: an owner of a file that only sleeps stays the owner, however long; what has gathered meanwhile it does when it wakes.
func (p *pair) keepsItsLock() {
	p.t.Helper()
	p.active.Signal(syscall.SIGSTOP)
	acked := p.producer.acked.Load()
	began := time.Now()
	testgateway.Poll(p.t, "twice the lease to go by", func() (bool, string) {
		r, err := p.standby.Readiness()
		if err != nil || r.Role != "standby" {
			p.t.Fatalf("the second gateway, while the first one sleeps: %v, %v; want a standby", r, err)
		}
		return time.Since(began) > 2*fileLease, time.Since(began).String()
	})
	visible := p.reader.settle()
	p.active.Signal(syscall.SIGCONT)
	p.reader.untilCount(int(acked))
	if p.reader.count() <= visible {
		p.t.Errorf("nothing came out after the owner woke: %d outputs", visible)
	}
	p.active.Until("active still", testgateway.IsActive)
}
