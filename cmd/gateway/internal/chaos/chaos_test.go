//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// schema of the store on PostgreSQL.
const schema = "chaos"

// diskBytes is the room of the store on SQLite.
const diskBytes = 128 << 20

// TestChaos strikes and heals, and judges what came out.
func TestChaos(t *testing.T) {
	kafka := testserver.PrivateKafka(t, testserver.KafkaConfig{Proxies: 2})
	t.Run("postgres", func(t *testing.T) {
		postgres := testserver.PrivatePostgres(t, testserver.PostgresConfig{})
		a := newArena(newWorld(t, kafka, "postgres"))
		a.postgres = postgres
		members := make([]*member, 2)
		for n := range members {
			way, err := testserver.NewProxy(postgres.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = way.Close() })
			members[n] = a.newMember(n, strings.Replace(postgres.URL(), postgres.Addr(), way.Addr(), 1)+"&schema="+schema)
			members[n].store = way
		}
		must := append(named(common, "standby: kill -9", "both: kill -9", "active: SIGTERM", "functions: kill -9", "broker: kill -9", "way to Kafka: cut"),
			named(onPostgres, "postgres: SIGQUIT", "postgres: backend ended in COMMIT, before it took place", "postgres: backend ended in COMMIT, after it took place",
				"way to PostgreSQL: answers lost, cut", "active: SIGSTOP until another has taken over, SIGCONT")...)
		a.run(members, must, slices.Concat(common, onPostgres), *killsFlag)
	})
	t.Run("sqlite", func(t *testing.T) {
		a := newArena(newWorld(t, kafka, "sqlite"))
		folder := a.folder
		if a.disk = smallDisk(t, diskBytes); a.disk != "" {
			folder = a.disk
		}
		url := "sqlite:" + filepath.Join(folder, "stategate.db")
		must, from := named(common, "active: SIGTERM"), common
		if a.disk != "" {
			must, from = append(must, onDisk...), slices.Concat(common, onDisk)
		}
		a.run([]*member{a.newMember(0, url), a.newMember(1, url)}, must, from, max(3, *killsFlag/10))
	})
}

// run is all of one arena.
func (a *arena) run(members []*member, must, from []blow, kills int) {
	t := a.t
	r := newRand(a.seed)
	steps := planOf(r, must, from, kills)
	a.members, a.active, a.standby = members, members[0], members[1]
	a.start(a.active)
	a.active.Until("active", testgateway.IsActive)
	a.start(a.standby)
	if a.postgres != nil {
		s, err := a.postgres.Session()
		a.must(err)
		for _, sql := range strings.SplitAfter(fmt.Sprintf(brakeSQL, schema), ";\n") {
			_, err := s.Query(sql)
			a.must(err)
		}
		a.must(s.Close())
	}
	began := time.Now()
	a.flow()
	a.out.look = a.check
	stop := a.report(len(steps))
	defer stop()
	for n, s := range steps {
		draw := newRand(s.seed)
		a.calm(draw)
		a.locked = s.locked
		a.tell("blow %d of %d: %s", n+1, len(steps), s.name)
		a.progress(func(p *progress) { p.blows, p.now, p.kills = n, s.name, a.kills })
		s.strike(a, draw)
		a.struck[s.name]++
	}
	a.calm(r)
	stop()
	a.judge()
	called, _, _ := a.ledger.counts()
	t.Logf("seed %d: %d kills in %d blows, %d changes of owner, %d events, %d outputs, %.0f commits in doubt, %d backends ended in COMMIT, %d starts without a store; %v",
		a.seed, a.kills, len(steps), a.moves, called, a.out.count(), a.doubts, a.ended, a.restarts, time.Since(began).Round(time.Second))
	t.Logf("takeovers, to the first output of the successor:%v", a.took)
	var blows strings.Builder
	for _, name := range slices.Sorted(maps.Keys(a.struck)) {
		fmt.Fprintf(&blows, "\n  %4d  %s", a.struck[name], name)
	}
	t.Logf("blows:%s", blows.String())
	if a.kills < kills {
		t.Errorf("got %d kills, want %d", a.kills, kills)
	}
}
