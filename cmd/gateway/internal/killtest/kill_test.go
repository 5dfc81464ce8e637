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

// killsMax ends a run that has killed enough and seen too little.
const killsMax = 30

// TestKill kills everything in turn while records are counted, and wants every key's counts exactly once and in order.
func TestKill(t *testing.T) {
	for _, store := range []string{"postgres", "sqlite"} {
		t.Run(store, func(t *testing.T) {
			kafka := testserver.PrivateKafka(t, testserver.KafkaConfig{})
			w := newWorld(t, kafka.Addr())
			k := &killing{flight: flight{world: w}, kafka: kafka}
			if store == "postgres" {
				k.postgres = testserver.PrivatePostgres(t, testserver.PostgresConfig{})
				k.store = k.postgres.URL()
			} else {
				_, k.store = w.sqlite()
			}
			k.run()
		})
	}
}

// killing is one run of TestKill.
type killing struct {
	flight
	kafka    *testserver.KafkaServer
	postgres *testserver.PostgresServer // nil on SQLite
	store    string

	gateway  *testgateway.Gateway
	gateways int     // so many have had a name
	slice    int     // records that go out for each blow
	skipped  float64 // outputs that recoveries have left out, over all lives
}

// blow is one thing that happens while records flow.
type blow struct {
	what   string
	strike func()
}

// plan is everything that must happen, in an order that the seed draws.
func (k *killing) plan() []blow {
	all := []blow{
		{"broker: SIGTERM", func() { k.restartKafka(syscall.SIGTERM) }},
		{"broker: kill -9", func() { k.restartKafka(syscall.SIGKILL) }},
		{"functions: kill -9", k.restartFunctions},
		{"functions: kill -9, and the gateway while they are away", func() {
			k.functions.Kill()
			k.killGateway(k.functions.Start)
		}},
	}
	if k.postgres != nil {
		all = append(all,
			blow{"postgres: SIGINT", func() { k.restartPostgres(syscall.SIGINT) }},
			blow{"postgres: SIGQUIT, and the gateway while it is away", func() {
				k.mend(k.postgres.Stop(syscall.SIGQUIT))
				k.killGateway(func() { k.mend(k.postgres.Start()) })
			}},
		)
		for range *freezesFlag {
			all = append(all, blow{"gateway: SIGSTOP, another takes over, SIGCONT, kill -9 of the other", k.freezeGateway})
		}
	}
	for range *killsFlag {
		all = append(all, k.another())
	}
	k.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (k *killing) another() blow {
	return blow{"gateway: kill -9", func() { k.killGateway(func() {}) }}
}

func (k *killing) run() {
	t := k.t
	plan := k.plan()
	k.slice = max(*recordsFlag/(len(plan)+1), 100)
	k.producers = []*producer{newProducer(t, k.broker, k.topic("events"), "x", 800, keys(k.seed, "key-", 1000))}
	k.out = newReader(t, k.broker, k.topic("counts"))
	began := time.Now()
	k.successor()
	for n := 0; ; n++ {
		b := k.another()
		switch {
		case n < len(plan):
			b = plan[n]
		case time.Since(began) < *durationFlag:
			plan, n = k.plan(), 0
			b = plan[0]
		case k.seenEnough() || k.kills >= max(*killsFlag, killsMax):
			k.finish(began)
			return
		}
		k.moment(b.what, k.gateway, k.slice)
		b.strike()
		k.sound(b.what)
	}
}

// successor starts a gateway of a new name.
func (k *killing) successor() {
	k.t.Helper()
	k.gateways++
	k.gateway = k.newGateway(fmt.Sprintf("gateway-%d", k.gateways), k.store, "--lease", "2s")
	k.start(k.gateway)
}

// killGateway kills it and starts it again; meanwhile mends what else is broken.
func (k *killing) killGateway(meanwhile func()) {
	k.t.Helper()
	last := k.gateway.Samples()
	k.skipped += last.Skipped()
	k.kill(k.gateway, last)
	meanwhile()
	k.start(k.gateway)
}

func (k *killing) restartKafka(sig syscall.Signal) {
	k.t.Helper()
	k.mend(k.kafka.Stop(sig))
	k.mend(k.kafka.Start())
}

func (k *killing) restartPostgres(sig syscall.Signal) {
	k.t.Helper()
	k.mend(k.postgres.Stop(sig))
	k.mend(k.postgres.Start())
}

func (k *killing) restartFunctions() {
	k.t.Helper()
	k.functions.Kill()
	k.functions.Start()
}

// freezeGateway stops the owner in the midst of its work. Another takes over and is frozen in its turn, so that it cannot put right
// what the first might do when it wakes: it has commits and outputs on its way, and may make none of them. Then the other is killed.
func (k *killing) freezeGateway() {
	k.t.Helper()
	k.jam()
	asleep := k.gateway
	asleep.Signal(syscall.SIGSTOP)
	k.successor()
	k.moment("SIGSTOP of the other, SIGCONT", k.gateway, k.slice)
	other, last := k.gateway, k.gateway.Samples()
	k.skipped += last.Skipped()
	other.Signal(syscall.SIGSTOP)
	asleep.Signal(syscall.SIGCONT)
	asleep.Until("a standby", testgateway.IsStandby)
	k.kill(other, last)
	k.gateway, k.base, k.committed = asleep, k.out.count(), asleep.Samples().Commits()
}

// jam brings the gateway to the top of its speed: records have gathered while its functions slept, and now it works on them.
func (k *killing) jam() {
	k.t.Helper()
	const records = 600
	if err := k.functions.Process.Signal(syscall.SIGSTOP); err != nil {
		k.t.Fatal(err)
	}
	k.allow(2 * records)
	testgateway.Poll(k.t, "records to gather", func() (bool, string) {
		waiting := k.acked() - k.out.count()
		return waiting >= records, fmt.Sprintf("%d of %d", waiting, records)
	})
	before := k.out.settle()
	if err := k.functions.Process.Signal(syscall.SIGCONT); err != nil {
		k.t.Fatal(err)
	}
	k.out.untilCount(before + 1)
}

func (k *killing) mend(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// recalled counts invocations of the function beyond one for each record that has got through, at least.
func (k *killing) recalled() int {
	return k.functions.invocations("count") - k.acked()
}

// seenEnough reports whether the run was of the kind that it is for.
func (k *killing) seenEnough() bool {
	return k.kills >= *killsFlag && k.skipped+k.gateway.Samples().Skipped() > 0 && k.recalled() > 0
}

// finish lets everything come out and judges it.
func (k *killing) finish(began time.Time) {
	t := k.t
	k.allow(max(0, *recordsFlag-k.allowed()))
	want, _ := k.flight.finish(t)
	records := k.acked()
	k.skipped += k.gateway.Samples().Skipped()
	k.gateway.Stop()
	k.verify(k.topic("counts"), want)
	recalled := k.recalled()
	t.Logf("seed %d: %d records of %d keys, %d lives of %d gateways, %d kills; recoveries skipped %.0f delivered outputs, %d invocations were made again; %v",
		k.seed, records, len(want), k.lives, k.gateways, k.kills, k.skipped, recalled, time.Since(began).Round(time.Second))
	if k.kills < *killsFlag || records < *recordsFlag {
		t.Errorf("got %d kills and %d records, want at least %d and %d", k.kills, records, *killsFlag, *recordsFlag)
	}
	if k.skipped < 1 {
		t.Error("no recovery has skipped a delivered output: the cursor was never needed")
	}
	if recalled < 1 {
		t.Error("no function was called again: no kill has hit a call")
	}
}
