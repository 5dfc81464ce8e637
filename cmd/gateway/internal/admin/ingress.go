package admin

import (
	"context"
	"net/http"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

const (
	ingressesPath = "/v1/ingresses"
	ingressPath   = "/v1/ingresses/{namespace}/{name}"
)

type jsonIngress struct {
	Ingress       string          `json:"ingress" about:"namespace/name"`
	Kind          string          `json:"kind" about:"\"\": the module does not declare it"`
	Declared      bool            `json:"declared" about:"whether the module declares it; false: how far it was read is kept until it does again, or is forgotten"`
	Paused        *jsonPaused     `json:"paused" about:"null: it is not"`
	Partitions    int             `json:"partitions" about:"that are read; 0 for one that is no topic or stream"`
	Waiting       map[string]int  `json:"waiting" about:"partitions that bring nothing for now, by why"`
	Lag           *int64          `json:"lag" about:"records that are not finished; null while nobody knows"`
	OldestSeconds float64         `json:"oldestSeconds" about:"age of the oldest record at hand that is not finished, since it came; 0: none"`
	Conditions    []jsonCondition `json:"conditions" about:"what keeps it from reading; the first 100"`
}

// jsonIngressWhole is one ingress with its partitions.
type jsonIngressWhole struct {
	jsonIngress
	Sources []jsonPartition `json:"sources" about:"the first 1000"`
}

type jsonPartition struct {
	Topic         string  `json:"topic" about:"or the stream of a Kinesis ingress"`
	Partition     int32   `json:"partition" about:"of the topic, from 0 on"`
	Position      int64   `json:"position" about:"all below is finished"`
	Finished      int64   `json:"finished" about:"records above it that are"`
	Lag           *int64  `json:"lag" about:"records that are not finished; null while nobody knows"`
	OldestSeconds float64 `json:"oldestSeconds" about:"age of the oldest record at hand that is not finished, since it came; 0: none"`
	WaitsFor      string  `json:"waitsFor" about:"\"\": it brings records"`
}

type jsonCondition struct {
	Name  string  `json:"name" about:"stays the same while it lasts"`
	Text  string  `json:"text" about:"for people"`
	Since *string `json:"since" about:"when it began"`
}

func conditionsOf(all []report.Condition) []jsonCondition {
	out := []jsonCondition{}
	for _, c := range all[:min(len(all), conditionsMax)] {
		out = append(out, jsonCondition{withoutSecrets(c.Key), withoutSecrets(c.Text), timestamp(c.Since.UnixMilli())})
	}
	return out
}

// conditionsMax bounds the conditions of one ingress or egress that are shown: there may be one for each partition.
const conditionsMax = 100

func askIngresses(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r)
	if err != nil {
		return nil, err
	}
	found, err := app.Ingresses(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(found, query["after"], limit, func(in *report.Ingress) string { return in.ID }, ingressOf), nil
}

func askIngress(ctx context.Context, app Application, r *http.Request) (any, error) {
	name, err := pathName(r)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want /v1/ingresses/NAMESPACE/NAME, each percent-encoded once as UTF-8"}
	}
	found, err := app.Ingresses(ctx)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if in := &found[i]; in.ID == name[0]+"/"+name[1] {
			return ingressWholeOf(in), nil
		}
	}
	return nil, problem{http.StatusNotFound, "the module declares no such ingress, and nothing is kept of one", "GET /v1/ingresses lists those that are known"}
}

func ingressOf(in *report.Ingress) jsonIngress {
	out := jsonIngress{
		Ingress: in.ID, Kind: in.Kind, Declared: in.Declared, Paused: pausedOf(in.Paused), Partitions: len(in.Sources), Waiting: map[string]int{},
		Conditions: conditionsOf(in.Troubles),
	}
	for i := range in.Sources {
		s := &in.Sources[i]
		if s.WaitsFor != "" {
			out.Waiting[s.WaitsFor]++
		}
		if s.Lag != nil {
			sum := *s.Lag
			if out.Lag != nil {
				sum += *out.Lag
			}
			out.Lag = &sum
		}
		out.OldestSeconds = max(out.OldestSeconds, seconds(s.OldestMS))
	}
	return out
}

func ingressWholeOf(in *report.Ingress) jsonIngressWhole {
	out := jsonIngressWhole{ingressOf(in), []jsonPartition{}}
	for _, s := range in.Sources[:min(len(in.Sources), pageMax)] {
		out.Sources = append(out.Sources, jsonPartition{s.ID.Topic, s.ID.Partition, s.Position, s.Finished, s.Lag, seconds(s.OldestMS), s.WaitsFor})
	}
	return out
}
