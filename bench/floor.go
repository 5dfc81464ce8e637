//go:build linux

package main

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
)

// floors are the programs that nothing with the same guarantees is expected to beat by much: one on sarama's producer and consumer, and
// one that uses of sarama the connections alone. cost is what they cost per record of the count workload on a quiet machine, program and
// PostgreSQL together, in microseconds.
var floors = []struct {
	subject, batches string
	cost             float64
}{{floorSubject, "sarama", 11.5}, {ownSubject, "own", 7.6}}

// floorBatch is how many records the floor takes at once, at least: more where the gateway's commits hold more, for large batches are cheap.
// It keeps the states of eight batches in memory, which bounds them.
const (
	floorBatch    = 4000
	floorBatchMax = 20_000
)

const (
	// floorSlack: a floor that costs so many times as much is none.
	floorSlack = 1.3
	// othersMax is how much of a CPU strangers may use, in percent, before a verdict on a floor's cost is in doubt.
	othersMax = 20
)

// floor is the command that runs the floor.
func (r *run) floor(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, r.programs.floor, "-batch", strconv.Itoa(max(floorBatch, r.batch)), "-kafka", r.w.kafka.Addr(), "-postgres", r.w.postgres.URL(), "-function", r.url(),
		"-in", r.in, "-name", r.name, "-type", r.load.target)
	for _, f := range floors {
		if f.subject == r.cell.Subject {
			cmd.Args = append(cmd.Args, "-batches", f.batches)
		}
	}
	return cmd, nil
}

// judge compares with the floors, and says whether they are any.
func (r *report) judge() {
	like := cell{Subject: gatewaySubject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce}
	gatewayCost, ok := r.find(like, "both_us")
	gatewayRate, _ := r.find(like, "records_per_second")
	for _, f := range floors {
		like.Subject = f.subject
		cost, measured := r.find(like, "both_us")
		if !ok || !measured {
			continue
		}
		rate, _ := r.find(like, "records_per_second")
		others, _ := r.find(like, "others_percent")
		r.note("RATIO TO THE %s, count in bulk: %.2f of its CPU per record (%.1f us, the floor %.1f us), %.2f of its throughput (%.0f/s, the floor %.0f/s)",
			strings.ToUpper(f.subject), gatewayCost/cost, gatewayCost, cost, gatewayRate/rate, gatewayRate, rate)
		switch limit := floorSlack * f.cost; {
		case !r.doubted(f.subject):
		case others > othersMax:
			r.note("IS IT A FLOOR? The %s costs %.1f us, more than %.1f us, but strangers used %.0f %% of a CPU meanwhile (load %.1f): measure on a quiet machine", f.subject, cost, limit, others, r.Machine.Load)
		default:
			r.note("NO FLOOR: the %s costs %.1f us, more than %.1f us, %g times what such a program costs; the ratio flatters", f.subject, cost, limit, floorSlack)
		}
	}
}

// doubted: the floor cost so much that it may be none, and what is compared with it says little.
func (r *report) doubted(subject string) bool {
	cost, ok := r.find(cell{Subject: subject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce}, "both_us")
	for _, f := range floors {
		if ok && f.subject == subject && cost > floorSlack*f.cost {
			return true
		}
	}
	return false
}
