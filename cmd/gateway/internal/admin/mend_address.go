package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

type jsonSkip struct {
	Message uint64 `json:"message" about:"number of the message at the front, as the address shows it"`
}

const (
	addressWant = "want /v1/addresses/NAMESPACE/NAME/ID/WHAT, each percent-encoded once as UTF-8 (/ is %2F, % is %25), or /v1/addresses/NAMESPACE/NAME/WHAT?id=ID"
	skipWant    = `send {"message":NUMBER}, the number of the message at the front as GET /v1/addresses/NAMESPACE/NAME/ID shows it`
)

type jsonResumed struct {
	Changed bool         `json:"changed" about:"false: it was not paused itself, and nothing has happened"`
	Near    *jsonAddress `json:"near" about:"when nothing has happened: the address that is paused and was probably meant; null: none"`
	Paused  *jsonPaused  `json:"paused" about:"null: it is called again; else the pause of its function, with which it stays paused"`
	Remedy  *string      `json:"remedy" about:"what ends the pause of the function; null: it has none"`
}

// addressMend changes something of one address; it answers nil where nothing is to be said but that it is done.
type addressMend func(ctx context.Context, app Application, a api.Address, r *http.Request, by string) (answer any, err error)

func (h *handler) addressMends() []route {
	var rows []route
	id := parameter{Name: "id", About: "the id, also '', '.' and '..'", Needed: true}
	add := func(what, about string, body, said any, f addressMend) {
		serve := h.mend(func(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
			a, err := mendedAddress(r)
			if err != nil {
				return mended{}, problem{http.StatusBadRequest, err.Error(), addressWant}
			}
			answer, err := f(ctx, app, a, r, by)
			return mended{answer: answer}, err
		})
		rows = append(rows,
			route{Method: http.MethodPost, Path: addressPath + "/" + what, About: about, Body: body, Answer: said, Serve: serve},
			route{Method: http.MethodPost, Path: addressByID + "/" + what, About: about, Query: []parameter{id}, Body: body, Answer: said, Serve: serve})
	}
	add("retry", "calls it again now, when it waits for its next attempt", nil, nil, retry)
	add("skip", "makes the message at the front, which fails, a dead letter", jsonSkip{}, nil, skip)
	add("pause", "starts no call to it until it is resumed; messages wait", nil, nil, pauseAddress)
	add("resume", "ends the pause of the address itself; that of its function goes on", nil, jsonResumed{}, resumeAddress)
	return rows
}

// mendedAddress reads an address that something is to be done with. Names come from a file that is UTF-8.
func mendedAddress(r *http.Request, more ...string) (api.Address, error) {
	a, err := askedAddress(r, more...)
	if err == nil && !utf8.ValidString(a.Type.Namespace+a.Type.Name) {
		err = errors.New("the function is not UTF-8")
	}
	return a, err
}

const noBodyWant = "send no body"

func retry(ctx context.Context, app Application, a api.Address, r *http.Request, by string) (any, error) {
	if _, err := askedBody(r, mendBytesMax, noBodyWant); err != nil {
		return nil, err
	}
	return nil, app.Retry(ctx, a, by)
}

func skip(ctx context.Context, app Application, a api.Address, r *http.Request, by string) (any, error) {
	body, err := neededBody(r, mendBytesMax, skipWant, "message")
	if err != nil {
		return nil, err
	}
	message, err := body.number("message")
	if _, given := body["message"]; err != nil || !given {
		return nil, problem{http.StatusBadRequest, "message is not a whole number; nothing has happened", skipWant}
	}
	return nil, app.Skip(ctx, a, message, by)
}

func pauseAddress(ctx context.Context, app Application, a api.Address, r *http.Request, by string) (any, error) {
	_, err := pause(ctx, app, a, r, by, false)
	return nil, err
}

// resumeAddress says whether there was a pause to end, and when the address stays paused all the same. That it could not be looked at is no failure: its pause has ended.
func resumeAddress(ctx context.Context, app Application, a api.Address, r *http.Request, by string) (any, error) {
	done, err := pause(ctx, app, a, r, by, true)
	if err != nil {
		return nil, err
	}
	answer := jsonResumed{Changed: done.Changed}
	if done.Near != nil {
		answer.Near = addressOf(done.Near.Address)
	}
	if views, err := app.Views(ctx, []api.Address{a}); err == nil && len(views) == 1 && views[0].Paused != nil && views[0].Paused.Kind == statestore.PauseFunction {
		remedy := "POST /v1/functions/" + url.PathEscape(a.Type.Namespace) + "/" + url.PathEscape(a.Type.Name) + "/resume"
		answer.Paused, answer.Remedy = pausedOf(views[0].Paused), &remedy
	}
	return answer, nil
}

func pause(ctx context.Context, app Application, a api.Address, r *http.Request, by string, ended bool) (report.PauseDone, error) {
	if _, err := askedBody(r, mendBytesMax, noBodyWant); err != nil {
		return report.PauseDone{}, err
	}
	return app.Pause(ctx, statestore.Pause{Kind: statestore.PauseAddress, Address: a, By: by, Ended: ended})
}
