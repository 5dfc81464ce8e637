package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

// valueBytesMax bounds the values, of states and of dead letters, that one answer shows, as they are written. Of those that do not fit only
// the size is told.
const valueBytesMax = 8 << 20

type jsonAddress struct {
	Namespace string `json:"namespace" about:"of the function type"`
	Name      string `json:"name" about:"of the function type"`
	ID        string `json:"id" about:"of the address; it may be empty"`
}

func addressOf(a api.Address) *jsonAddress {
	if a.IsZero() {
		return nil
	}
	return &jsonAddress{a.Type.Namespace, a.Type.Name, a.ID}
}

type jsonView struct {
	Address  *jsonAddress `json:"address" about:"the one that was asked for"`
	Shard    int          `json:"shard" about:"0 to 1439, by the id alone"`
	Role     string       `json:"role" about:"of the member that answers; a standby knows only what is stored"`
	Declared bool         `json:"declared" about:"whether the module says who serves the function"`
	InMemory bool         `json:"inMemory" about:"whether the member that answers has it in memory; false on a standby"`
	Phase    string       `json:"phase,omitempty" about:"loading, idle, ready (its turn comes), calling, backoff (its next attempt comes) or paused; left out: it is not in memory"`
	Paused   *jsonPaused  `json:"paused" about:"it, or its function"`
	State    []jsonState  `json:"state" about:"the values that are set, sorted by name"`
	Mailbox  jsonMailbox  `json:"mailbox" about:"messages that wait for it"`
	Call     *jsonCall    `json:"call" about:"null: none is out"`
	Failure  *jsonFailure `json:"failure" about:"null: the last attempt did not fail"`
	Last     *string      `json:"lastError" about:"of the last attempt; null: it did not fail"`
	Timers   []jsonTimer  `json:"timers" about:"that it has sent, the first 100"`
	All      bool         `json:"timersComplete" about:"false: there may be more; /v1/timers lists all"`
}

type jsonMailbox struct {
	Messages *int64     `json:"messages" about:"that wait or are in the call; null on a standby, and where a function that the module does not declare has too many addresses to know"`
	Stored   int64      `json:"stored" about:"of them, only in the store; on a standby: those that are stored by address. What waits in the memory of the one that works is stored too, and a standby does not see it"`
	Front    *jsonFront `json:"front" about:"the next one, or the first of the call; null: none, or not known"`
}

type jsonFront struct {
	Number   uint64       `json:"number" about:"by which it is skipped"`
	Caller   *jsonAddress `json:"caller" about:"the address that has sent it; null: it came from outside, or that is not known"`
	TypeName string       `json:"typeName" about:"of its value; \"\": none, or not known"`
	Bytes    int          `json:"bytes" about:"of its value"`
	Since    *string      `json:"since" about:"when it came, or was read from the store; null: not known"`
}

type jsonCall struct {
	Since          *string `json:"since" about:"when it went out"`
	RunningSeconds float64 `json:"runningSeconds" about:"since then"`
	Attempt        int     `json:"attempt" about:"1 for the first"`
}

type jsonFailure struct {
	Since        *string `json:"since" about:"when the first of the attempts failed"`
	FailedFor    float64 `json:"failedForSeconds" about:"since then"`
	Attempts     int     `json:"attempts" about:"so far, with one that is out"`
	NextAttempt  *string `json:"nextAttempt" about:"null: it is out, or waits for a slot, for the breaker or for the end of a pause"`
	BudgetIsUsed bool    `json:"budgetIsUsed" about:"it has failed for longer than the budget of a call: with onFailure deadLetter its message is about to be set aside"`
}

// Paths of one address. In the second one the id stands in the query.
const (
	addressPath = "/v1/addresses/{namespace}/{name}/{id}"
	addressByID = "/v1/addresses/{namespace}/{name}"
)

const addressRemedy = "want /v1/addresses/NAMESPACE/NAME/ID, each percent-encoded once as UTF-8 (/ is %2F, % is %25), or ?id=ID in place of the last part; ?raw=true shows values in base64"

func askAddress(ctx context.Context, app Application, r *http.Request) (any, error) {
	a, err := askedAddress(r, "raw")
	raw := false
	if err == nil {
		raw, err = askedRaw(r)
	}
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), addressRemedy}
	}
	found, err := app.Address(ctx, a)
	if err != nil {
		return nil, err
	}
	out := viewOf(a, &found, &showing{raw, valueBytesMax})
	out.All, err = timersOf(ctx, app, a, &out.Timers)
	return out, err
}

// timersShown is how many timers of an address are shown with it.
const timersShown = 100

