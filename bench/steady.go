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
	"time"
)

// steadyWorkload begins the workload of the cells of a load that does not change.
const steadyWorkload = "steady "

// thirds of a steady load. What changes between the first and the last while nothing changes outside is a drift.
const thirds = 3

// steady keeps a rate for long, and shows the thirds of it beside each other.
func steady(ctx context.Context, args []string, out io.Writer) error {
	var o output
	flags := flag.NewFlagSet("bench steady", flag.ContinueOnError)
	o.register(flags)
	store := flags.String("store", postgresStore, "store to measure with: postgres or sqlite")
	length := flags.Duration("for", 10*time.Minute, "how long")
	rate := flags.Float64("rate", 5000, "records per second")
	if err := errors.Join(parse(flags, args, 0, helpOf("steady", nil), out), chooseOne("store", *store, stores)); err != nil {
		return err
	}
	report := newReport()
	programs, end, err := buildPrograms(ctx, o.gateway, false, false)
	if err != nil {
		return err
	}
	defer end()
	w, err := newWorld(ctx, worldConfig{store: *store})
	if err != nil {
		return err
	}
	defer w.close()
	c := cell{Subject: gatewaySubject, Store: *store, Mode: bulk, Semantic: exactlyOnce}
	r, err := w.newRun(ctx, programs, c, workloads[0], partitionsOut)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	if err := r.steady(ctx, report, *rate, *length); err != nil {
		return r.explain(err)
	}
	report.Took = time.Since(report.Began).Round(time.Second).String()
	return o.finish(report, out)
}

func (r *run) steady(ctx context.Context, report *report, rate float64, length time.Duration) error {
	o, err := r.outputs()
	if err != nil {
		return err
	}
	defer o.close()
	if err := errors.Join(r.start(ctx), r.warm(ctx, o)); err != nil {
		return err
	}
	l := newLoop(r, rate, length)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.begin = time.Now()
	sent := l.start(ctx)
	took := make([][]time.Duration, thirds)
	seen, warmed := 0, o.seen
	from, err := r.read(ctx)
	if err != nil {
		return err
	}
	w := watch(ctx, r)
	err = o.await(ctx, o.seen+l.n, func(key string, nth int, at time.Time) {
		if i := l.record(key, nth); i >= 0 {
			third := i * thirds / l.n
			took[third] = append(took[third], at.Sub(l.due(i)))
		}
	}, func() error {
		third := seen
		if o.seen-warmed < (third+1)*l.n/thirds {
			return nil
		}
		seen++
		to, err := r.read(ctx)
		if err != nil {
			return err
		}
		values := to.since(from, l.n/thirds)
		from = to
		values["resident_mib"] = w.stop().resident
		w = watch(ctx, r)
		if values["stored_mib"], err = r.stored(ctx); err != nil {
			return err
		}
		slices.Sort(took[third])
		values["p50_ms"], values["p99_ms"], values["max_ms"] = quantile(took[third], 0.5), quantile(took[third], 0.99), quantile(took[third], 1)
		c := r.cell
		c.Workload = fmt.Sprintf("%s%g/s, third %d of %v", steadyWorkload, rate, third+1, length)
		report.add(c, values)
		return nil
	})
	w.stop()
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, sent()); err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	return o.verify(ctx, r.w.client, r.wants(l.n))
}

// stored is how much room the run's tables and indexes take, or its file, in MiB.
func (r *run) stored(ctx context.Context) (float64, error) {
	if r.w.postgres == nil {
		sum := 0.0
		for _, file := range []string{r.file("db"), r.file("db-wal")} {
			if info, err := os.Stat(file); err == nil {
				sum += float64(info.Size()) / (1 << 20)
			}
		}
		return sum, nil
	}
	var n float64
	err := r.w.db.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::float8 / 1048576 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind = 'r'`, r.name).Scan(&n)
	return n, err
}
