package admin

import (
	"context"
	"net/http"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

const addressesPath = "/v1/addresses"

// jsonListedAddress is an address that the store keeps.
type jsonListedAddress struct {
	Address   *jsonAddress `json:"address" about:"the one that this is about"`
	Shard     int          `json:"shard" about:"0 to 1439, by the id alone"`
	InMemory  bool         `json:"inMemory" about:"whether the member that answers has it in memory; false on a standby"`
	Phase     string       `json:"phase" about:"\"\": it is not in memory"`
	Messages  *int64       `json:"messages" about:"that wait or are in the call; null on a standby"`
	Stored    int64        `json:"stored" about:"of them, only in the store"`
	Failing   bool         `json:"failing" about:"the last attempt failed"`
	Attempts  int          `json:"attempts" about:"of the call at hand, with one that is out; 0: none"`
	LastError string       `json:"lastError" about:"\"\": the last attempt did not fail"`
	Paused    bool         `json:"paused" about:"it, or its function"`
}

func askAddresses(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r, "function", "prefix")
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
	cursor, err := cursorAfter(query)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), pageRemedy}
	}
	answer := list[jsonListedAddress]{Items: []jsonListedAddress{}}
	for left := answerBytesMax; len(answer.Items) < limit && left > 0; {
		found, next, err := app.Addresses(ctx, function, query["prefix"], cursor, min(addressesAtOnce, limit-len(answer.Items)))
		if err != nil {
			return nil, err
		}
		views, err := app.Views(ctx, found)
		if err != nil {
			return nil, err
		}
		mail, err := app.Mailboxes(ctx, found)
		if err != nil {
			return nil, err
		}
		for i, a := range found {
			var v *machine.View // nil: no memory knows of it
			if views != nil {
				v = &views[i]
			}
			item := listedAddress(a, v, mail[i].Spilled)
			answer.Items = append(answer.Items, item)
			left -= len(a.ID) + len(item.LastError)
		}
		if cursor, answer.Next = next, nextCursor(next); next == nil {
			break
		}
	}
	return answer, nil
}

// addressesAtOnce is how many are read from the store at a time: each id may be 64 KiB.
const addressesAtOnce = 100

func listedAddress(a api.Address, v *machine.View, stored int64) jsonListedAddress {
	out := jsonListedAddress{Address: &jsonAddress{a.Type.Namespace, a.Type.Name, a.ID}, Shard: api.Shard(a.ID), Stored: stored}
	if v == nil {
		return out
	}
	out.Messages, out.InMemory, out.Phase, out.Failing, out.Attempts, out.LastError, out.Paused = &stored, v.InMemory, v.Phase, v.FailingSince != 0, v.Attempts, v.LastError, v.Paused != nil
	if v.InMemory {
		out.Messages, out.Stored = &v.Mailbox, v.Spilled
	}
	return out
}
