package admin

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

const timersPath = "/v1/timers"

type jsonTimer struct {
	Due      *string      `json:"due" about:"when it fires"`
	Number   uint64       `json:"number" about:"tells it from others that are due at the same time"`
	Sender   *jsonAddress `json:"sender" about:"null: it came from outside"`
	Target   *jsonAddress `json:"target" about:"whom it is sent to then"`
	Token    string       `json:"token" about:"\"\": it cannot be cancelled"`
	TypeName string       `json:"typeName" about:"of its value; \"\": it has none"`
	Bytes    int          `json:"bytes" about:"of its value"`
}

func timerOf(t *statestore.Timer) jsonTimer {
	return jsonTimer{
		Due: timestamp(t.Due), Number: t.Number, Sender: addressOf(t.Message.Caller), Target: addressOf(t.Message.Target), Token: t.Token,
		TypeName: t.Message.Argument.TypeName, Bytes: len(t.Message.Argument.Value),
	}
}

// askTimers looks through the timers in the order of firing. Of a page of one function's there may be few, or none, that end with a next:
// so many others were looked at.
func askTimers(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r, "function")
	if err != nil {
		return nil, err
	}
	var function *api.FunctionType
	if text, ok := query["function"]; ok {
		t, err := askedFunction(text)
		if err != nil {
			return nil, err
		}
		function = &t
	}
	after := statestore.TimerKey{Due: math.MinInt64}
	if text, ok := query["after"]; ok {
		if after, err = timerAfter(text); err != nil {
			return nil, problem{http.StatusBadRequest, err.Error(), pageRemedy}
		}
	}
	answer := list[jsonTimer]{Items: []jsonTimer{}}
	left := answerBytesMax
	at, end, err := eachTimer(ctx, app, after, func(t *statestore.Timer) bool {
		if function != nil && t.Message.Target.Type != *function {
			return true
		}
		answer.Items = append(answer.Items, timerOf(t))
		left -= len(t.Message.Caller.ID) + len(t.Message.Target.ID) + len(t.Token) + len(t.Message.Argument.TypeName)
		return len(answer.Items) < limit && left > 0
	})
	if err == nil && !end {
		text := fmt.Sprintf("%d-%d", at.Due, at.Number)
		answer.Next = &text
	}
	return answer, err
}

// answerBytesMax bounds the ids and texts of an answer's items.
const answerBytesMax = 4 << 20

func timerAfter(text string) (after statestore.TimerKey, err error) {
	at := strings.LastIndexByte(text, '-')
	if at > 0 {
		after.Due, err = strconv.ParseInt(text[:at], 10, 64)
		if err == nil {
			after.Number, err = strconv.ParseUint(text[at+1:], 10, 63)
		}
	}
	if at <= 0 || err != nil {
		return after, fmt.Errorf("after is not next of a page before")
	}
	return after, nil
}

// Bounds of a look through the timers.
const (
	timersLooked     = 10_000
	timerBytesLooked = 16 << 20
	timersFirst      = 16      // that are read at a time, before it is known how large they are
	timerBytesAtOnce = 1 << 20 // that they should be then, about
)

// eachTimer hands over timers behind after until visit answers false, or so many are looked at. It answers where that was; end: there
// are no more.
func eachTimer(ctx context.Context, app Application, after statestore.TimerKey, visit func(*statestore.Timer) (more bool)) (at statestore.TimerKey, end bool, err error) {
	want, looked, bytes := timersFirst, 0, 0
	for looked < timersLooked && bytes < timerBytesLooked {
		page, err := app.Timers(ctx, after, want)
		if err != nil {
			return after, false, err
		}
		size := 0
		for i := range page {
			after = page[i].TimerKey
			size += page[i].Message.Size()
			if !visit(&page[i]) {
				return after, false, nil
			}
		}
		if len(page) < want {
			return after, true, nil
		}
		looked += len(page)
		bytes += size
		want = max(1, min(timerBytesAtOnce/max(size/len(page), 1), 1000))
	}
	return after, false, nil
}

// askedFunction reads namespace/name. The error is a problem.
func askedFunction(text string) (api.FunctionType, error) {
	t, err := api.ParseFunctionType(text)
	if err == nil {
		err = api.CheckAddress(api.Address{Type: t})
	}
	if err != nil {
		return t, problem{http.StatusBadRequest, "function: " + err.Error(), "want ?function=NAMESPACE/NAME, percent-encoded once as UTF-8"}
	}
	return t, nil
}
