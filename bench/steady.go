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

	"github.com/jackc/pgx/v5"
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
	programs, end, err := buildPrograms(ctx, o.gateway, false)
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
		values["resident_mib"] = w.stop().highest().resident
		w = watch(ctx, r)
		if values["stored_mib"], err = r.stored(ctx); err != nil {
			return err
		}
		if err := r.rooms(ctx, report, third); err != nil {
			return err
		}
		slices.Sort(took[third])
		values["p50_ms"], values["p99_ms"], values["max_ms"] = quantile(took[third], 0.5), quantile(took[third], 0.99), quantile(took[third], 1)
		c := r.cell
		c.Workload = fmt.Sprintf("%s%g/s, %s%v", steadyWorkload, rate, thirdOf(third+1), length)
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
	return o.verify(ctx, r.w.client, r.only(l.n))
}

// tablesWorkload begins the workload of the cells that show a table each.
const tablesWorkload = "table "

// byThird names a measure of one third.
func byThird(name string, third int) string { return fmt.Sprintf("%s_%d", name, third+1) }

// rooms adds, for each table of PostgreSQL that is not empty, the room it takes with its indexes and large values, and the rows that are
// dead and not yet removed, as they are at the end of a third.
func (r *run) rooms(ctx context.Context, report *report, third int) error {
	if r.w.postgres == nil {
		return nil
	}
	rows, err := r.w.db.Query(ctx, `SELECT relname, pg_total_relation_size(relid)::float8 / 1024, n_live_tup::float8, n_dead_tup::float8,
		coalesce(100 * n_tup_hot_upd::float8 / nullif(n_tup_upd, 0), 100) FROM pg_stat_user_tables WHERE schemaname = $1 AND n_tup_ins > 0 ORDER BY relname`, r.name)
	if err != nil {
		return fmt.Errorf("ask PostgreSQL: %w", err)
	}
	var name string
	var room, live, dead, inPlace float64
	_, err = pgx.ForEachRow(rows, []any{&name, &room, &live, &dead, &inPlace}, func() error {
		c := r.cell
		c.Workload = tablesWorkload + name
		report.add(c, map[string]float64{byThird("room_kib", third): room, byThird("live_rows", third): live, byThird("dead_rows", third): dead, byThird("in_place", third): inPlace})
		return nil
	})
	return err
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
