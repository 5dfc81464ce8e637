//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
)

const (
	// floorCost is what the floor costs per record of the count workload on a quiet machine, program and PostgreSQL together, in microseconds;
	// one that costs floorSlack times as much is no floor.
	floorCost  = 11.5
	floorSlack = 1.3
	// othersMax is how much of a CPU strangers may use, in percent, before a verdict on the floor's cost is in doubt.
	othersMax = 20
)

// floor is the command that runs the floor.
func (r *run) floor(ctx context.Context) (*exec.Cmd, error) {
	return exec.CommandContext(ctx, r.programs.floor, "-kafka", r.w.kafka.Addr(), "-postgres", r.w.postgres.URL(), "-function", r.url(),
		"-in", r.in, "-name", r.name, "-type", r.load.target), nil
}

// judge compares with the floor, and says whether there is one.
func (r *report) judge() {
	like := cell{Subject: floorSubject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce}
	cost, ok := r.find(like, "both_us")
	if !ok {
		return
	}
	rate, _ := r.find(like, "records_per_second")
	others, _ := r.find(like, "others_percent")
	like.Subject = gatewaySubject
	gatewayCost, _ := r.find(like, "both_us")
	gatewayRate, _ := r.find(like, "records_per_second")
	r.Judgement = fmt.Sprintf("RATIO TO THE FLOOR, count in bulk: %.2f of its CPU per record (%.1f us, the floor %.1f us), %.2f of its throughput (%.0f/s, the floor %.0f/s)",
		gatewayCost/cost, gatewayCost, cost, gatewayRate/rate, gatewayRate, rate)
	switch limit := floorSlack * floorCost; {
	case cost <= limit:
	case others > othersMax:
		r.Judgement += fmt.Sprintf("\nIS IT A FLOOR? It costs more than %.1f us, but strangers used %.0f %% of a CPU meanwhile (load %.1f): measure on a quiet machine", limit, others, r.Machine.Load)
	default:
		r.Judgement += fmt.Sprintf("\nNO FLOOR: it costs more than %.1f us, %g times what such a program costs; the ratio flatters", limit, floorSlack)
	}
}
