//go:build linux

// Command bench measures the gateway with real servers: a real Kafka, a real PostgreSQL or an SQLite file, functions in a process
// of their own, and the gateway as it is built. It checks that what came out is right: a fast wrong answer is a failure. What
// must be installed is what the tests need.
//
//	go run ./bench                 # both stores; some three minutes
//	go run ./bench -store sqlite -records 50000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// config is what the flags say.
type config struct {
	stores  []string
	records int // of a drain
	keys    int
	rates   []int // records per second of the latency runs
	seconds int   // of each latency run
	json    bool
	profile string
}

func main() {
	if os.Getenv(roleVariable) == "functions" {
		serveFunctions()
		return
	}
	cfg := config{rates: []int{100, 1500}}
	stores := flag.String("store", "postgres,sqlite", "stores to measure")
	flag.IntVar(&cfg.records, "records", 100_000, "records of each drain")
	flag.IntVar(&cfg.keys, "keys", 10_000, "keys of the count workload")
	flag.IntVar(&cfg.seconds, "seconds", 10, "length of each latency run; 0: none")
	flag.BoolVar(&cfg.json, "json", false, "print the results as JSON, too")
	flag.StringVar(&cfg.profile, "profile", "", "keep a CPU profile of the gateway's drain of the count workload in this file")
	flag.Parse()
	cfg.stores = strings.Split(*stores, ",")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// result is one line of the table.
type result struct {
	Store, Workload  string
	RecordsPerSecond float64
	CPUMicros        map[string]float64 // per record, by process
	P50, P99         time.Duration      // produce to visible at read_committed
	MemoryMiB        float64            // resident, the gateway's highest
}

func measure(ctx context.Context, cfg config) error {
	var results []result
	for _, store := range cfg.stores {
		w, err := newWorld(ctx, store, cfg.profile)
		if err != nil {
			return err
		}
		err = w.workloads(ctx, cfg, func(r result) {
			results = append(results, r)
			fmt.Fprintf(os.Stderr, "%s %s done\n", r.Store, r.Workload)
		})
		w.close()
		if err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	table(results)
	if cfg.json {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	return nil
}

func (w *world) workloads(ctx context.Context, cfg config, done func(result)) error {
	for _, drain := range []struct {
		name string
		keys int
	}{{"count", cfg.keys}, {"hot key", 1}} {
		r, err := w.drain(ctx, drain.name, cfg.records, drain.keys)
		if err != nil {
			return fmt.Errorf("%s: %w", drain.name, err)
		}
		done(r)
	}
	for _, rate := range cfg.rates {
		if cfg.seconds == 0 {
			break
		}
		r, err := w.latency(ctx, rate, rate*cfg.seconds, cfg.keys)
		if err != nil {
			return fmt.Errorf("%d records/s: %w", rate, err)
		}
		done(r)
	}
	return nil
}

func table(results []result) {
	fmt.Printf("%-9s %-14s %10s   %8s %8s %8s %8s   %9s %9s   %8s\n", "store", "workload", "records/s",
		"gateway", "store", "kafka", "function", "p50", "p99", "resident")
	fmt.Printf("%-9s %-14s %10s   %35s   %19s   %8s\n", "", "", "", "CPU us per record", "produce to visible", "MiB")
	for _, r := range results {
		fmt.Printf("%-9s %-14s %10.0f   %8.1f %8.1f %8.1f %8.1f   %9s %9s   %8.0f\n", r.Store, r.Workload, r.RecordsPerSecond,
			r.CPUMicros["gateway"], r.CPUMicros["store"], r.CPUMicros["kafka"], r.CPUMicros["function"],
			round(r.P50), round(r.P99), r.MemoryMiB)
	}
}

func round(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(100 * time.Microsecond).String()
}
