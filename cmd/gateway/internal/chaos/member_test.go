//go:build unix

package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// lease of the gateways: how late a successor notices an owner that cannot say that it is gone.
const lease = 2 * time.Second

// member is one of the two gateways, with its own ways to Kafka and to the store.
type member struct {
	*testgateway.Gateway
	kafka   *testserver.Proxy
	store   *testserver.Proxy // nil on SQLite
	locked  bool              // its last life was told to use the advisory lock
	up      bool              // it was started, and nobody has asked it to end
	started time.Time         // its last life
	doubts  float64           // commits of this life whose answer was lost
}

// arena is one run: the world, two gateways, and what has happened to them.
type arena struct {
	*world
	postgres        *testserver.PostgresServer // nil on SQLite
	disk            string                     // of the store, where it is a small one
	members         []*member
	active, standby *member
	locked          bool // what gateways that start now are told of the advisory lock

	kills    int
	took     takeovers
	struck   map[string]int // blows by kind
	doubts   float64
	ended    int // backends that were ended in COMMIT
	moves    int // changes of owner that were seen
	restarts int // starts again of a gateway that could not open its store
	far      progress
}

func newArena(w *world) *arena {
	return &arena{world: w, locked: true, took: takeovers{}, struck: map[string]int{}}
}

// newMember makes one that is not started. store is its URL.
func (a *arena) newMember(number int, store string) *member {
	a.t.Helper()
	m := &member{kafka: a.kafka.Proxy(number)}
	env := []string{"BROKER=" + m.kafka.Addr(), "PREFIX=" + a.prefix, "FUNCTIONS=" + a.functions.URL()}
	m.Gateway = testgateway.New(a.t, a.folder, fmt.Sprintf("gateway-%d", number+1), env, "--module", a.moduleFile(), "--store", store, "--lease", lease.String())
	m.Program = *gatewayFlag
	return m
}

// start begins a life.
func (a *arena) start(m *member) {
	a.t.Helper()
	m.Args = without(m.Args, noLock)
	if m.locked = a.locked; !m.locked {
		m.Args = append(m.Args, noLock)
	}
	m.doubts = 0
	m.Start()
	m.up, m.started = true, time.Now()
	a.tell("%s starts as process %d, lock %v", m.Name, m.Process.PID(), m.locked)
}

const noLock = "--no-advisory-lock"

func without(args []string, arg string) (out []string) {
	for _, x := range args {
		if x != arg {
			out = append(out, x)
		}
	}
	return out
}

// by is how a successor learns of the end of the active gateway.
func (a *arena) by() string {
	switch {
	case a.postgres == nil:
		return "file lock"
	case a.active.locked && a.standby.locked:
		return "advisory lock"
	case !a.active.locked && !a.standby.locked:
		return "lease alone"
	}
	return "lock in one of the two"
}

// calm waits until one gateway works and the other one waits, and outputs come out: so many that the next blow falls at a moment
// that is drawn.
func (a *arena) calm(r *rand.Rand) {
	a.t.Helper()
	testgateway.Poll(a.t, "an active gateway and a standby", func() (bool, string) {
		a.check()
		var roles [2]testgateway.Readiness
		for i, m := range []*member{a.active, a.standby} {
			var err error
			if roles[i], err = m.Readiness(); err != nil {
				return false, err.Error()
			}
			if roles[i].Says(testgateway.StandsStill) {
				a.t.Fatalf("%s: %s %s: %v", violation, m.Name, testgateway.StandsStill, roles[i])
			}
		}
		if testgateway.IsStandby(roles[0]) && testgateway.IsActive(roles[1]) {
			a.active, a.standby = a.standby, a.active
			a.moves++
			return true, ""
		}
		return testgateway.IsActive(roles[0]) && testgateway.IsStandby(roles[1]), roles[0].String() + "; " + roles[1].String()
	})
	a.out.untilCount(a.out.count() + 5 + r.IntN(120))
	a.look()
}

// look keeps count of what only the gateways can tell.
func (a *arena) look() {
	doubts := a.active.Samples().Sum("stategate_commit_duration_seconds_count", map[string]string{"result": "doubt"})
	a.doubts += max(0, doubts-a.active.doubts)
	a.active.doubts = max(a.active.doubts, doubts)
}

// startMax is how long a gateway may try to open its store; it ends when it cannot.
const startMax = 15 * time.Second

// supervised starts a gateway again that could not open its store in the midst of a blow, as whoever runs gateways in production does.
func (a *arena) supervised(m *member) bool {
	if m.Process.Runs() || time.Since(m.started) > startMax || !strings.Contains(testgateway.Last(m.Log), "gateway: open store: ") {
		return false
	}
	a.restarts++
	a.tell("%s could not open its store: %s", m.Name, testgateway.Last(m.Log))
	a.start(m)
	return true
}

// check fails the test as soon as an output is wrong, or a gateway has ended that nobody has asked to.
func (a *arena) check() {
	a.t.Helper()
	for _, m := range a.members {
		if m.up && !a.supervised(m) {
			m.MustRun()
		}
	}
	if wrong := a.out.complaints(); len(wrong) > 0 {
		a.t.Fatalf("%s: %s", violation, strings.Join(wrong, "\n  "))
	}
	if _, _, err := a.ledger.counts(); err != nil {
		a.t.Fatalf("produce: %v", err)
	}
}

// pass lets a time go by that belongs to a blow.
func (a *arena) pass(d time.Duration) {
	a.t.Helper()
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
	case <-a.t.Context().Done():
		a.t.Fatal(a.t.Context().Err())
	}
	a.check()
}

// succeeded notes how long it took from the blow to the first output that only the successor can have made: after is a time at
// which the former owner made nothing any more.
func (a *arena) succeeded(kind string, blow, after time.Time) {
	a.t.Helper()
	took := a.out.untilMadeAfter(after).Sub(blow)
	a.took.add(kind, took)
	a.tell("takeover: %s: %d ms", kind, took.Milliseconds())
	a.active, a.standby = a.standby, a.active
	a.moves++
}
