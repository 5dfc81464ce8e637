package egress

import (
	"encoding/binary"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Sent is an output in a sampled trace that has come to its end: its sink has taken it, or it was refused for good.
type Sent struct {
	Lane        statestore.LaneID
	Number      uint64
	Output      *api.Output // whose Trace is that of the call; Trace tells that of its delivery
	System      string      // as OpenTelemetry names it: "kafka", "aws_kinesis"; "": it has no name there
	Destination string      // topic or stream; "" where there is none
	Began       time.Time   // its last delivery, or when it was refused
	Refused     string      // the reason of its dead letter; "": it was delivered
}

// Trace is the place of an output's delivery in its trace: a span below that of the call. It is the same whenever the output is delivered,
// before and after a crash. What is sampled out has no span.
func Trace(lane statestore.LaneID, number uint64, of *api.Trace) *api.Trace {
	if !of.Sampled() {
		return of
	}
	hash := mix(binary.BigEndian.Uint64(of.Span[:]) ^ mix(number))
	hash = mix(hash ^ uint64(int64(lane.Slot)))
	for i := range len(lane.Egress) {
		hash = (hash ^ uint64(lane.Egress[i])) * 0x100000001b3
	}
	t := &api.Trace{ID: of.ID, Flags: of.Flags}
	binary.BigEndian.PutUint64(t.Span[:], max(mix(hash), 1))
	return t
}

// mix spreads what differs in a few bits over all of them (splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
