package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/stategate/stategate/api"
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

func askDeadLetters(ctx context.Context, app Application, r *http.Request) (any, error) {
	after, limit, err := askedPage(r)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), fmt.Sprintf("want ?after=NUMBER&limit=NUMBER, both optional; limit is at most %d", pageMax)}
	}
	answer := list[jsonDeadLetter]{Items: []jsonDeadLetter{}}
	left := valueBytesMax
	for len(answer.Items) < limit && left > 0 {
		page, err := app.DeadLetters(ctx, after, limit-len(answer.Items))
		if err != nil {
			return nil, err
		}
		if len(page) == 0 { // nothing else is the end: a page of the store is bounded in bytes
			answer.Next = nil
			break
		}
		for i := range page {
			answer.Items = append(answer.Items, deadLetterOf(&page[i], &left))
			if after = page[i].Number; left <= 0 {
				break
			}
		}
		answer.Next = nextNumber(after)
	}
	return answer, nil
}

const (
	deadLettersPath = "/v1/deadletters"
	deadLetterPath  = "/v1/deadletters/{number}"
)

func askDeadLetter(ctx context.Context, app Application, r *http.Request) (any, error) {
	number, err := askedNumber(r)
	if err != nil {
		return nil, err
	}
	found, err := app.DeadLetters(ctx, number-1, 1)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0 || found[0].Number != number:
		return nil, noDeadLetter(number)
	}
	left := valueBytesMax
	return deadLetterOf(&found[0], &left), nil
}

// askedNumber reads the number of a dead letter from the path. The error is a problem.
func askedNumber(r *http.Request) (number uint64, err error) {
	_, err = strictQuery(r)
	text, _ := pathParameter(r, "number")
	if err == nil {
		number, err = strconv.ParseUint(text, 10, 63)
	}
	if err != nil || number == 0 {
		return 0, problem{http.StatusBadRequest, "that is not the number of a dead letter", "GET /v1/deadletters lists them; want /v1/deadletters/NUMBER"}
	}
	return number, nil
}

func noDeadLetter(number uint64) problem {
	return problem{http.StatusNotFound, fmt.Sprintf("there is no dead letter %d", number), "GET /v1/deadletters lists them; it may be discarded already"}
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
	limit, err = limitOf(query)
	return after, limit, err
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
