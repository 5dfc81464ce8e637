// Package simulation plays whole lives of the real machine on a real store: a world of sources, functions and sinks, a schedule and
// faults, all drawn from a seed, judged by a model that knows what must come out. A life takes milliseconds, and its seed plays it
// again.
//
// It has no code of its own but tests, and the program never depends on it: what it plays is what ships, and what it needs of the
// outside (answers, time, trouble) it makes itself, in one goroutine for each life.
package simulation
