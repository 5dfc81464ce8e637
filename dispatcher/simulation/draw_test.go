package simulation_test

import "math/rand/v2"

// What is drawn comes from streams: one draw more in one of them moves nothing in the others. So a step that is left out, or a kind
// of fault that is switched off, changes what follows from it and nothing else, and a failing seed can be made small.

const (
	streamWorld = iota + 1
	streamConfig
	streamSpoil
	streamRates
	streamSteps  // and the number of the step
	streamFaults // and kind, step and how many there were in the step
	streamEpilogue
	streamClients // and number of the step; 0: what they send
	streamBulks
	streamOperators // and number of the step; 0: how many they are
	streamDecisions // and number of the step
)

// mix is a seed for a stream (splitmix64).
func mix(parts ...uint64) uint64 {
	var h uint64
	for _, p := range parts {
		h += p + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

func drawer(parts ...uint64) *rand.Rand {
	h := mix(parts...)
	return rand.New(rand.NewPCG(h, mix(h)))
}

// dice draws for the steps of a life.
type dice struct {
	seed  uint64
	at    uint64
	pcg   *rand.PCG
	count [faultKinds]uint64
}

func newDice(seed uint64) *dice { return &dice{seed: seed, pcg: &rand.PCG{}} }

// turn begins a step.
func (d *dice) turn(step int) {
	d.at = uint64(step)
	h := mix(d.seed, streamSteps, d.at)
	d.pcg.Seed(h, mix(h))
	d.count = [faultKinds]uint64{}
}

// fault draws 0 <= n < below from the stream of one kind of fault.
func (d *dice) fault(k fault, below int) int {
	d.count[k]++
	return int(mix(d.seed, streamFaults, uint64(k), d.at, d.count[k]) % uint64(below))
}
