package admin

import (
	"context"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

type jsonSkip struct {
	Message uint64 `json:"message" about:"number of the message at the front, as the address shows it"`
}

const (
	addressWant = "want /v1/addresses/NAMESPACE/NAME/ID/WHAT, each percent-encoded once as UTF-8 (/ is %2F, % is %25), or /v1/addresses/NAMESPACE/NAME/WHAT?id=ID"
	skipWant    = `send {"message":NUMBER}, the number of the message at the front as GET /v1/addresses/NAMESPACE/NAME/ID shows it`
)

// addressMend changes something of one address.
type addressMend func(ctx context.Context, app Application, a api.Address, r *http.Request, by string) error

func (h *handler) addressMends() []route {
	var rows []route
	id := parameter{Name: "id", About: "the id, also '', '.' and '..'", Needed: true}
	add := func(what, about string, body any, f addressMend) {
		serve := h.mend(func(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
			a, err := mendedAddress(r)
			if err != nil {
				return mended{}, problem{http.StatusBadRequest, err.Error(), addressWant}
			}
			return mended{}, f(ctx, app, a, r, by)
		})
		rows = append(rows,
			route{Method: http.MethodPost, Path: addressPath + "/" + what, About: about, Body: body, Serve: serve},
			route{Method: http.MethodPost, Path: addressByID + "/" + what, About: about, Query: []parameter{id}, Body: body, Serve: serve})
	}
	add("retry", "calls it again now, when it waits for its next attempt", nil, retry)
	add("skip", "makes the message at the front, which fails, a dead letter", jsonSkip{}, skip)
	add("pause", "starts no call to it until it is resumed; messages wait", nil, pauseAddress(false))
	add("resume", "ends the pause", nil, pauseAddress(true))
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

func retry(ctx context.Context, app Application, a api.Address, r *http.Request, by string) error {
	if _, err := askedBody(r, mendBytesMax, noBodyWant); err != nil {
		return err
	}
	return app.Retry(ctx, a, by)
}

func skip(ctx context.Context, app Application, a api.Address, r *http.Request, by string) error {
	body, err := neededBody(r, mendBytesMax, skipWant, "message")
	if err != nil {
		return err
	}
	message, err := body.number("message")
	if _, given := body["message"]; err != nil || !given {
		return problem{http.StatusBadRequest, "message is not a whole number; nothing has happened", skipWant}
	}
	return app.Skip(ctx, a, message, by)
}

func pauseAddress(ended bool) addressMend {
	return func(ctx context.Context, app Application, a api.Address, r *http.Request, by string) error {
		if _, err := askedBody(r, mendBytesMax, noBodyWant); err != nil {
			return err
		}
		return app.Pause(ctx, statestore.Pause{Kind: statestore.PauseAddress, Address: a, By: by, Ended: ended})
	}
}
