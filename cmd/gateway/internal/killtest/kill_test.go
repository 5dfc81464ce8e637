//go:build unix

package killtest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

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
			k := &killing{world: w, kafka: kafka, lease: []string{"--lease", "2s"}}
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
	*world
	kafka    *testserver.KafkaServer
	postgres *testserver.PostgresServer // nil on SQLite
	store    string
	lease    []string

	gateway  *gateway
	gateways int // so many have had a name
	producer *producer
	reader   *reader

	slice   int // records that go out for each blow
	base    int // outputs that were visible when the gateway was started
	kills   int
	skipped float64 // over all lives
	lives   int
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
			k.functions.kill()
			k.killGateway(k.functions.start)
		}},
	}
	if k.postgres != nil {
		all = append(all,
			blow{"postgres: SIGINT", func() { k.restartPostgres(syscall.SIGINT) }},
			blow{"postgres: SIGQUIT, and the gateway while it is away", func() {
				k.mend(k.postgres.Stop(syscall.SIGQUIT))
				k.killGateway(func() { k.mend(k.postgres.Start()) })
			}},
			blow{"gateway: SIGSTOP, another takes over, SIGCONT", k.freezeGateway},
			blow{"gateway: SIGSTOP, another takes over, SIGCONT", k.freezeGateway},
		)
	}
	for n := 0; n < *killsFlag; n++ {
		all = append(all, k.kill())
	}
	k.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (k *killing) kill() blow {
	return blow{"gateway: kill -9", func() { k.killGateway(func() {}) }}
}

func (k *killing) run() {
	t := k.t
	plan := k.plan()
	k.slice = max(*recordsFlag/(len(plan)+1), 100)
	k.producer = newProducer(t, k.broker, k.topic("events"), "x", 800, keys(k.seed, "key-", 1000))
	k.reader = newReader(t, k.broker, k.topic("counts"))
	began := time.Now()
	k.successor()
	for n := 0; ; n++ {
		b := k.kill()
		switch {
		case n < len(plan):
			b = plan[n]
		case time.Since(began) >= *durationFlag && (k.seenEnough() || k.kills >= killsMax):
			k.finish(began)
			return
		case time.Since(began) < *durationFlag && n%len(plan) == 0:
			plan, n = k.plan(), 0
			b = plan[0]
		}
		k.ready(b.what)
		b.strike()
		if wrong := k.reader.early(); wrong != "" {
			t.Fatalf("after %q, at most (seed %d): %s", b.what, k.seed, wrong)
		}
	}
}

// successor starts a gateway of a new name.
func (k *killing) successor() {
	k.gateways++
	k.gateway = k.newGateway(fmt.Sprintf("gateway-%d", k.gateways), k.store, k.lease...)
	k.start()
}

func (k *killing) start() {
	k.base = k.reader.count()
	k.lives++
	k.gateway.start()
}

// ready lets records out, waits until the gateway has committed and delivered since it was started, and then for a moment that is
// drawn: some part of these records is out, the others follow.
func (k *killing) ready(what string) {
	k.t.Helper()
	from := k.producer.acked.Load()
	k.producer.allow(k.slice)
	after := from + int64(float64(k.slice)*(0.1+0.6*k.rand.Float64()))
	poll(k.t, "a moment for "+what, func() (bool, string) {
		k.gateway.mustRun()
		commits, visible, acked := k.gateway.samples().commits(), k.reader.count(), k.producer.acked.Load()
		if acked >= k.producer.allowed.Load() {
			k.producer.allow(k.slice / 4) // it has waited long for its condition: something must be under way
		}
		return commits > 0 && visible > k.base && acked >= after && acked > int64(visible),
			fmt.Sprintf("%v commits, %d outputs more, %d of %d records", commits, visible-k.base, acked, after)
	})
	k.t.Logf("%6d records, %6d outputs: %s", k.producer.acked.Load(), k.reader.count(), what)
}

// killGateway kills it with records in flight after at least one commit, and starts it again. meanwhile mends what else is broken.
func (k *killing) killGateway(meanwhile func()) {
	k.t.Helper()
	last := k.gateway.samples()
	acked := int(k.producer.acked.Load())
	k.gateway.kill()
	k.kills++
	k.skipped += last.skipped()
	// Nobody delivers now: what is visible is all that got through.
	visible := k.reader.settle()
	if visible >= acked {
		k.t.Fatalf("a kill found nothing in flight: %d records were acknowledged before it and %d outputs are visible", acked, visible)
	}
	if last.commits() < 1 {
		k.t.Fatal("a kill found no commit since the start")
	}
	meanwhile()
	k.start()
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
	k.functions.kill()
	k.functions.start()
}

// freezeGateway stops a gateway in the midst of its work; another takes over, and then the first goes on as though nothing had happened.
func (k *killing) freezeGateway() {
	k.t.Helper()
	asleep, last := k.gateway, k.gateway.samples()
	asleep.signal(syscall.SIGSTOP)
	k.skipped += last.skipped()
	k.successor()
	k.ready("SIGCONT")
	asleep.signal(syscall.SIGCONT)
	asleep.until("a standby", isStandby)
	asleep.kill()
}

func (k *killing) mend(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// recalled counts invocations of the function beyond one for each record that has got through, at least.
func (k *killing) recalled() int {
	return k.functions.invocations("count") - int(k.producer.acked.Load())
}

// seenEnough reports whether the run was of the kind that it is for.
func (k *killing) seenEnough() bool {
	return k.kills >= *killsFlag && k.skipped+k.gateway.samples().skipped() > 0 && k.recalled() > 0
}

// finish lets everything come out and judges it.
func (k *killing) finish(began time.Time) {
	t := k.t
	if rest := *recordsFlag - int(k.producer.allowed.Load()); rest > 0 {
		k.producer.allow(rest)
	}
	want := k.producer.finish(t)
	records := int(k.producer.acked.Load())
	k.reader.untilCount(records)
	k.skipped += k.gateway.samples().skipped()
	k.gateway.stop()
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
