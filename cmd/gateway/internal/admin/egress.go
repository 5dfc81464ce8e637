package admin

import (
	"context"
	"net/http"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

const (
	egressesPath = "/v1/egresses"
	egressPath   = "/v1/egresses/{namespace}/{name}"
)

type jsonEgress struct {
	Egress     string          `json:"egress" about:"namespace/name"`
	Kind       string          `json:"kind" about:"\"\": the module does not declare it"`
	Delivery   string          `json:"delivery" about:"exactly-once, at-least-once or none"`
	Declared   bool            `json:"declared" about:"whether the module declares it; false: its outputs wait until it does again, or are forgotten"`
	Outbox     jsonOutbox      `json:"outbox" about:"what is committed and not delivered"`
	Conditions []jsonCondition `json:"conditions" about:"what keeps it from delivering; the first 100"`
	Lanes      []jsonLane      `json:"lanes" about:"its ordered streams of outputs"`
}

type jsonOutbox struct {
	Outputs       int64   `json:"outputs" about:"that are not delivered"`
	Bytes         int64   `json:"bytes" about:"of those outputs"`
	OldestSeconds float64 `json:"oldestSeconds" about:"at least: since this member works"`
}

type jsonLane struct {
	Slot      int     `json:"slot" about:"-1: its outputs are not stored"`
	Next      uint64  `json:"next" about:"number of the next output"`
	Delivered uint64  `json:"delivered" about:"all below is delivered or set aside"`
	Stored    uint64  `json:"storedFrom" about:"number of the first that is stored; next when none is"`
	Started   bool    `json:"started" about:"it has written a cursor"`
	Halted    *string `json:"halted" about:"why it stands still until an operator decides"`
}

func askEgresses(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r)
	if err != nil {
		return nil, err
	}
	found, err := app.Egresses(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(found, query["after"], limit, func(e *report.Egress) string { return e.ID }, egressOf), nil
}

func askEgress(ctx context.Context, app Application, r *http.Request) (any, error) {
	name, err := pathName(r)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want /v1/egresses/NAMESPACE/NAME, each percent-encoded once as UTF-8"}
	}
	found, err := app.Egresses(ctx)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if e := &found[i]; e.ID == name[0]+"/"+name[1] {
			return egressOf(e), nil
		}
	}
	return nil, problem{http.StatusNotFound, "the module declares no such egress, and nothing is kept for one", "GET /v1/egresses lists those that are known"}
}

func egressOf(e *report.Egress) jsonEgress {
	out := jsonEgress{
		Egress: e.ID, Kind: e.Kind, Delivery: e.Semantic, Declared: e.Declared, Outbox: jsonOutbox{e.Outputs, e.Bytes, seconds(e.OldestMS)},
		Conditions: conditionsOf(e.Troubles), Lanes: []jsonLane{},
	}
	for _, l := range e.Lanes {
		lane := jsonLane{l.Slot, l.Next, l.Delivered, l.Stored, l.Started, nil}
		if l.Halted != "" {
			text := withoutSecrets(l.Halted)
			lane.Halted = &text
		}
		out.Lanes = append(out.Lanes, lane)
	}
	return out
}
