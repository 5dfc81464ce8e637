//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// overloadWorkload begins the workload of all cells that show what happens when more is asked than can be done.
const overloadWorkload = "overload "

// What can be too much, as the flag names it.
const (
	tooMuchInput  = "input"
	tooManyCalls  = "calls"
	tooManyEvents = "events"
	kafkaAway     = "kafka"
	storeAway     = "store"
	slowCommits   = "commits"
)

var troubles = []choice{
	{tooMuchInput, "three times as many records as were worked off of a backlog"},
	{tooManyCalls, "three times as many requests by HTTP that wait for their reply as were answered"},
	{tooManyEvents, "the same without replies"},
	{kafkaAway, "Kafka is stopped and started again"},
	{storeAway, "PostgreSQL is stopped as a crash does it, and started again"},
	{slowCommits, "each commit of PostgreSQL takes 5 ms"},
}

// overloader measures what the gateway does when it cannot do what is asked.
type overloader struct {
	output
	store    string
	length   time.Duration // of the overload, and of each absence
	rate     float64       // records per second around an absence
	records  int           // by which the capacity is found
	what     []string
	programs programs
	world    *world // of all troubles that need no settings; nil until the first
	report   *report
}

func overload(ctx context.Context, args []string, out io.Writer) error {
	v := &overloader{}
	flags := flag.NewFlagSet("bench overload", flag.ContinueOnError)
	v.register(flags)
	flags.StringVar(&v.store, "store", postgresStore, "store to measure with: postgres or sqlite")
	flags.DurationVar(&v.length, "for", time.Minute, "how long there is too much of something, and how long Kafka and PostgreSQL are away")
	flags.Float64Var(&v.rate, "rate", 1000, "records per second around an absence")
	flags.IntVar(&v.records, "records", 100_000, "records by which the capacity is found")
	what := flags.String("what", all(troubles), "what is too much, separated by commas")
	if err := errors.Join(parse(flags, args, 0, helpOf("overload", troubles), out), chooseOne("store", v.store, stores)); err != nil {
		return err
	}
	var err error
	if v.what, err = choose("what", *what, troubles); err != nil {
		return err
	}
	v.report = newReport()
	if err := v.leaveOut(); err != nil {
		return err
	}
	var end func()
	if v.programs, end, err = buildPrograms(ctx, v.gateway, false); err != nil {
		return err
	}
	defer end()
	defer func() {
		if v.world != nil {
			v.world.close()
		}
	}()
	for _, trouble := range []struct {
		name     string
		settings map[string]string
		load     workload
		do       func(context.Context, *run, *outputs) (expected, error)
	}{
		{name: tooMuchInput, load: workloads[0], do: v.input},
		{name: tooManyCalls, load: workload{target: "ask", keys: crowdKeys, http: true}, do: v.calls},
		{name: tooManyEvents, load: workload{target: "count", keys: crowdKeys, http: true}, do: v.events},
		{name: kafkaAway, load: workloads[0], do: v.kafka},
		{name: storeAway, load: workloads[0], do: v.postgres},
		{name: slowCommits, load: workloads[0], do: v.commits, settings: map[string]string{"commit_delay": "5000", "commit_siblings": "0"}},
	} {
		if !slices.Contains(v.what, trouble.name) {
			continue
		}
		if err := v.in(ctx, trouble.settings, func(w *world) error { return v.with(ctx, w, trouble.load, trouble.do) }); err != nil {
			return errors.Join(v.ended(out), fmt.Errorf("overload of %s: %w", trouble.name, err)) // what came before it counts
		}
	}
	return v.ended(out)
}

func (v *overloader) ended(out io.Writer) error {
	v.report.Took = time.Since(v.report.Began).Round(time.Second).String()
	return v.finish(v.report, out)
}

// leaveOut drops, and says so, what only a store with a server of its own can suffer.
func (v *overloader) leaveOut() error {
	if v.store == postgresStore {
		return nil
	}
	asked := strings.Join(v.what, ",")
	left := slices.DeleteFunc(slices.Clone(v.what), func(name string) bool { return name == storeAway || name == slowCommits })
	if len(left) == 0 {
		return fmt.Errorf("-what %s needs -store %s: %s has no server that could be away or slow", asked, postgresStore, v.store)
	}
	if len(left) < len(v.what) {
		v.report.note("LEFT OUT on %s: %s and %s; they are troubles of a server, which -store %s has", v.store, storeAway, slowCommits, postgresStore)
	}
	v.what = left
	return nil
}

func (v *overloader) cell(workload string) cell {
	return cell{Subject: gatewaySubject, Store: v.store, Workload: overloadWorkload + workload, Mode: bulk, Semantic: exactlyOnce}
}

