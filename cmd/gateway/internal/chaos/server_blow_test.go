//go:build unix

package chaos

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

func (a *arena) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// restartBroker stops Kafka or kills it. Meanwhile happens while it is away.
func (a *arena) restartBroker(kill bool, meanwhile func()) {
	a.t.Helper()
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	a.must(a.kafka.Stop(sig))
	a.tell("broker is away")
	if meanwhile != nil {
		meanwhile()
	}
	a.must(a.kafka.Start())
	a.tell("broker is back")
}

// restartPostgres is a fast shutdown or an immediate one.
func (a *arena) restartPostgres(immediate bool, meanwhile func()) {
	a.t.Helper()
	sig := syscall.SIGINT
	if immediate {
		sig = syscall.SIGQUIT
	}
	a.must(a.postgres.Stop(sig))
	a.tell("PostgreSQL is away")
	if meanwhile != nil {
		meanwhile()
	}
	a.must(a.postgres.Start())
	a.tell("PostgreSQL is back")
}

// brakeSQL lets a commit that moves a member's row sleep in COMMIT, while a row is in the table brake.
const brakeSQL = `
CREATE TABLE public.brake (n integer);
CREATE FUNCTION public.brake() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF EXISTS (SELECT FROM public.brake) THEN PERFORM pg_sleep(0.5); END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER brake AFTER UPDATE ON %s.member DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.brake()`

// endMax bounds how long a backend is waited for that sleeps in COMMIT.
const endMax = 20 * time.Second

// endCommit ends a backend that is in COMMIT. Without a standby that answers, a commit that shall wait for one has taken place and
// says nothing yet; that of a transaction whose last trigger sleeps has not.
func (a *arena) endCommit(tookPlace bool) {
	a.t.Helper()
	s, err := a.postgres.Session()
	a.must(err)
	defer s.Close()
	query := func(sql string) [][]string {
		rows, err := s.Query(sql)
		a.must(err)
		return rows
	}
	event, begin, end := "PgSleep", []string{`INSERT INTO public.brake VALUES (1)`}, []string{`DELETE FROM public.brake`}
	if tookPlace {
		event = "SyncRep"
		begin = []string{`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, `SELECT pg_reload_conf()`}
		end = []string{`ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`}
	}
	for _, sql := range begin {
		query(sql)
	}
	defer func() {
		for _, sql := range end {
			query(sql)
		}
	}()
	var pids []string
	for deadline := time.Now().Add(endMax); len(pids) == 0; {
		a.check()
		if time.Now().After(deadline) {
			a.t.Fatalf("no commit has waited for %s within %v: %v", event, endMax,
				query(`SELECT application_name, state, wait_event, query FROM pg_stat_activity WHERE application_name LIKE 'stategate%'`))
		}
		for _, row := range query(`SELECT pid, pg_terminate_backend(pid), query FROM pg_stat_activity
			WHERE application_name LIKE 'stategate%' AND wait_event = '` + event + `'`) {
			if row[1] == "t" {
				pids = append(pids, row[0])
			}
		}
	}
	a.ended += len(pids)
	a.tell("ended in COMMIT, took place %v: backends %s", tookPlace, strings.Join(pids, " "))
}

// cut resets all connections of a way, some times in a row.
func (a *arena) cut(what string, p *testserver.Proxy, times int) {
	a.t.Helper()
	for range times {
		a.tell("cut %d connections to %s", p.Cut(), what)
		a.pass(100 * time.Millisecond)
	}
}

// loseAnswers lets through what is asked and loses what is answered, then cuts.
func (a *arena) loseAnswers(what string, p *testserver.Proxy, d time.Duration) {
	a.t.Helper()
	p.Set(testserver.Road{}, testserver.Road{Stalled: true})
	a.pass(d)
	a.tell("cut %d connections to %s, whose answers are lost", p.Cut(), what)
	p.Set(testserver.Road{}, testserver.Road{})
}

// loseAnswersAndKill: the active gateway dies without knowing what became of its commit.
func (a *arena) loseAnswersAndKill(d time.Duration) {
	a.t.Helper()
	p := a.active.store
	p.Set(testserver.Road{}, testserver.Road{Stalled: true})
	a.pass(d)
	a.crashActive()
	p.Cut()
	p.Set(testserver.Road{}, testserver.Road{})
}

// slow makes a way slow, or stalls it, in both directions for a time.
func (a *arena) slow(what string, p *testserver.Proxy, road testserver.Road, d time.Duration) {
	a.t.Helper()
	a.tell("the way to %s: %+v", what, road)
	p.Set(road, road)
	a.pass(d)
	p.Set(testserver.Road{}, testserver.Road{})
}

// slowAndKill kills the active gateway in the midst of what a slow way makes long.
func (a *arena) slowAndKill(what string, p *testserver.Proxy, road testserver.Road) {
	a.t.Helper()
	a.tell("the way to %s: %+v", what, road)
	p.Set(road, road)
	a.out.untilCount(a.out.count() + 10)
	a.crashActive()
	p.Set(testserver.Road{}, testserver.Road{})
}

// isolate takes the store from the active gateway until the other one delivers. Its process lives, its connections do not end, and
// its way to Kafka is open.
func (a *arena) isolate() {
	a.t.Helper()
	alone := a.active
	blow := time.Now()
	alone.store.Set(testserver.Road{Stalled: true}, testserver.Road{Stalled: true})
	a.tell("%s has no way to PostgreSQL", alone.Name)
	// What was committed before the blow it may deliver until the other one fences it: only a new owner's log tells the first output
	// of its own, so the time is that until it says that it is active.
	next := a.standby
	next.Until("active", func(r testgateway.Readiness) bool { a.check(); return testgateway.IsActive(r) })
	a.took.add("no way to PostgreSQL (until active)", time.Since(blow))
	a.active, a.standby = next, alone
	a.moves++
	a.out.untilMadeAfter(time.Now())
	alone.store.Set(testserver.Road{}, testserver.Road{})
	a.tell("%s has its way again", alone.Name)
}

// leftovers are the rows that must be gone when all is done, by table; none on SQLite.
func (a *arena) leftovers() (text string) {
	if a.postgres == nil {
		return ""
	}
	s, err := a.postgres.Session()
	a.must(err)
	defer s.Close()
	for _, table := range []string{"pack", "pack_mark", "mailbox", "mail", "timer", "outbox", "refusal", "dead_letter"} {
		rows, err := s.Query(fmt.Sprintf(`SELECT count(*) FROM %s.%s`, schema, table))
		a.must(err)
		if rows[0][0] != "0" {
			text += fmt.Sprintf(" %s: %s", table, rows[0][0])
		}
	}
	return text
}