// timersOf gathers timers that an address has sent, and reports whether those are all.
func timersOf(ctx context.Context, app Application, a api.Address, into *[]jsonTimer) (all bool, err error) {
	left := answerBytesMax
	_, all, err = eachTimer(ctx, app, statestore.TimerKey{Due: math.MinInt64}, func(t *statestore.Timer) bool {
		if t.Message.Caller != a {
			return true
		}
		if len(*into) == timersShown || left <= 0 {
			return false
		}
		*into = append(*into, timerOf(t))
		left -= len(t.Message.Caller.ID) + len(t.Message.Target.ID) + len(t.Token) + len(t.Message.Argument.TypeName)
		return true
	})
	return all, err
}

// askedRaw reads whether values are to be shown in base64.
func askedRaw(r *http.Request) (bool, error) {
	query := r.URL.Query()
	switch text := query.Get("raw"); {
	case text == "true":
		return true, nil
	case text == "false" || !query.Has("raw"):
		return false, nil
	}
	return false, errors.New("raw is neither true nor false")
}

// askedAddress reads the address from the path and the query, decoding each part exactly once.
func askedAddress(r *http.Request, more ...string) (a api.Address, err error) {
	query, err := strictQuery(r, append(more, "id")...)
	if err != nil {
		return a, err
	}
	if a.Type.Namespace, err = part(r, "namespace"); err != nil {
		return a, err
	}
	if a.Type.Name, err = part(r, "name"); err != nil {
		return a, err
	}
	id, isQuery := query["id"]
	_, isPath := pathParameter(r, "id")
	switch {
	case isQuery && isPath:
		return a, errors.New("the id is given twice, in the path and in the query")
	case isQuery:
		a.ID = id
	case isPath:
		if a.ID, err = part(r, "id"); err != nil {
			return a, err
		}
	default:
		return a, errors.New("no id is given")
	}
	return a, api.CheckAddress(a)
}

func pathParameter(r *http.Request, name string) (string, bool) {
	parameters := chi.RouteContext(r.Context()).URLParams
	for i, key := range parameters.Keys {
		if key == name {
			return parameters.Values[i], true
		}
	}
	return "", false
}

func part(r *http.Request, name string) (string, error) {
	raw, _ := pathParameter(r, name)
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", fmt.Errorf("the %s is not well encoded", name)
	}
	return text, nil
}

// strictQuery reads a query that has only these parameters, each once.
func strictQuery(r *http.Request, allowed ...string) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errors.New("the part behind ? is not well encoded")
	}
	out := map[string]string{}
	for _, name := range allowed {
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		if len(values[name]) == 1 {
			if out[name] = values[name][0]; !utf8.ValidString(out[name]) {
				return nil, fmt.Errorf("%s is not UTF-8", name)
			}
		}
	}
	if len(out) < len(values) && len(allowed) == 0 {
		return nil, errors.New("the part behind ? has a parameter, and this takes none")
	}
	if len(out) < len(values) {
		return nil, fmt.Errorf("the part behind ? has a parameter that is not known here; known are %q", allowed)
	}
	return out, nil
}

func viewOf(a api.Address, found *report.Address, show *showing) jsonView {
	v := &found.View
	out := jsonView{
		Address: &jsonAddress{a.Type.Namespace, a.Type.Name, a.ID}, Shard: api.Shard(a.ID), Role: role(found.Active), Declared: found.Declared,
		InMemory: v.InMemory, Phase: v.Phase, Paused: pausedOf(v.Paused), State: statesOf(found, show), Mailbox: jsonMailbox{Stored: found.Stored.Spilled}, Timers: []jsonTimer{},
	}
	if found.Active {
		messages, stored := mailboxOf(v, found.Stored.Spilled)
		if out.Mailbox.Stored = stored; !v.Unlisted {
			out.Mailbox.Messages = &messages
		}
	}
	if f := &v.Front; f.Number != 0 {
		out.Mailbox.Front = &jsonFront{f.Number, addressOf(f.Caller), f.TypeName, f.Bytes, timestamp(f.ArrivedMS)}
	}
	if v.CallSince != 0 {
		out.Call = &jsonCall{timestamp(v.CallSince), seconds(found.NowMS - v.CallSince), v.Attempts}
	}
	if v.FailingSince != 0 {
		out.Failure = &jsonFailure{timestamp(v.FailingSince), seconds(found.NowMS - v.FailingSince), v.Attempts, timestamp(v.NextAttempt), v.Stuck}
	}
	if v.LastError != "" {
		out.Last = &v.LastError
	}
	return out
}

// seconds of milliseconds; clocks that disagree give no negative ones.
func seconds(ms int64) float64 { return max(0, (time.Duration(ms) * time.Millisecond).Seconds()) }
