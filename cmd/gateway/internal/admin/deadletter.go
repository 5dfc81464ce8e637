package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/stategate/stategate/api"
)

type jsonDeadLetter struct {
	Number     uint64       `json:"number" about:"by which it is shown, replayed and discarded; later ones have higher numbers"`
	Kind       string       `json:"kind" about:"record, message or output: at which door it was set aside"`
	From       string       `json:"from" about:"the ingress, function type or egress that it comes from: name of its origin, where that is known"`
	Target     *string      `json:"target" about:"the function type or egress that it was for, where that is another one than from; null: it is not"`
	Origin     *jsonOrigin  `json:"origin" about:"whose bound it counts in, and by which it is asked for; null: not known"`
	Reason     string       `json:"reason" about:"short and stable, for counting and for asking"`
	Detail     string       `json:"detail" about:"for people; \"\": there is no more to say"`
	At         *string      `json:"at" about:"when it was set aside"`
	Source     *jsonSource  `json:"source,omitempty" about:"of a record: where it stands"`
	LaneNumber *int64       `json:"laneNumber,omitempty" about:"of an output: its number in its lane"`
	Address    *jsonAddress `json:"address" about:"whose message it was; the sender of an output"`
	Caller     *jsonAddress `json:"caller" about:"the address that has sent it; null: it came from outside, or that is not known"`
	Key        *[]byte      `json:"key" about:"of a record, in base64; null: there was none"`
	jsonPayload
	Headers []jsonHeader `json:"headers,omitempty" about:"of a record, as they came; left out: there were none"`
}

// jsonOrigin is whose bound a letter counts in, and by which letters are asked for.
type jsonOrigin struct {
	Kind string `json:"kind" about:"ingress, function or egress"`
	Name string `json:"name" about:"namespace/name of it"`
}

func originOf(origin string) *jsonOrigin {
	kind, name, ok := strings.Cut(origin, " ")
	if !ok {
		return nil
	}
	return &jsonOrigin{kind, name}
}

type jsonSource struct {
	Ingress   string `json:"ingress" about:"namespace/name"`
	Topic     string `json:"topic" about:"or the stream of a Kinesis ingress"`
	Partition int32  `json:"partition" about:"of the topic, from 0 on"`
	Offset    int64  `json:"offset" about:"in the partition"`
}

type jsonHeader struct {
	Key   string  `json:"key" about:"its name"`
	Value *[]byte `json:"value" about:"in base64; null: it has none"`
}

// lettersLooked bounds how many letters are looked at for one page.
const lettersLooked = 10_000

func askDeadLetters(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r, "function", "ingress", "egress", "reason", "raw")
	if err != nil {
		return nil, err
	}
	after, err := numberAfter(query)
	if err != nil {
		return nil, err
	}
	origin, err := askedOrigin(query)
	if err != nil {
		return nil, err
	}
	raw, err := askedRaw(r)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want ?raw=true, or none"}
	}
	reason, ofReason := query["reason"]
	answer := list[jsonDeadLetter]{Items: []jsonDeadLetter{}}
	show := &showing{raw, valueBytesMax}
	for looked := 0; len(answer.Items) < limit && show.left > 0 && looked < lettersLooked; {
		page, err := app.DeadLetters(ctx, after, limit)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 { // nothing else is the end: a page of the store is bounded in bytes
			answer.Next = nil
			break
		}
		for i := range page {
			d := &page[i]
			if after = d.Number; (origin == "" || d.Origin == origin) && (!ofReason || d.Reason == reason) {
				answer.Items = append(answer.Items, deadLetterOf(d, show))
			}
			if looked++; show.left <= 0 || len(answer.Items) == limit {
				break
			}
		}
		answer.Next = nextNumber(after)
	}
	return answer, nil
}

