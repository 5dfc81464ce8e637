//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// choice is a value that a flag can have, and what it stands for.
type choice struct{ name, means string }

var stores = []choice{
	{postgresStore, "PostgreSQL, a server of its own"},
	{sqliteStore, "an SQLite file, inside the gateway"},
}

var parts = []choice{
	{drainPart, "a backlog is worked off: records per second, and what each costs"},
	{latencyPart, "records at a rate: from when one was due to its output being visible; at parts of the drain's rate too, where that was measured"},
	{httpPart, "requests by HTTP that wait for their reply"},
	{killPart, "kill -9 and a start at once: how long there is no output"},
	{idlePart, "start to ready, and what nothing to do costs"},
}

var modes = []choice{
	{single, "a request for each call, a call for each message"},
	{batch, "a request for each call; the messages of one address that wait go together, as in StateFun"},
	{bulk, "a request carries calls of many addresses, where the function announces it"},
}

// workloadChoices are the workloads with the modes in which each is measured.
func workloadChoices() (out []choice) {
	for _, w := range workloads {
		out = append(out, choice{w.name, w.means + " (" + strings.Join(w.modes, ", ") + ")"})
	}
	return out
}

var commands = []choice{
	{"", "what -part, -workload, -mode and -store choose: all by default, which takes six minutes or more"},
	{"compare OLD.json NEW.json", "which differences of two results are more than noise"},
	{"show RESULT.json ...", "the tables and targets of results that were kept with -json"},
	{"growth", "what a record costs as keys, partitions, sizes and backlogs grow"},
	{"overload", "three times as much input as can be done; Kafka away; PostgreSQL away; slow commits"},
	{"steady", "what changes while nothing changes outside"},
}

const aboutAll = `bench measures the gateway, and the least that a program with its guarantees can do (the floor), with a real Kafka, a real PostgreSQL or an
SQLite file, and functions in a process of their own. What came out is checked. docs/PERFORMANCE.md explains tables and columns.

`

// helpOfAll is the usage of the command without a name.
func helpOfAll() string {
	var b strings.Builder
	b.WriteString(aboutAll)
	list(&b, "usage: bench [COMMAND] [FLAG ...]; bench COMMAND -h tells a command's flags", commands)
	list(&b, "parts (-part)", parts)
	list(&b, "modes: how functions are called (-mode)", modes)
	list(&b, "workloads (-workload), and the modes that each has", workloadChoices())
	list(&b, "stores (-store)", stores)
	return b.String()
}

// helpOf is the usage of a command. choices are what its flag -what can name.
func helpOf(command string, choices []choice) string {
	var b strings.Builder
	i := slices.IndexFunc(commands, func(c choice) bool { return strings.HasPrefix(c.name, command) })
	arguments := commands[i].name // of those that take files, there are no flags
	if arguments == command {
		arguments += " [FLAG ...]"
	}
	fmt.Fprintf(&b, "usage: bench %s: %s\n\n", arguments, commands[i].means)
	if len(choices) > 0 {
		list(&b, "values of -what", choices)
	}
	return b.String()
}

func list(b *strings.Builder, title string, choices []choice) {
	b.WriteString(title + "\n")
	for _, c := range choices {
		fmt.Fprintf(b, "  %-26s%s\n", c.name, c.means)
	}
	b.WriteString("\n")
}

// parse reads the flags of a command that takes so many other arguments at most. Whoever asks for help is told on out, and the error is
// flag.ErrHelp.
func parse(flags *flag.FlagSet, args []string, others int, help string, out io.Writer) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, strings.TrimRight(help, "\n")+"\n")
		flags.SetOutput(out)
		registered := false
		flags.VisitAll(func(*flag.Flag) { registered = true })
		if registered {
			fmt.Fprint(out, "\nflags\n")
			flags.PrintDefaults()
		}
		return err
	case err != nil:
		return fmt.Errorf("%w; %s -h tells what there is", err, flags.Name())
	case flags.NArg() > others:
		return fmt.Errorf("unknown argument %q; %s -h tells what there is", flags.Arg(others), flags.Name())
	}
	return nil
}

// choose reads a list of values, each of which must be one of those that there are.
func choose(flag, text string, known []choice) ([]string, error) {
	names := strings.Split(text, ",")
	for _, name := range names {
		if !slices.ContainsFunc(known, func(c choice) bool { return c.name == name }) {
			return nil, fmt.Errorf("-%s: unknown value %q; there are: %s", flag, name, all(known))
		}
	}
	return names, nil
}

// chooseOne reads one value.
func chooseOne(flag, text string, known []choice) error {
	names, err := choose(flag, text, known)
	if err == nil && len(names) > 1 {
		err = fmt.Errorf("-%s: one of %s, not %q", flag, all(known), text)
	}
	return err
}

// all names all values as a flag takes them.
func all(known []choice) string {
	var names []string
	for _, c := range known {
		names = append(names, c.name)
	}
	return strings.Join(names, ",")
}
