package main

import (
	"context"

	stategate "github.com/stategate/stategate/sdk/go"
)

// visit is what the topic "visits" holds: the page that was visited, as plain text. The key of the record is the user.
var visit = stategate.Bytes("example.types/visit")

// seen is how often a user was here.
var seen = stategate.ValueSpec[int32]{Name: "seen", Type: stategate.Int}

// visits is called for each visit, with the user as its id. It counts, and has the user greeted.
var visits = stategate.Function{
	Type:   "example/visits",
	States: []stategate.State{seen},
	Call: func(_ context.Context, in *stategate.Invocation) error {
		page, err := visit.From(in.Argument())
		if err != nil {
			return err
		}
		n, _, err := seen.Get(in)
		if err != nil {
			return err
		}
		n++
		seen.Set(in, n)
		in.Send(stategate.To("example/greeter", in.Self().ID), greeting.Of(Greeting{Visit: n, Page: string(page)}))
		return nil
	},
}
