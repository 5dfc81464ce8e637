package admin

import (
	"context"
	"net/http"
)

const membersPath = "/v1/members"

type jsonMember struct {
	ID         string  `json:"id" about:"drawn at its start"`
	Host       string  `json:"host" about:"name of the machine"`
	PID        int     `json:"pid" about:"of its process"`
	Admin      string  `json:"admin" about:"where its admin side listens"`
	Events     string  `json:"events" about:"where it takes events by HTTP; \"\": nowhere"`
	Started    *string `json:"started" about:"null: not known"`
	Role       string  `json:"role" about:"active; standby: it waits; or silent: it owned the store, its lease is over, and nobody has taken over"`
	Epoch      uint64  `json:"epoch" about:"of its claim; 0 while it has none"`
	LeaseUntil *string `json:"leaseUntil" about:"null: it has none"`
}

func askMembers(ctx context.Context, app Application, r *http.Request) (any, error) {
	if _, err := strictQuery(r); err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want " + membersPath}
	}
	found, err := app.Members(ctx)
	if err != nil {
		return nil, err
	}
	answer := list[jsonMember]{Items: []jsonMember{}}
	for i := range found {
		m := &found[i]
		out := jsonMember{ID: m.ID, Host: m.Host, PID: m.PID, Admin: m.Address, Events: m.Events, Role: role(m.Active), Epoch: m.Epoch}
		if !m.Active && m.Epoch != 0 {
			out.Role = "silent"
		}
		if !m.Started.IsZero() {
			out.Started = timestamp(m.Started.UnixMilli())
		}
		if !m.Until.IsZero() {
			out.LeaseUntil = timestamp(m.Until.UnixMilli())
		}
		answer.Items = append(answer.Items, out)
	}
	return answer, nil
}
