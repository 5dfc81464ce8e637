package admin

import (
	"context"
	"net/http"
)

const auditPath = "/v1/audit"

type jsonAct struct {
	Number uint64  `json:"number" about:"one more than that of the act before"`
	At     *string `json:"at" about:"when it was done"`
	By     string  `json:"by" about:"who; what a client says of itself is not proven"`
	What   string  `json:"what" about:"short and stable, as in replay, discard, retry, skip, pause, resume or forget"`
	On     string  `json:"on" about:"what it was done to, for people"`
	Detail string  `json:"detail" about:"more of it, for people; never a payload; \"\": nothing"`
}

// askAudit answers the newest first: after is a number, below which the page begins.
func askAudit(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r)
	if err != nil {
		return nil, err
	}
	before, err := numberAfter(query)
	if err != nil {
		return nil, err
	}
	answer := list[jsonAct]{Items: []jsonAct{}}
	if query["after"] != "" && before <= 1 {
		return answer, nil // nothing is below the first one
	}
	found, err := app.Acts(ctx, before, limit)
	if err != nil {
		return nil, err
	}
	for i := range found {
		a := &found[i]
		answer.Items = append(answer.Items, jsonAct{a.Number, timestamp(a.AtMS), a.By, a.What, a.On, a.Detail})
	}
	if n := len(found); n == limit && found[n-1].Number > 1 {
		answer.Next = nextNumber(found[n-1].Number)
	}
	return answer, nil
}
