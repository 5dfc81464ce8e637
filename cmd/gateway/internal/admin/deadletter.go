package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/stategate/stategate/api"
)

// Bounds of a page of dead letters.
const (
	deadLettersDefault = 100
	deadLettersMax     = 1000
	deadLettersAtOnce  = 10 // that are read from the store at a time, so that large ones do not fill the memory
)

type jsonDeadLetter struct {
	Number     uint64       `json:"number"`
	Kind       string       `json:"kind"` // record, message or output: at which door it was set aside
	From       string       `json:"from"` // ingress, function type or egress
	Reason     string       `json:"reason"`
	Detail     string       `json:"detail"`
	At         *string      `json:"at"`
	Source     *jsonSource  `json:"source,omitempty"`
	LaneNumber *int64       `json:"laneNumber,omitempty"` // of an output
	Address    *jsonAddress `json:"address"`              // whose message it was; the sender of an output
	Caller     *jsonAddress `json:"caller"`
	TypeName   string       `json:"typeName"`
	Key        *[]byte      `json:"key"` // null where there was none
	ValueBytes int          `json:"valueBytes"`
	Value      *[]byte      `json:"value"`        // null where there was none, or where it is left out
	LeftOut    bool         `json:"valueOmitted"` // the answer would grow too large
	Headers    []jsonHeader `json:"headers,omitempty"`
}

type jsonSource struct {
	Ingress   string `json:"ingress"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type jsonHeader struct {
	Key   string  `json:"key"`
	Value *[]byte `json:"value"`
}

func (h *handler) deadLetters(w http.ResponseWriter, r *http.Request) {
	after, limit, err := askedPage(r)
	if err != nil {
		write(w, problem{http.StatusBadRequest, err.Error(), fmt.Sprintf("want ?after=NUMBER&limit=NUMBER, both optional; limit is at most %d", deadLettersMax)})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerMax)
	defer cancel()
	answer := struct {
		DeadLetters []jsonDeadLetter `json:"deadLetters"`
		Next        *uint64          `json:"next"` // what to give as after for more; null at the end
	}{DeadLetters: []jsonDeadLetter{}}
	left := valueBytesMax
	for len(answer.DeadLetters) < limit && left > 0 {
		want := min(deadLettersAtOnce, limit-len(answer.DeadLetters))
		page, err := h.Gateway.DeadLetters(ctx, after, want)
		if err != nil {
			h.failed(w, r, err)
			return
		}
		for i := range page {
			answer.DeadLetters = append(answer.DeadLetters, deadLetterOf(&page[i], &left))
			after = page[i].Number
		}
		if answer.Next = &after; len(page) < want {
			answer.Next = nil
			break
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

const deadLetterPath = "/v1/deadletters/{number}"

func (h *handler) deadLetter(w http.ResponseWriter, r *http.Request) {
	number, ok := askedNumber(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerMax)
	defer cancel()
	found, err := h.Gateway.DeadLetters(ctx, number-1, 1)
	switch {
	case err != nil:
		h.failed(w, r, err)
	case len(found) == 0 || found[0].Number != number:
		noDeadLetter(w, number)
	default:
		left := valueBytesMax
		writeJSON(w, http.StatusOK, deadLetterOf(&found[0], &left))
	}
}

// discard removes a letter. A page in an operator's browser cannot ask for it, whoever has written that page: browsers say where
// such a request comes from.
func (h *handler) discard(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		write(w, problem{http.StatusForbidden, "a page in a browser asks to discard a dead letter", "use curl -X DELETE"})
		return
	}
	number, ok := askedNumber(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerMax)
	defer cancel()
	found, err := h.Gateway.Discard(ctx, number)
	switch {
	case errors.Is(err, ErrStandby):
		write(w, problem{http.StatusConflict, ErrStandby.Error(), "ask the one whose /readyz says active"})
	case err != nil:
		h.failed(w, r, err)
	case !found:
		noDeadLetter(w, number)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func askedNumber(w http.ResponseWriter, r *http.Request) (number uint64, ok bool) {
	_, err := strictQuery(r)
	text, _ := pathParameter(r, "number")
	if err == nil {
		number, err = strconv.ParseUint(text, 10, 63)
	}
	if err != nil || number == 0 {
		write(w, problem{http.StatusBadRequest, "that is not the number of a dead letter", "GET /v1/deadletters lists them; want /v1/deadletters/NUMBER"})
		return 0, false
	}
	return number, true
}

func noDeadLetter(w http.ResponseWriter, number uint64) {
	write(w, problem{http.StatusNotFound, fmt.Sprintf("there is no dead letter %d", number), "GET /v1/deadletters lists them; it may be discarded already"})
}

func askedPage(r *http.Request) (after uint64, limit int, err error) {
	query, err := strictQuery(r, "after", "limit")
	if err != nil {
		return 0, 0, err
	}
	if text, ok := query["after"]; ok {
		if after, err = strconv.ParseUint(text, 10, 63); err != nil {
			return 0, 0, fmt.Errorf("after is not the number of a dead letter")
		}
	}
	limit = deadLettersDefault
	if text, ok := query["limit"]; ok {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > deadLettersMax {
			return 0, 0, fmt.Errorf("limit is not a number from 1 to %d", deadLettersMax)
		}
	}
	return after, limit, nil
}

// deadLetterOf takes what it shows from the bytes that are left.
func deadLetterOf(d *api.DeadLetter, left *int) jsonDeadLetter {
	out := jsonDeadLetter{
		Number: d.Number, Kind: d.Kind.String(), From: d.From, Reason: d.Reason, Detail: d.Detail, At: timestamp(d.AtMS),
		Address: addressOf(d.Address), Caller: addressOf(d.Caller), TypeName: d.TypeName, Key: bytesOf(d.Key), ValueBytes: len(d.Value),
	}
	switch d.Kind {
	case api.DeadRecord:
		out.Source = &jsonSource{d.Source.Ingress, d.Source.Topic, d.Source.Partition, d.Offset}
	case api.DeadOutput:
		out.LaneNumber = &d.Offset
	}
	for _, header := range d.Headers {
		out.Headers = append(out.Headers, jsonHeader{header.Key, bytesOf(header.Value)})
		*left -= len(header.Key) + len(header.Value) + headerOverhead
	}
	*left -= len(d.From) + len(d.TypeName) + len(d.Key) + len(d.Detail) + len(d.Address.ID) + len(d.Caller.ID) + deadLetterOverhead
	if out.LeftOut = len(d.Value) > *left; !out.LeftOut {
		*left -= len(d.Value)
		out.Value = bytesOf(d.Value)
	}
	return out
}

const (
	deadLetterOverhead = 500 // bytes of its other fields, about
	headerOverhead     = 40  // of a header, beside its key and value
)

func bytesOf(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}
