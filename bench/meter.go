//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// reading is what all meters show at one moment.
type reading struct {
	at                              time.Time
	program, store, kafka, function time.Duration // CPU
	bench, machine                  time.Duration // CPU of this program, and of all that the machine runs
	written                         float64       // bytes that the store has written
	told                            map[string]float64
}

// Series of the gateway's /metrics that are read.
const (
	tellAllocated = "go_memstats_alloc_bytes_total"
	tellLimit     = "go_gc_gomemlimit_bytes"
	tellAllocs    = "go_memstats_mallocs_total"
	tellCommits   = `stategate_commit_duration_seconds_count{result="ok"}`
	tellRequests  = "stategate_request_calls_count"
	tellInRequest = "stategate_request_calls_sum"
	tellCalls     = "stategate_calls_total" // the sum over functions and results
	tellOldest    = "stategate_ingress_oldest_unfinished_seconds"
)

// read looks at all meters.
func (r *run) read(ctx context.Context) (reading, error) {
	pid := r.program.Process.Pid
	now := reading{at: time.Now(), program: cpuOf(pid), kafka: cpuOf(r.w.kafka.PID()), function: cpuOf(r.w.functions.Process.Pid),
		bench: cpuOf(os.Getpid()), machine: busy()}
	if r.w.postgres == nil {
		now.written = written(pid)
	} else {
		now.store = cpuOfFamily(r.w.postgres.PID())
		if err := r.w.db.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&now.written); err != nil {
			return now, fmt.Errorf("ask PostgreSQL: %w", err)
		}
	}
	if r.cell.Subject != gatewaySubject {
		return now, nil
	}
	told, err := scrape(ctx, r.admin)
	now.told = told
	return now, err
}

// scrape reads the gateway's metrics. Of a series with labels the sum over them is kept under its bare name, too.
func scrape(ctx context.Context, admin string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway: %w", err)
	}
	defer drop(response.Body)
	return parseMetrics(response.Body)
}

func parseMetrics(r io.Reader) (map[string]float64, error) {
	told := map[string]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		series, text, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			series += "}"
		} else if series, text, ok = strings.Cut(lines.Text(), " "); !ok || strings.HasPrefix(series, "#") {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		if name, _, labelled := strings.Cut(series, "{"); labelled {
			told[name] += v
		}
		told[series] = v
	}
	return told, lines.Err()
}

// since gives the difference of two readings as measures, for so many records in between.
func (b reading) since(a reading, records int) map[string]float64 {
	n := float64(records)
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / n }
	values := map[string]float64{
		recordsMeasure:       n,
		"records_per_second": n / b.at.Sub(a.at).Seconds(),
		"program_us":         micros(b.program - a.program),
		"store_us":           micros(b.store - a.store),
		"both_us":            micros(b.program - a.program + b.store - a.store),
		"kafka_us":           micros(b.kafka - a.kafka),
		"function_us":        micros(b.function - a.function),
		"store_bytes":        (b.written - a.written) / n,
		"others_percent":     b.others(a),
	}
	told := func(series string) float64 { return b.told[series] - a.told[series] }
	if b.told != nil {
		if limit := b.told[tellLimit]; limit < limitless {
			values["limit_mib"] = limit / (1 << 20)
		}
		values["allocs"], values["alloc_bytes"] = told(tellAllocs)/n, told(tellAllocated)/n
		values["calls_per_record"] = told(tellCalls) / n
		if commits := told(tellCommits); commits > 0 {
			values["records_per_commit"] = n / commits
		}
		if requests := told(tellRequests); requests > 0 {
			values["calls_per_request"] = told(tellInRequest) / requests
		}
	}
	return values
}

// limitless is more memory than any machine has: what Go tells where there is no limit is more.
const limitless = 1 << 60

// recordsMeasure is how many records a cell's figures are the mean of. No table shows it: it tells how coarse they are.
const recordsMeasure = "records"

// coarseShare is the part of a figure that a tick of CPU time may be, before the figure is marked.
const coarseShare = 0.05

// coarse says whether a measure of CPU per record stands for so few ticks that one more or less would show.
func (c *cell) coarse(name string) bool {
	records := c.median(recordsMeasure)
	if !strings.HasSuffix(name, "_us") || math.IsNaN(records) || name == "store_us" && c.Store != postgresStore {
		return false
	}
	return float64(tick.Microseconds()) > coarseShare*c.median(name)*records
}

// others is the CPU time that strangers used, in percent of one CPU: figures from a busy machine are to be doubted.
func (b reading) others(a reading) float64 {
	ours := (b.program + b.store + b.kafka + b.function + b.bench) - (a.program + a.store + a.kafka + a.function + a.bench)
	return max(0, 100*(b.machine-a.machine-ours).Seconds()/b.at.Sub(a.at).Seconds())
}

// rows is how many rows the run has written in all, as PostgreSQL counts them; its sessions must have ended: they tell it late.
func (r *run) rows(ctx context.Context) (float64, error) {
	var n float64
	err := r.w.db.QueryRow(ctx, `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::float8 FROM pg_stat_user_tables WHERE schemaname = $1`, r.name).Scan(&n)
	if err != nil && err != pgx.ErrNoRows {
		return 0, fmt.Errorf("ask PostgreSQL: %w", err)
	}
	return n, nil
}
