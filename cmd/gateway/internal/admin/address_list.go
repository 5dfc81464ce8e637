package admin

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

const addressesPath = "/v1/addresses"

// jsonListedAddress is an address that has states or messages.
type jsonListedAddress struct {
	Address   *jsonAddress `json:"address" about:"the one that this is about"`
	Shard     int          `json:"shard" about:"0 to 1439, by the id alone"`
	InMemory  bool         `json:"inMemory" about:"whether the member that answers has it in memory; false on a standby"`
	Phase     string       `json:"phase" about:"\"\": it is not in memory"`
	Messages  *int64       `json:"messages" about:"that wait or are in the call; null on a standby, and where a function that the module does not declare has too many addresses to know"`
	Stored    int64        `json:"stored" about:"of them, only in the store; on a standby: those that are stored by address, there may be others"`
	Failing   bool         `json:"failing" about:"the last attempt failed"`
	Attempts  int          `json:"attempts" about:"of the call at hand, with one that is out; 0: none"`
	LastError string       `json:"lastError" about:"\"\": the last attempt did not fail"`
	Paused    bool         `json:"paused" about:"it, or its function"`
}

func askAddresses(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r, "function", "prefix", "failing")
	if err != nil {
		return nil, err
	}
	function, err := askedFunction(query["function"])
	if err != nil {
		return nil, err
	}
	if err := api.CheckID(query["prefix"]); err != nil {
		return nil, problem{http.StatusBadRequest, "prefix: " + err.Error(), "want the beginning of an id, percent-encoded once as UTF-8"}
	}
	failing := query["failing"] == "true"
	if _, asked := query["failing"]; asked && !failing && query["failing"] != "false" {
		return nil, problem{http.StatusBadRequest, "failing is neither true nor false", "want ?failing=true, or none"}
	}
	cursor, err := cursorAfter(query)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), pageRemedy}
	}
	answer := list[jsonListedAddress]{Items: []jsonListedAddress{}}
	narrow, began := false, time.Now()
	for left, looks := answerBytesMax, 0; len(answer.Items) < limit && left > 0 && (!failing || narrow || looks < looksMax && time.Since(began) < looksTime); looks++ {
		room, before, had := limit-len(answer.Items), len(answer.Items), left
		if failing && !narrow { // most do not, and a look costs the same however few it is for
			room = pageMax
		}
		found, next, err := app.Addresses(ctx, function, query["prefix"], cursor, room)
		if err != nil {
			return nil, err
		}
		if failing && len(found) == 0 { // nobody is looked at; it may be that nobody can be
			if _, err := listAddresses(ctx, app, nil, failing, &answer.Items); err != nil {
				return nil, err
			}
		}
		for some := range slices.Chunk(found, addressesAtOnce) {
			took, err := listAddresses(ctx, app, some, failing, &answer.Items)
			if err != nil {
				return nil, err
			}
			left -= took
		}
		if narrow = len(answer.Items) > limit; narrow { // more of these fail than there is room for: fewer are looked at
			answer.Items, left = answer.Items[:before], had
			continue
		}
		if cursor, answer.Next = next, nextCursor(next); next == nil {
			break
		}
	}
	return answer, nil
}

// addressesAtOnce is how many are looked at, in memory and in the store, at a time, looksMax how often some are looked for before a page
// ends, and looksTime for how long: of a million that do not fail nobody waits for all, and where a look takes seconds a page has an answer in
// time all the same.
const (
	addressesAtOnce = 100
	looksMax        = 5
	looksTime       = answerMax / 3
)

// listAddresses tells of addresses, or of those of them that fail, what memory and the store know of them, and answers how many bytes their
// texts have.
func listAddresses(ctx context.Context, app Application, found []api.Address, failing bool, into *[]jsonListedAddress) (bytes int, err error) {
	views, err := app.Views(ctx, found)
	if err != nil {
		return 0, err
	}
	if failing {
		if views == nil {
			return 0, problem{http.StatusConflict, "which addresses fail is known to the gateway that works", "GET /v1/members tells which that is"}
		}
		found, views = thatFail(found, views)
	}
	mail, err := app.Mailboxes(ctx, found)
	if err != nil {
		return 0, err
	}
	for i, a := range found {
		var v *machine.View // nil: no memory knows of it
		if views != nil {
			v = &views[i]
		}
		item := listedAddress(a, v, mail[i].Spilled)
		*into = append(*into, item)
		bytes += len(a.ID) + len(item.LastError)
	}
	return bytes, nil
}

// thatFail are those whose last attempt failed.
func thatFail(found []api.Address, views []machine.View) (failing []api.Address, of []machine.View) {
	of = []machine.View{}
	for i := range views {
		if views[i].FailingSince != 0 {
			failing, of = append(failing, found[i]), append(of, views[i])
		}
	}
	return failing, of
}

func listedAddress(a api.Address, v *machine.View, stored int64) jsonListedAddress {
	out := jsonListedAddress{Address: &jsonAddress{a.Type.Namespace, a.Type.Name, a.ID}, Shard: api.Shard(a.ID), Stored: stored}
	if v == nil {
		return out
	}
	out.InMemory, out.Phase, out.Failing, out.Attempts, out.LastError, out.Paused = v.InMemory, v.Phase, v.FailingSince != 0, v.Attempts, v.LastError, v.Paused != nil
	messages, stored := mailboxOf(v, stored)
	if out.Stored = stored; !v.Unlisted {
		out.Messages = &messages
	}
	return out
}

// mailboxOf is how many messages an address has that memory was asked for, and how many of them are only in the store; stored is how many
// the store has by address.
func mailboxOf(v *machine.View, stored int64) (messages, only int64) {
	messages, only = stored, stored
	if v.InMemory {
		messages, only = v.Mailbox, v.Spilled
	}
	return messages + v.Strange, only + v.Strange
}
