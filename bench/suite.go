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
	"time"
)

// Parts of a plain run.
const (
	drainPart   = "drain"
	latencyPart = "latency"
	httpPart    = "http"
	killPart    = "kill"
	idlePart    = "idle"
)

// Workloads that are no drains, as cells name them.
const (
	latencyWorkload = "latency " // and the rate
	killWorkload    = "kill -9"
	idleWorkload    = "idle"
)

// suite is a plain run.
type suite struct {
	output
	stores, workloads, modes, parts []string
	runs, records                   int
	seconds                         float64
	floor                           bool
	profile                         string

	programs programs
	report   *report
	world    *world // of the store that is at work
	judged   bool   // the floors, under kill -9
}

func measureAll(ctx context.Context, args []string, out io.Writer) (err error) {
	s := &suite{}
	if err := s.parse(args, out); err != nil {
		return err
	}
	s.report = newReport()
	var end func()
	if s.programs, end, err = buildPrograms(ctx, s.gateway, s.floor); err != nil {
		return err
	}
	defer end()
	for i := range s.runs {
		for _, store := range s.stores {
			if err := s.measure(ctx, store); err != nil {
				return fmt.Errorf("run %d on %s: %w", i+1, store, err)
			}
		}
	}
	s.report.judge()
	s.report.Took = time.Since(s.report.Began).Round(time.Second).String()
	return s.finish(s.report, out)
}

func (s *suite) parse(args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	s.register(flags)
	inStores := flags.String("store", all(stores), "stores to measure with, separated by commas")
	names := flags.String("workload", all(workloadChoices()), "workloads of the drains, separated by commas")
	inModes := flags.String("mode", all(modes), "modes of drains and latencies, separated by commas")
	ofParts := flags.String("part", all(parts), "what to measure, separated by commas")
	flags.IntVar(&s.runs, "runs", 1, "how often all is measured; compare needs 3 or more")
	flags.IntVar(&s.records, "records", 150_000, "records of a drain of the count workload; others have parts of it")
	flags.Float64Var(&s.seconds, "seconds", 6, "length of each measurement at a rate")
	flags.BoolVar(&s.floor, "floor", true, "measure the floor, too (with postgres)")
	flags.StringVar(&s.profile, "profile", "", "keep a CPU profile of the gateway's last drain in this file")
	if err := parse(flags, args, 0, helpOfAll(), out); err != nil {
		return err
	}
	if s.stores, err = choose("store", *inStores, stores); err != nil {
		return err
	}
	if s.modes, err = choose("mode", *inModes, modes); err != nil {
		return err
	}
	if s.parts, err = choose("part", *ofParts, parts); err != nil {
		return err
	}
	if s.workloads, err = choose("workload", *names, workloadChoices()); err != nil {
		return err
	}
	return s.validate()
}

// validate refuses what would measure nothing, or not what was asked for.
func (s *suite) validate() error {
	drains := slices.Contains(s.parts, drainPart)
	if drains && !slices.ContainsFunc(workloads, func(w workload) bool {
		return slices.Contains(s.workloads, w.name) && slices.ContainsFunc(w.modes, func(mode string) bool { return slices.Contains(s.modes, mode) })
	}) {
		return fmt.Errorf("-workload %s is not measured with -mode %s; bench -h tells the modes that each workload has", strings.Join(s.workloads, ","), strings.Join(s.modes, ","))
	}
	if slices.Equal(s.parts, []string{latencyPart}) && slices.Equal(s.modes, []string{batch}) {
		return errors.New("-part latency is measured with -mode single and bulk, not batch")
	}
	switch {
	case s.runs < 1, s.records < 1, !(s.seconds > 0):
		return errors.New("-runs, -records and -seconds must be more than 0")
	case s.profile != "" && !drains:
		return errors.New("-profile is taken while a backlog is worked off: it needs -part drain")
	}
	return nil
}

// buildPrograms makes what is measured, and answers how it is removed.
func buildPrograms(ctx context.Context, gateway string, floor bool) (p programs, remove func(), err error) {
	folder, err := os.MkdirTemp("", "stategate-bench-")
	if err != nil {
		return p, nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) }
	if p.gateway = gateway; gateway == "" {
		p.gateway, err = build(ctx, folder, "cmd/gateway")
	}
	if floor && err == nil {
		p.floor, err = build(ctx, folder, "bench/floor")
	}
	if err != nil {
		remove()
	}
	return p, remove, err
}

