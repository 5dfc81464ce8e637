package admin

import (
	"context"
	"net/http"
)

const stuckPath = "/v1/stuck"

// stuckMax and stuckBytesMax bound the answer; the oldest are in it. Ids are somebody else's, and each stands in an item several times.
const (
	stuckMax      = 1000
	stuckBytesMax = 1 << 20
)

type jsonStuck struct {
	Cause      string  `json:"cause" about:"endpoint_down, endpoint_busy, poisoned, times_out, paused, undeclared, bound_reached, dead_letters_full, egress_away, lane_halted, ingress_halted, store_away, store_slow, or left_out: the answer would grow too large"`
	Since      *string `json:"since" about:"null: nobody knows"`
	ForSeconds float64 `json:"forSeconds" about:"since then; 0: nobody knows"`
	On         jsonOn  `json:"on" about:"what it is about"`
	Count      int64   `json:"count" about:"addresses, partitions or letters that it concerns; of a bound, what is used of it"`
	Message    uint64  `json:"message,omitempty" about:"number of the one at the front of the address's mailbox"`
	Text       string  `json:"text" about:"for people"`
	LastError  string  `json:"lastError" about:"of the last attempt; \"\": none failed, or it is not known"`
	Remedy     string  `json:"remedy" about:"the command to type"`
	Look       string  `json:"look" about:"the command that shows more of it; \"\": the remedy does, or none"`
}

type jsonOn struct {
	Kind    string       `json:"kind" about:"address, function, endpoint, ingress, egress, store or bound"`
	Name    string       `json:"name" about:"namespace/name, scheme, host and path of an endpoint, or which store or bound"`
	Address *jsonAddress `json:"address" about:"the one, or the oldest of several"`
}

func askStuck(ctx context.Context, app Application, r *http.Request) (any, error) {
	if _, err := strictQuery(r); err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want /v1/stuck; the answer is the oldest, at most 1000"}
	}
	found, err := app.Stuck(ctx, stuckMax)
	if err != nil {
		return nil, err
	}
	answer, at := list[jsonStuck]{Items: []jsonStuck{}}, now()
	left := stuckBytesMax
	for i := range found {
		s := &found[i]
		if left -= len(s.Name) + len(s.Address.ID) + len(s.Text) + len(s.LastError) + len(s.Remedy) + len(s.Look); left < 0 && i > 0 {
			answer.Items = append(answer.Items, jsonStuck{
				Cause: "left_out", On: jsonOn{Kind: "bound", Name: "answer"}, Count: int64(len(found) - i), Text: "more wait, and this answer would grow too large", Remedy: "gateway functions",
			})
			break
		}
		out := jsonStuck{
			Cause: s.Cause, Since: timestamp(s.Since), On: jsonOn{s.Kind, withoutSecrets(s.Name), addressOf(s.Address)}, Count: s.Count, Message: s.Message,
			Text: withoutSecrets(s.Text), LastError: withoutSecrets(s.LastError), Remedy: s.Remedy, Look: s.Look,
		}
		if s.Since != 0 {
			out.ForSeconds = seconds(at - s.Since)
		}
		answer.Items = append(answer.Items, out)
	}
	return answer, nil
}
