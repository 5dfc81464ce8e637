//go:build linux

// Command bench measures the gateway with real servers: a real Kafka, a real PostgreSQL or an SQLite file, functions in a process
// of their own, and the gateway as it is built. Beside it, in the same run, it measures the floor (bench/floor): the least that a
// program with the same guarantees can do. It checks that what came out is right: a fast wrong answer is a failure. What must be
// installed is what the tests need.
//
//	go run ./bench                              all that is measured, on both stores; some six minutes
//	go run ./bench -store postgres -part drain -workload count -runs 5 -json new.json
//	go run ./bench -targets                     and what was hoped for beside what came out
//	go run ./bench compare old.json new.json    which differences are more than noise
//	go run ./bench show new.json                the tables of a result that was kept
//	go run ./bench growth                       cost per message as keys, partitions, sizes and backlogs grow
//	go run ./bench overload                     input at three times the capacity; Kafka away; PostgreSQL away; slow commits
//	go run ./bench steady -for 10m              what changes while nothing changes
//	go run ./bench -h                           parts, modes, workloads and flags; so for each command
//
// CPU times are those of whole processes, so they are right on a busy machine, too; records per second and latencies are not: the
// column "others %" says how much of a CPU strangers used meanwhile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if os.Getenv(roleVariable) == functionsRole {
		serveFunctions()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs what the arguments name. Who asks for help gets it, and has done nothing wrong.
func command(ctx context.Context, args []string, out io.Writer) error {
	if err := dispatch(ctx, args, out); !errors.Is(err, flag.ErrHelp) {
		return err
	}
	return nil
}

func dispatch(ctx context.Context, args []string, out io.Writer) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch name {
	case "compare":
		return compareFiles(args[1:], out)
	case "show":
		return showFiles(args[1:], out)
	case "growth":
		return growth(ctx, args[1:], out)
	case "overload":
		return overload(ctx, args[1:], out)
	case "steady":
		return steady(ctx, args[1:], out)
	case "help":
		args = []string{"-h"}
	}
	return measureAll(ctx, args, out)
}

// output are the flags that every command has which measures.
type output struct {
	json    string
	gateway string
	targets bool
}

func (o *output) register(flags *flag.FlagSet) {
	flags.StringVar(&o.json, "json", "", "write the results to this file, for compare")
	flags.StringVar(&o.gateway, "gateway", "", "measure this program in place of the gateway as it lies here")
	flags.BoolVar(&o.targets, "targets", false, "print targets beside what was measured")
}

// finish prints a report and keeps it.
func (o *output) finish(r *report, out io.Writer) error {
	r.tables(out)
	if o.targets {
		r.targets(out)
	}
	if o.json == "" {
		return nil
	}
	return r.write(o.json)
}