// measure goes through all once, on one store.
func (s *suite) measure(ctx context.Context, store string) (err error) {
	if s.world, err = newWorld(ctx, worldConfig{store: store}); err != nil {
		return err
	}
	defer s.world.close()
	if err := s.judgeFloors(ctx); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{drainPart, s.drains}, {latencyPart, s.latencies}, {httpPart, s.http}, {killPart, s.kills}, {idlePart, s.idle}} {
		if !slices.Contains(s.parts, part.name) {
			continue
		}
		if err := part.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// length is that of each measurement at a rate.
func (s *suite) length() time.Duration { return time.Duration(s.seconds * float64(time.Second)) }

// cell is one of the gateway on the world's store.
func (s *suite) cell(workload, mode, semantic string) cell {
	return cell{Subject: gatewaySubject, Store: s.world.store, Workload: workload, Mode: mode, Semantic: semantic}
}

// withFloor answers the cell and, where the floors can be measured beside it, theirs.
func (s *suite) withFloor(c cell, subjects ...string) []cell {
	cells := []cell{c}
	if s.programs.floor == "" || c.Store != postgresStore || c.Mode != bulk || c.Semantic != exactlyOnce {
		return cells
	}
	for _, subject := range subjects {
		c.Subject = subject
		cells = append(cells, c)
	}
	return cells
}

// judgeFloors kills each floor in the middle of its work, before anything is compared with it: what loses records may well be fast.
func (s *suite) judgeFloors(ctx context.Context) error {
	cells := s.withFloor(s.cell(countWorkload, bulk, exactlyOnce), floorSubject, ownSubject)
	if s.judged {
		return nil
	}
	for _, c := range cells[1:] {
		began := time.Now()
		if err := s.world.killed(ctx, s.programs, c, workloads[0], s.records/2, killsEach); err != nil {
			return fmt.Errorf("%s: there is no floor, it does not keep what it promises: %w", c.Subject, err)
		}
		s.judged = true
		fmt.Fprintf(os.Stderr, "%-60s %5.1fs\n", fmt.Sprintf("%s: right, killed %d times", c.Subject, killsEach), time.Since(began).Seconds())
	}
	return nil
}

// do measures one cell and keeps what came out.
func (s *suite) do(c cell, measure func() (map[string]float64, error)) error {
	began := time.Now()
	values, err := measure()
	if err != nil {
		return fmt.Errorf("%s: %w", c.id(), err)
	}
	s.report.add(c, values)
	fmt.Fprintf(os.Stderr, "%-60s %5.1fs\n", c.id(), time.Since(began).Seconds())
	return nil
}

func (s *suite) drains(ctx context.Context) error {
	for _, load := range workloads {
		if !slices.Contains(s.workloads, load.name) {
			continue
		}
		for _, mode := range load.modes {
			if !slices.Contains(s.modes, mode) {
				continue
			}
			semantics := []string{exactlyOnce}
			if load.name == countWorkload && mode == bulk {
				semantics = append(semantics, atLeastOnce)
			}
			for _, semantic := range semantics {
				cells := []cell{s.cell(load.name, mode, semantic)}
				if load.target == "count" && load.value == 0 {
					cells = s.withFloor(cells[0], floorSubject, ownSubject)
				}
				for _, c := range cells {
					if err := s.do(c, func() (map[string]float64, error) { return s.drain(ctx, c, load) }); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (s *suite) drain(ctx context.Context, c cell, load workload) (map[string]float64, error) {
	records := max(100, int(load.records*float64(s.records)))
	if c.Mode == single {
		records /= 3 // it is slower, and as well measured with less
	}
	r, err := s.world.newRun(ctx, s.programs, c, load, partitionsOut)
	if err != nil {
		return nil, err
	}
	defer r.close(ctx)
	if s.profile != "" && c.Subject == gatewaySubject {
		r.profiler = &profiler{path: s.profile}
	}
	if c.Subject == gatewaySubject {
		return r.drain(ctx, records)
	}
	c.Subject = gatewaySubject
	if batch, ok := s.report.find(c, "records_per_commit"); ok {
		r.batch = min(int(batch), floorBatchMax)
	}
	values, err := r.drain(ctx, records)
	if err == nil {
		values["records_per_commit"] = float64(max(floorBatch, r.batch))
	}
	return values, err
}

// latencyRates are those of the open loops, in records per second, whatever the machine can do.
var latencyRates = []float64{20, 1500}

// ofTheDrain ends the workload of those at a part of a drain's rate.
const ofTheDrain = " of the drain"

// latencyShares are parts of what the same subject's drain has shown.
var latencyShares = []float64{0.5, 0.8}

func (s *suite) latencies(ctx context.Context) error {
	load := workloads[0]
	length := s.length()
	measure := func(c cell, rate float64) error {
		return s.do(c, func() (map[string]float64, error) { return s.world.latency(ctx, s.programs, c, load, rate, length) })
	}
	for _, rate := range latencyRates {
		for _, mode := range s.modes {
			for _, semantic := range []string{exactlyOnce, atLeastOnce} {
				if mode == batch || mode == single && (semantic == atLeastOnce || rate < 100) {
					continue
				}
				for _, c := range s.withFloor(s.cell(fmt.Sprintf("%s%g/s", latencyWorkload, rate), mode, semantic), floorSubject) {
					if err := measure(c, rate); err != nil {
						return err
					}
				}
			}
		}
	}
	for _, share := range latencyShares {
		for _, mode := range s.modes {
			for _, c := range s.withFloor(s.cell(countWorkload, mode, exactlyOnce), floorSubject) {
				capacity, ok := s.report.find(c, "records_per_second")
				if !ok || mode == batch {
					continue
				}
				c.Workload = fmt.Sprintf("%s%g %%%s", latencyWorkload, 100*share, ofTheDrain)
				if err := measure(c, share*capacity); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *suite) http(ctx context.Context) error {
	c := s.cell(httpWorkload, bulk, exactlyOnce)
	return s.do(c, func() (map[string]float64, error) {
		return s.world.requests(ctx, s.programs, c, workload{name: httpWorkload, target: "ask", keys: 1, http: true}, s.length())
	})
}

// killsEach is how often a subject is killed.
const killsEach = 3

func (s *suite) kills(ctx context.Context) error {
	for _, c := range s.withFloor(s.cell(killWorkload, bulk, exactlyOnce), floorSubject, ownSubject) {
		err := s.do(c, func() (map[string]float64, error) {
			gaps, err := s.world.gap(ctx, s.programs, c, workloads[0], killsEach, min(lullMax, s.length()))
			return map[string]float64{"gap_ms": median(gaps), "max_ms": slices.Max(append(gaps, 0))}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) idle(ctx context.Context) error {
	c := s.cell(idleWorkload, bulk, exactlyOnce)
	return s.do(c, func() (map[string]float64, error) {
		return s.world.idle(ctx, s.programs, c, workloads[0], s.length())
	})
}