// askedOrigin reads which letters are asked for; "": all. The error is a problem.
func askedOrigin(query map[string]string) (string, error) {
	origin := ""
	for _, kind := range []string{"function", "ingress", "egress"} {
		name, ok := query[kind]
		if !ok {
			continue
		}
		if origin != "" || name == "" || len(name) > 2*api.NameBytesMax {
			return "", problem{http.StatusBadRequest, "the origin of the letters is empty, too long, or given twice", "want one of ?function=NAMESPACE/NAME, ?ingress=NAMESPACE/NAME and ?egress=NAMESPACE/NAME"}
		}
		origin = kind + " " + name
	}
	return origin, nil
}

type jsonDeadTotal struct {
	Origin  *jsonOrigin `json:"origin" about:"whose bound they count in; null: not known"`
	Letters int64       `json:"letters" about:"how many"`
	Bytes   int64       `json:"bytes" about:"of all of them, as their bound counts them"`
}

func askDeadTotals(ctx context.Context, app Application, r *http.Request) (any, error) {
	if _, err := strictQuery(r); err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want /v1/deadletters/totals"}
	}
	found, err := app.DeadTotals(ctx)
	if err != nil {
		return nil, err
	}
	answer := list[jsonDeadTotal]{Items: []jsonDeadTotal{}}
	for _, d := range found {
		answer.Items = append(answer.Items, jsonDeadTotal{originOf(d.Origin), d.Letters, d.Bytes})
	}
	return answer, nil
}

type jsonNewest struct {
	Number uint64 `json:"number" about:"0: there are no dead letters"`
}

// askNewest is for whoever wants to know first what a batch will be about.
func askNewest(ctx context.Context, app Application, r *http.Request) (any, error) {
	if _, err := strictQuery(r); err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want " + deadLettersPath + "/newest"}
	}
	last, err := app.LastDeadLetter(ctx)
	return jsonNewest{last}, err
}

const (
	deadLettersPath = "/v1/deadletters"
	deadLetterPath  = "/v1/deadletters/{number}"
)

func askDeadLetter(ctx context.Context, app Application, r *http.Request) (any, error) {
	number, err := askedNumber(r, "raw")
	if err != nil {
		return nil, err
	}
	raw, err := askedRaw(r)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want ?raw=true, or none"}
	}
	found, err := app.DeadLetters(ctx, number-1, 1)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0 || found[0].Number != number:
		return nil, noDeadLetter(number)
	}
	return deadLetterOf(&found[0], &showing{raw, valueBytesMax}), nil
}

// askedNumber reads the number of a dead letter from the path. The error is a problem.
func askedNumber(r *http.Request, query ...string) (number uint64, err error) {
	_, err = strictQuery(r, query...)
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

// deadLetterOf takes what it shows from the bytes that are left.
func deadLetterOf(d *api.DeadLetter, show *showing) jsonDeadLetter {
	out := jsonDeadLetter{
		Number: d.Number, Kind: d.Kind.String(), From: d.From, Origin: originOf(d.Origin), Reason: d.Reason, Detail: d.Detail, At: timestamp(d.AtMS),
		Address: addressOf(d.Address), Caller: addressOf(d.Caller), Key: bytesOf(d.Key),
	}
	if out.Origin != nil && out.Origin.Name != d.From { // it was for nobody whom the module declares
		out.From, out.Target = out.Origin.Name, &d.From
	}
	switch d.Kind {
	case api.DeadRecord:
		out.Source = &jsonSource{d.Source.Ingress, d.Source.Topic, d.Source.Partition, d.Offset}
	case api.DeadOutput:
		out.LaneNumber = &d.Offset
	}
	for _, header := range d.Headers {
		out.Headers = append(out.Headers, jsonHeader{header.Key, bytesOf(header.Value)})
		show.left -= len(header.Key) + len(header.Value) + headerOverhead
	}
	show.left -= len(d.From) + len(d.Origin) + len(d.TypeName) + len(d.Key) + len(d.Detail) + len(d.Address.ID) + len(d.Caller.ID) + deadLetterOverhead
	out.jsonPayload = show.payload(d.TypeName, d.Value)
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