// in gives a trouble its servers. Those with settings of their own are for this one alone.
func (v *overloader) in(ctx context.Context, settings map[string]string, do func(*world) error) (err error) {
	w := v.world
	if w == nil || settings != nil {
		if w, err = newWorld(ctx, worldConfig{store: v.store, settings: settings}); err != nil {
			return err
		}
	}
	if settings != nil {
		defer w.close()
	} else {
		v.world = w
	}
	return do(w)
}

// with lets one trouble happen to a run, and judges the outputs behind it.
func (v *overloader) with(ctx context.Context, w *world, load workload, do func(context.Context, *run, *outputs) (expected, error)) error {
	r, err := w.newRun(ctx, v.programs, v.cell(""), load, partitionsOut)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	o, err := r.outputs()
	if err != nil {
		return err
	}
	defer o.close()
	if err := r.start(ctx); err != nil {
		return r.explain(err)
	}
	want, err := do(ctx, r, o)
	if err != nil {
		return r.explain(err)
	}
	if err := r.stop(); err != nil {
		return r.explain(err)
	}
	return r.explain(o.verify(ctx, w.client, want))
}

func (v *overloader) add(workload string, values map[string]float64) {
	v.report.add(v.cell(workload), values)
	fmt.Fprintf(os.Stderr, "%s%s\n", overloadWorkload, workload)
}

// kafka is stopped in order and started again on its data.
func (v *overloader) kafka(ctx context.Context, r *run, o *outputs) (expected, error) {
	return v.away(ctx, r, o, "Kafka away for "+v.length.String(), func() error {
		if err := r.w.kafka.Stop(syscall.SIGTERM); err != nil {
			return err
		}
		return errors.Join(pause(ctx, v.length), r.w.kafka.Start())
	})
}

// postgres is stopped as a crash does it, and started again on its data.
func (v *overloader) postgres(ctx context.Context, r *run, o *outputs) (expected, error) {
	return v.away(ctx, r, o, "PostgreSQL away for "+v.length.String(), func() (err error) {
		_ = r.w.db.Close(ctx)
		if err := r.w.postgres.Stop(syscall.SIGQUIT); err != nil {
			return err
		}
		if err := errors.Join(pause(ctx, v.length), r.w.postgres.Start()); err != nil {
			return err
		}
		r.w.db, err = pgx.Connect(ctx, r.w.postgres.URL())
		return err
	})
}

// caughtUp is how old an output may be when it counts as prompt again.
const caughtUp = 500 * time.Millisecond

// away measures an absence in the middle of an open loop: the highest memory, how long it takes from the end of the absence until
// the first output, and until outputs are prompt again. The loop goes on meanwhile: records wait where they are made.
func (v *overloader) away(ctx context.Context, r *run, o *outputs, what string, absence func() error) (expected, error) {
	if err := r.warm(ctx, o); err != nil {
		return expected{}, err
	}
	o.away = v.length
	const tail = 30 * time.Second // the server's own stop and start are in it
	lead := min(5*time.Second, v.length)
	l := newLoop(r, v.rate, lead+v.length+tail)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.begin = time.Now()
	sent := l.start(ctx)
	over := make(chan time.Time, 1) // when the absence was over
	failed := make(chan error, 1)
	go func() {
		err := errors.Join(pause(ctx, lead), absence())
		if err != nil {
			cancel()
		}
		over <- time.Now()
		failed <- err
	}()
	w := watch(ctx, r)
	var back, first, prompt time.Time
	err := o.await(ctx, o.seen+l.n, func(key string, nth int, at time.Time) {
		if back.IsZero() {
			select {
			case back = <-over:
			default:
				return
			}
		}
		if first.IsZero() {
			first = at
		}
		if i := l.record(key, nth); prompt.IsZero() && i >= 0 && at.Sub(l.due(i)) < caughtUp {
			prompt = at
		}
	}, nil)
	seen := w.stop()
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, sent(), <-failed); err != nil {
		return expected{}, err
	}
	if prompt.IsZero() {
		return expected{}, fmt.Errorf("outputs were not prompt again before the loop's end")
	}
	ms := func(t time.Time) float64 { return max(0, float64(t.Sub(back).Microseconds())/1000) }
	v.add(what, map[string]float64{"gap_ms": ms(first), "recovery_ms": ms(prompt), "resident_mib": seen.highest().resident, "asked_per_second": v.rate})
	return r.only(l.n), nil
}

// commits take 5 ms each, as on a disk that is far away.
func (v *overloader) commits(ctx context.Context, r *run, o *outputs) (expected, error) {
	if err := r.warm(ctx, o); err != nil {
		return expected{}, err
	}
	values, err := r.burst(ctx, o, 0, v.records)
	if err != nil {
		return expected{}, err
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	v.add("commits of 5 ms: a backlog", values)
	l := newLoop(r, gapRate, min(v.length, 10*time.Second))
	l.first = v.records
	if values, err = l.measure(ctx, o, l.n/4); err != nil {
		return expected{}, err
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	v.add(fmt.Sprintf("commits of 5 ms: %d/s", gapRate), values)
	return r.only(l.first + l.n), nil
}
