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

// growthWorkload begins the workload of all cells that show how cost grows.
const growthWorkload = "growth "

// Growths, as the flag names them.
const (
	growKeys       = "keys"
	growSingleKeys = "single-keys"
	growPartitions = "partitions"
	growRecords    = "records"
	growStates     = "states"
	growOutbox     = "outbox"
	growMailbox    = "mailbox"
	growTimers     = "timers"
)

var growths = []choice{
	{growKeys, "1,000 to 1 million keys that have a state, called in turn"},
	{growSingleKeys, "1,000 and 1 million keys, a request for each call: a thousand keys share no calls then either"},
	{growPartitions, "1 to 64 partitions of the topic that is read"},
	{growRecords, "records of 100 bytes to 990 KB"},
	{growStates, "states of 100 bytes to 990 KB, written anew by each call"},
	{growOutbox, "1 million outputs wait: Kafka does not take them for a while"},
	{growMailbox, "1 million messages wait: their function is down for a while"},
	{growTimers, "1 million delayed messages, due at one moment"},
}

func keysGrowth(keys int) string { return fmt.Sprintf("%s%d keys", growthWorkload, keys) }

// grower measures what a record costs while one thing grows.
type grower struct {
	output
	store    string
	scale    float64
	what     []string
	programs programs
	world    *world
	report   *report
}

func growth(ctx context.Context, args []string, out io.Writer) error {
	g := &grower{}
	flags := flag.NewFlagSet("bench growth", flag.ContinueOnError)
	g.register(flags)
	flags.StringVar(&g.store, "store", postgresStore, "store to measure with: postgres or sqlite")
	flags.Float64Var(&g.scale, "scale", 1, "sizes and numbers, as parts of one million; 0.02 takes a few minutes")
	what := flags.String("what", all(growths), "what grows, separated by commas")
	if err := errors.Join(parse(flags, args, 0, helpOf("growth", growths), out), chooseOne("store", g.store, stores)); err != nil {
		return err
	}
	var err error
	if g.what, err = choose("what", *what, growths); err != nil {
		return err
	}
	g.report = newReport()
	var end func()
	if g.programs, end, err = buildPrograms(ctx, g.gateway, false); err != nil {
		return err
	}
	defer end()
	if g.world, err = newWorld(ctx, worldConfig{store: g.store, proxies: 1}); err != nil {
		return err
	}
	defer g.world.close()
	for _, grow := range []struct {
		name string
		do   func(context.Context) error
	}{
		{growKeys, g.keys}, {growSingleKeys, g.singleKeys}, {growPartitions, g.partitions}, {growRecords, g.records}, {growStates, g.states},
		{growOutbox, g.outbox}, {growMailbox, g.mailbox}, {growTimers, g.timers},
	} {
		if !slices.Contains(g.what, grow.name) {
			continue
		}
		if err := grow.do(ctx); err != nil {
			return fmt.Errorf("growth of %s: %w", grow.name, err)
		}
	}
	g.report.Took = time.Since(g.report.Began).Round(time.Second).String()
	return g.finish(g.report, out)
}

// scaled is a part of a size, as the flag says.
func (g *grower) scaled(n int) int { return max(100, int(float64(n)*g.scale)) }

func (g *grower) cell(workload string) cell {
	return cell{Subject: gatewaySubject, Store: g.store, Workload: growthWorkload + workload, Mode: bulk, Semantic: exactlyOnce}
}

