//go:build unix

package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stategate/stategate/internal/testserver"
)

// blow is one kind of thing that happens while events flow. When it is over everything runs again, or is on its way to.
type blow struct {
	name   string
	kills  int // gateways that it kills
	weight int // how often it is drawn
	strike func(a *arena, r *rand.Rand)
}

// newRand draws what a seed gives.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1000)) }

func between(r *rand.Rand, min, max time.Duration) time.Duration {
	return min + time.Duration(r.Int64N(int64(max-min)))
}

// common are blows for every store.
var common = []blow{
	{"active: kill -9", 1, 30, func(a *arena, _ *rand.Rand) { a.killActive() }},
	{"standby: kill -9", 1, 3, func(a *arena, _ *rand.Rand) { a.killStandby() }},
	{"both: kill -9", 2, 4, func(a *arena, _ *rand.Rand) { a.killBoth() }},
	{"active: kill -9, and its successor as soon as it is active", 2, 3, func(a *arena, _ *rand.Rand) { a.killSuccessor() }},
	{"active: kill -9, and cut ways of its successor", 1, 3, func(a *arena, r *rand.Rand) {
		a.killAndCut(2+r.IntN(5), between(r, 20*time.Millisecond, 300*time.Millisecond))
	}},
	{"active: SIGTERM", 0, 8, func(a *arena, _ *rand.Rand) { a.stopActive() }},
	{"active: SIGSTOP for less than the lease", 0, 2, func(a *arena, r *rand.Rand) { a.nap(between(r, lease/10, lease/2)) }},
	{"functions: kill -9", 0, 2, func(a *arena, _ *rand.Rand) { a.functions.Kill(); a.functions.Start() }},
	{"functions: hang", 0, 2, func(a *arena, r *rand.Rand) { a.hangFunctions(between(r, time.Second/2, 3*time.Second)) }},
	{"functions: kill -9, and the active while they are away", 1, 2, func(a *arena, _ *rand.Rand) {
		a.functions.Kill()
		a.crashActive()
		a.functions.Start()
	}},
	{"broker: SIGTERM", 0, 1, func(a *arena, _ *rand.Rand) { a.restartBroker(false, nil) }},
	{"broker: kill -9", 0, 2, func(a *arena, _ *rand.Rand) { a.restartBroker(true, nil) }},
	{"broker: kill -9, and the active while it is away", 1, 1, func(a *arena, _ *rand.Rand) { a.restartBroker(true, a.crashActive) }},
	{"way to Kafka: cut", 0, 2, func(a *arena, r *rand.Rand) { a.cut("Kafka", a.active.kafka, 1+r.IntN(4)) }},
	{"way to Kafka: answers lost, cut", 0, 2, func(a *arena, r *rand.Rand) {
		a.loseAnswers("Kafka", a.active.kafka, between(r, 20*time.Millisecond, 300*time.Millisecond))
	}},
	{"way to Kafka: stalled", 0, 2, func(a *arena, r *rand.Rand) {
		a.slow("Kafka", a.active.kafka, testserver.Road{Stalled: true}, between(r, time.Second/2, 3*time.Second))
	}},
	{"way to Kafka: slow", 0, 1, func(a *arena, r *rand.Rand) {
		a.slow("Kafka", a.active.kafka, testserver.Road{Delay: between(r, 10*time.Millisecond, 100*time.Millisecond), BytesPerSecond: 1 << 20}, 2*time.Second)
	}},
	{"way to Kafka: slow, and kill -9 of the active", 1, 3, func(a *arena, r *rand.Rand) {
		a.slowAndKill("Kafka", a.active.kafka, testserver.Road{Delay: between(r, 5*time.Millisecond, 60*time.Millisecond)})
	}},
}

