package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
)

type jsonReplay struct {
	To *jsonAddress `json:"to,omitempty" about:"where to, for a record that has no address"`
}

type jsonReplayed struct {
	Replayed int `json:"replayed" about:"1"`
}

type jsonSelection struct {
	Function string `json:"function,omitempty" about:"namespace/name; one of function, ingress, egress and all"`
	Ingress  string `json:"ingress,omitempty" about:"namespace/name"`
	Egress   string `json:"egress,omitempty" about:"namespace/name"`
	All      bool   `json:"all,omitempty" about:"true, or left out"`
	Reason   string `json:"reason,omitempty" about:"only those with it"`
	After    string `json:"after,omitempty" about:"next of the batch before; a number will do"`
	Through  uint64 `json:"through,omitempty" about:"no letter with a number above; through of the first batch keeps what comes back out"`
	Limit    uint64 `json:"limit,omitempty" about:"letters that are looked at, at most"`
}

type jsonBatch struct {
	Done    int           `json:"done" about:"how many letters were replayed, or discarded"`
	Refused []jsonRefused `json:"refused" about:"those that cannot be replayed; they stay"`
	Through uint64        `json:"through" about:"what to send with the next batch"`
	Next    *string       `json:"next" about:"what to give as after for more; null at the end"`
}

type jsonRefused struct {
	Number uint64 `json:"number" about:"of the letter"`
	Why    string `json:"why" about:"it stays, for people"`
}

func (h *handler) letterMends() []route {
	return []route{
		{
			Method: http.MethodPost, Path: deadLetterPath + "/replay", About: "lets one take effect after all, and ends it",
			Body: jsonReplay{}, NoBody: true, Answer: jsonReplayed{}, Serve: h.mend(replayOne),
		},
		{Method: http.MethodDelete, Path: deadLetterPath, About: "discards one for good", Serve: h.mend(discardOne)},
		{
			Method: http.MethodPost, Path: deadLettersPath + "/replay", About: "replays a batch of those that the body names",
			Body: jsonSelection{}, Answer: jsonBatch{}, Serve: h.mend(many(Application.Replay)),
		},
		{
			Method: http.MethodPost, Path: deadLettersPath + "/discard", About: "discards a batch of those that the body names, for good",
			Body: jsonSelection{}, Answer: jsonBatch{}, Serve: h.mend(many(Application.Discard)),
		},
	}
}

const replayWant = `send nothing, or {"to":{"namespace":"NAMESPACE","name":"NAME","id":"ID"}} for a record that has no address`

func replayOne(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
	number, err := askedNumber(r)
	if err != nil {
		return mended{}, err
	}
	body, err := askedBody(r, mendBytesMax*4, replayWant, "to") // an id of 64 KiB takes several times that when its bytes are escaped
	if err != nil {
		return mended{}, err
	}
	to, err := body.address("to")
	if err != nil {
		return mended{}, problem{http.StatusBadRequest, err.Error() + "; nothing has happened", replayWant}
	}
	err = app.ReplayOne(ctx, number, to, by)
	if errors.Is(err, dispatcher.ErrNothing) {
		err = noDeadLetter(number)
	}
	return mended{answer: jsonReplayed{1}}, err
}

// address reads a member that is an address; nil: it is not there.
func (o jsonObject) address(name string) (*api.Address, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	wrong := errors.New(name + ` is not an address`)
	of, err := objectOf(raw)
	if err != nil || len(of) != 3 {
		return nil, wrong
	}
	var a api.Address
	for member, into := range map[string]*string{"namespace": &a.Type.Namespace, "name": &a.Type.Name, "id": &a.ID} {
		if _, ok := of[member]; !ok {
			return nil, wrong
		}
		if *into, err = of.text(member); err != nil {
			return nil, wrong
		}
	}
	return &a, api.CheckAddress(a)
}

func discardOne(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
	number, err := askedNumber(r)
	if err == nil {
		_, err = askedBody(r, mendBytesMax, "send no body")
	}
	if err != nil {
		return mended{}, err
	}
	err = app.DiscardOne(ctx, number, by)
	if errors.Is(err, dispatcher.ErrNothing) {
		err = noDeadLetter(number)
	}
	return mended{}, err
}

const selectionWant = `send {"function":"NAMESPACE/NAME"}, {"ingress":"NAMESPACE/NAME"}, {"egress":"NAMESPACE/NAME"} or {"all":true}, and beside it what is wanted of reason, after, through and limit (at most 1000)`

// many does something to a batch of dead letters.
func many(do func(app Application, ctx context.Context, s dispatcher.Selection, by string) (dispatcher.Batch, error)) func(context.Context, Application, *http.Request, string) (mended, error) {
	return func(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
		if _, err := strictQuery(r); err != nil {
			return mended{}, problem{http.StatusBadRequest, err.Error(), selectionWant}
		}
		body, err := neededBody(r, mendBytesMax, selectionWant, "function", "ingress", "egress", "all", "reason", "after", "through", "limit")
		if err != nil {
			return mended{}, err
		}
		s, err := body.selection()
		if err != nil {
			return mended{}, problem{http.StatusBadRequest, err.Error() + "; nothing has happened", selectionWant}
		}
		if s.Through == 0 { // or what comes back while a client goes through them would be taken again
			if s.Through, err = app.LastDeadLetter(ctx); err != nil {
				return mended{}, err
			}
		}
		if s.Through == 0 {
			return mended{answer: jsonBatch{Refused: []jsonRefused{}}}, nil
		}
		batch, err := do(app, ctx, s, by)
		if err != nil {
			return mended{}, err
		}
		answer := jsonBatch{Done: batch.Done, Refused: []jsonRefused{}, Through: s.Through}
		for _, refused := range batch.Refused {
			answer.Refused = append(answer.Refused, jsonRefused(refused))
		}
		if !batch.End {
			answer.Next = nextNumber(batch.Last)
		}
		return mended{answer: answer}, nil
	}
}

// selection reads which dead letters are meant.
func (o jsonObject) selection() (s dispatcher.Selection, err error) {
	origins := 0
	for member, origin := range map[string]func(id string) string{"function": originOfFunction, "ingress": api.OriginIngress, "egress": api.OriginEgress} {
		if _, ok := o[member]; !ok {
			continue
		}
		id, err := o.text(member)
		if err != nil || id == "" {
			return s, errors.New(member + " is not the name of one")
		}
		s.Origin = origin(id)
		origins++
	}
	if raw, ok := o["all"]; ok {
		var all *bool
		if err := json.Unmarshal(raw, &all); err != nil || all == nil || !*all {
			return s, errors.New("all is not true")
		}
		origins++
	}
	if origins != 1 {
		return s, errors.New("it is not said which letters are meant: exactly one of function, ingress, egress and all says it")
	}
	if s.Reason, err = o.text("reason"); err != nil {
		return s, err
	}
	if s.After, err = o.number("after"); err != nil {
		return s, err
	}
	if s.Through, err = o.number("through"); err != nil {
		return s, err
	}
	limit, err := o.number("limit")
	if _, given := o["limit"]; err != nil || limit > dispatcher.LettersMax || given && limit == 0 {
		return s, errors.New("limit is not a number from 1 to " + strconv.Itoa(dispatcher.LettersMax))
	}
	s.Limit = int(limit)
	return s, nil
}

// originOfFunction is how letters name a function, whose name here is its namespace and name.
func originOfFunction(id string) string { return "function " + id }