// with runs a workload for one cell and keeps what is measured. The measure warms the run itself.
func (g *grower) with(ctx context.Context, c cell, load workload, partitions int, prepare func(*run), measure func(*run, *outputs) (map[string]float64, int, error)) error {
	began := time.Now()
	r, err := g.world.newRun(ctx, g.programs, c, load, partitions)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	o, err := r.outputs()
	if err != nil {
		return err
	}
	defer o.close()
	if prepare != nil {
		prepare(r)
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	values, records, err := measure(r, o)
	if err != nil {
		return fmt.Errorf("%s: %w", c.id(), r.explain(err))
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	if err := r.stop(); err != nil {
		return fmt.Errorf("%s: %w", c.id(), r.explain(err))
	}
	g.report.add(c, values)
	fmt.Fprintf(os.Stderr, "%-60s %6.1fs\n", c.id(), time.Since(began).Seconds())
	return r.explain(o.verify(ctx, g.world.client, r.only(records)))
}

// burst is a measure of one burst of records.
func (g *grower) burst(ctx context.Context, records int) func(*run, *outputs) (map[string]float64, int, error) {
	return func(r *run, o *outputs) (map[string]float64, int, error) {
		if err := r.warm(ctx, o); err != nil {
			return nil, 0, err
		}
		values, err := r.burst(ctx, o, 0, records)
		return values, records, err
	}
}

// keyNumbers are how many keys there are in turn. At a small scale several of them come to the same, which is measured once.
func (g *grower) keyNumbers() []int {
	numbers := []int{1000}
	for _, most := range []int{10_000, 100_000, 1_000_000} {
		numbers = append(numbers, max(1000, int(float64(most)*g.scale)))
	}
	return slices.Compact(numbers)
}

func (g *grower) keys(ctx context.Context) error {
	for _, keys := range g.keyNumbers() {
		if err := g.inTurn(ctx, bulk, keys, max(g.scaled(200_000), min(keys, g.scaled(400_000)))); err != nil {
			return err
		}
	}
	return nil
}

func (g *grower) singleKeys(ctx context.Context) error {
	for _, keys := range slices.Compact([]int{1000, max(1000, g.scaled(1_000_000))}) {
		if err := g.inTurn(ctx, single, keys, g.scaled(50_000)); err != nil {
			return err
		}
	}
	return nil
}

// inTurn measures keys that all have a state before anything is measured, and are then called in turn, which is what a cache likes least.
func (g *grower) inTurn(ctx context.Context, mode string, keys, records int) error {
	c := g.cell(fmt.Sprintf("%d keys", keys))
	c.Mode = mode
	return g.with(ctx, c, workload{target: "count", keys: keys}, partitionsOut, nil, func(r *run, o *outputs) (map[string]float64, int, error) {
		if err := r.warm(ctx, o); err != nil {
			return nil, 0, err
		}
		if _, err := r.burst(ctx, o, 0, keys); err != nil {
			return nil, 0, err
		}
		values, err := r.burst(ctx, o, keys, keys+records)
		return values, keys + records, err
	})
}

func (g *grower) partitions(ctx context.Context) error {
	for _, n := range []int{1, 4, 16, 64} {
		if err := g.with(ctx, g.cell(fmt.Sprintf("%d partitions", n)), workloads[0], n, nil, g.burst(ctx, g.scaled(200_000))); err != nil {
			return err
		}
	}
	return nil
}

// Sizes in bytes. The last is what fits into Kafka's 1 MiB.
var growthSizes = []int{100, 1000, 10_000, 100_000, 990_000}

// growthBytes is how much is written in all for each size, in records of that size.
const growthBytes = 1_000_000_000

// many is how many things of a size are dealt with.
func (g *grower) many(size int) int {
	return max(50, min(g.scaled(150_000), int(growthBytes*g.scale)/size))
}

func (g *grower) records(ctx context.Context) error {
	for _, size := range growthSizes {
		load := workload{target: "count", keys: 1000, value: size}
		if err := g.with(ctx, g.cell(fmt.Sprintf("records of %d B", size)), load, partitionsOut, nil, g.burst(ctx, g.many(size))); err != nil {
			return err
		}
	}
	return nil
}

func (g *grower) states(ctx context.Context) error {
	for _, size := range growthSizes {
		n := g.many(size)
		load := workload{target: "large", keys: min(keysUniform, max(10, n/4)), state: size}
		if err := g.with(ctx, g.cell(fmt.Sprintf("states of %d B", size)), load, partitionsOut, nil, g.burst(ctx, n)); err != nil {
			return err
		}
	}
	return nil
}