// onPostgres are those for a server that two gateways share.
var onPostgres = []blow{
	{"active: SIGSTOP until another has taken over, SIGCONT", 0, 6, func(a *arena, _ *rand.Rand) { a.freezeActive(false) }},
	{"active: SIGSTOP until another has taken over, SIGCONT, kill -9 of the other", 1, 4, func(a *arena, _ *rand.Rand) { a.freezeActive(true) }},
	{"postgres: SIGINT", 0, 2, func(a *arena, _ *rand.Rand) { a.restartPostgres(false, nil) }},
	{"postgres: SIGQUIT", 0, 2, func(a *arena, _ *rand.Rand) { a.restartPostgres(true, nil) }},
	{"postgres: SIGQUIT, and the active while it is away", 1, 1, func(a *arena, _ *rand.Rand) { a.restartPostgres(true, a.crashActive) }},
	{"postgres: backend ended in COMMIT, before it took place", 0, 3, func(a *arena, _ *rand.Rand) { a.endCommit(false) }},
	{"postgres: backend ended in COMMIT, after it took place", 0, 3, func(a *arena, _ *rand.Rand) { a.endCommit(true) }},
	{"way to PostgreSQL: cut", 0, 2, func(a *arena, r *rand.Rand) { a.cut("PostgreSQL", a.active.store, 1+r.IntN(4)) }},
	{"way to PostgreSQL: answers lost, cut", 0, 3, func(a *arena, r *rand.Rand) {
		a.loseAnswers("PostgreSQL", a.active.store, between(r, 20*time.Millisecond, 300*time.Millisecond))
	}},
	{"way to PostgreSQL: answers lost, kill -9 of the active", 1, 3, func(a *arena, r *rand.Rand) {
		a.loseAnswersAndKill(between(r, 20*time.Millisecond, 200*time.Millisecond))
	}},
	{"way to PostgreSQL: stalled for less than the lease", 0, 1, func(a *arena, r *rand.Rand) {
		a.slow("PostgreSQL", a.active.store, testserver.Road{Stalled: true}, between(r, lease/10, lease/2))
	}},
	{"way to PostgreSQL: stalled until another has taken over", 0, 3, func(a *arena, _ *rand.Rand) { a.isolate() }},
	{"way to PostgreSQL: slow", 0, 1, func(a *arena, r *rand.Rand) {
		a.slow("PostgreSQL", a.active.store, testserver.Road{Delay: between(r, 5*time.Millisecond, 60*time.Millisecond), BytesPerSecond: 1 << 20}, 2*time.Second)
	}},
	{"way to PostgreSQL: slow, and kill -9 of the active", 1, 3, func(a *arena, r *rand.Rand) {
		a.slowAndKill("PostgreSQL", a.active.store, testserver.Road{Delay: between(r, 5*time.Millisecond, 40*time.Millisecond)})
	}},
}

// step is a blow that is to come.
type step struct {
	blow
	seed   uint64 // of what the blow draws
	locked bool   // what gateways that start from now on are told of the advisory lock
}

// modeSteps is after how many steps it is drawn anew whether gateways use the advisory lock.
const modeSteps = 12

// manyKills are those of a long run: each kind of blow is in its plan, and a transaction is hit for certain.
const manyKills = 50

// planOf draws steps with so many kills at least. must are taken before any is drawn, in a long run one of each; all are shuffled.
func planOf(r *rand.Rand, must, from []blow, kills int) (steps []step) {
	if kills >= manyKills {
		must = from
	}
	sum, total := 0, 0
	for _, b := range from {
		total += b.weight
	}
	add := func(b blow) {
		steps = append(steps, step{blow: b, seed: r.Uint64()})
		sum += b.kills
	}
	for _, b := range must {
		add(b)
	}
	for sum < kills {
		n := r.IntN(total)
		for _, b := range from {
			if n -= b.weight; n < 0 {
				add(b)
				break
			}
		}
	}
	r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	locked := true
	for i := range steps {
		if i%modeSteps == modeSteps/2 {
			locked = r.IntN(5) < 3
		}
		steps[i].locked = locked
	}
	return steps
}

// named picks blows by their names.
func named(from []blow, names ...string) (out []blow) {
	for _, name := range names {
		found := false
		for _, b := range from {
			if b.name == name {
				out, found = append(out, b), true
			}
		}
		if !found {
			panic(fmt.Sprintf("there is no blow %q", name))
		}
	}
	return out
}
