//go:build linux

package main

import (
	"math/rand/v2"
	"strconv"
)

// Modes: how messages travel to the function. Whether a function announces bulk calls decides between the first two and the third.
const (
	single = "single" // one request per call, one call per message
	batch  = "batch"  // one request per call, as StateFun: the messages of one address that wait go together. Few keys make many wait
	bulk   = "bulk"   // one request carries calls of many addresses
)

// workload is what functions do with each record. Whatever it is, its outputs are counts of keys: those of a key are 1, 2, 3 ... in
// order, or something was lost, doubled or overtaken.
type workload struct {
	name    string
	means   string  // in a line
	target  string  // the function that records go to
	records float64 // of a drain, as a part of what the flag says: what costs more is done less often
	keys    int     // uniform: record i is for key i mod keys
	fan     int     // outputs of one record, each of a key of its own
	value   int     // bytes of a record
	text    string  // that its value begins with: what the function wants to be told
	state   int     // bytes that the function's state is filled up to
	apart   bool    // each function has an URL of its own, and can be down by itself
	http    bool    // events come by HTTP
	topic   string  // of the outputs, without the run's prefix
	modes   []string
}

const (
	countWorkload = "count"
	chainWorkload = "chain of 3"
	hotWorkload   = "hot key"
	timerWorkload = "timers"
	httpWorkload  = "http call"
)

// keysUniform is how many keys "uniform" is.
const keysUniform = 10_000

// fanOut is how many messages the function "fan" sends for one.
const fanOut = 10

// workloads are what a plain run measures. The names of functions are those of internal/testfunction.
var workloads = []workload{
	{name: countWorkload, means: "one state and one output for each record, 10,000 keys in turn; 100 keys in mode batch", target: "count", records: 1, keys: keysUniform, modes: []string{single, batch, bulk}},
	{name: hotWorkload, means: "the same with one key", target: "count", records: 4, keys: 1, modes: []string{batch}},
	{name: chainWorkload, means: "three functions pass the record on, then it is counted: four calls", target: "hop7", records: 0.4, keys: keysUniform, modes: []string{single, bulk}},
	{name: "fan-out 1:10", means: "ten messages for each record, each of them counted", target: "fan", records: 0.1, keys: 1000, fan: fanOut, modes: []string{single, bulk}},
	{name: "large state", means: "10 KB of state, written anew by each call", target: "large", records: 0.2, keys: keysUniform, state: 10_000, modes: []string{single, bulk}},
	{name: "large record", means: "records of 100 KB", target: "count", records: 0.04, keys: 1000, value: 100_000, modes: []string{single, bulk}},
	{name: timerWorkload, means: "each record becomes a message delayed by 200 ms", target: "later", records: 0.4, keys: keysUniform, text: "after 200 ", modes: []string{bulk}},
}

// batchKeys is how many keys a workload has in mode batch.
const batchKeys = 100

// in is the workload as a mode runs it, with defaults for what it leaves open.
func (w workload) in(mode string) workload {
	if mode == batch && w.keys > batchKeys {
		w.keys = batchKeys
	}
	w.fan, w.value = max(w.fan, 1), max(w.value, 100)
	if w.topic == "" {
		w.topic = "counts"
	}
	return w
}

// key is the key of record i of a run.
func (w workload) key(prefix string, i int) []byte {
	return strconv.AppendInt([]byte(prefix), int64(i%w.keys), 10)
}

// payload is the value of every record: bytes that no store can make smaller.
func (w workload) payload() []byte {
	value := make([]byte, w.value)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	copy(value, w.text)
	return value
}

// wants says how many outputs a key must have when a run had so many records.
func (w workload) wants(prefix string, records int) map[string]int {
	want := make(map[string]int, w.keys*w.fan)
	for k := range min(w.keys, records) {
		n := (records - k + w.keys - 1) / w.keys
		key := string(w.key(prefix, k))
		if w.fan == 1 {
			want[key] = n
			continue
		}
		for j := range w.fan {
			want[key+"-"+strconv.Itoa(j)] = n
		}
	}
	return want
}
