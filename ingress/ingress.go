// Package ingress says what an ingress needs of the engine and what it owes it: records of each source in order, from the
// position that the engine keeps. It holds no positions of its own and never drops a record; its subfolders adapt it to
// what events come from.
package ingress

import (
	"context"
	"errors"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Engine is where records go. It belongs to one incarnation: after an error of its context everything begins anew from the
// stored positions.
type Engine interface {
	// Progress is what is committed for a source; ok is false when the store has never heard of it. A source is read from
	// Progress.Position on. The answer is a copy.
	Progress(source api.Source) (p statestore.Progress, ok bool)
	// Start makes start positions of new sources durable, all of them in one commit. It returns when that is committed; only
	// then may the first record be fetched. It is also how an operator's or the module's decision for another position is
	// written down.
	Start(ctx context.Context, starts []statestore.Progress) error
	// Arrive hands over records of one source in rising order of offset and takes ownership of the slice. It waits while the
	// source has brought in as much as it may hold unfinished; other sources go on. One goroutine per source calls it.
	Arrive(ctx context.Context, source api.Source, records []api.Record) error
}

// Sender is where events go that have no source to bring them again, and whose sender waits. It belongs to one incarnation, too.
type Sender interface {
	// Send returns nil when the message is durable, or what came of it. It waits while there is no room, until ctx ends; messages to
	// one function are taken in the order in which they came. The message's value must not change any more. The error says what has
	// happened (ErrUnknownFunction, ErrUnusable, ErrNotTaken, ErrMaybeTaken) and has a text for whoever sent it. Whoever calls it
	// bounds how often it does so at once: what waits is in no other bound.
	Send(ctx context.Context, message api.Message) error
}

// Asker is a Sender whose messages may have replies and delays.
type Asker interface {
	Sender
	// Ask is Send for a message whose sender waits for a reply, and answers it once a commit holds it. Beside Send's errors there are
	// ErrNoReply, ErrReplyLost and ErrSetAside.
	Ask(ctx context.Context, message api.Message) (api.TypedValue, error)
	// Once is Ask, or Send when no reply is wanted, for a message that has a key: what is sent to one address under one key takes effect
	// once within a day, and all are answered with the same. Beside their errors there is ErrKeyUsed; after any error the same may be
	// sent again.
	Once(ctx context.Context, message api.Message, key string, reply bool) (api.TypedValue, error)
	// Later is Send for a message that is delivered after a delay. With a name it replaces one of this name that waits.
	Later(ctx context.Context, message api.Message, delay time.Duration, name string) error
	// CancelLater removes the delayed message of this name, if it waits still, and returns when that is durable.
	CancelLater(ctx context.Context, name string) error
}

var (
	// ErrUnknownFunction: nobody serves the function. Nothing has happened; declare an endpoint, or send to another function.
	ErrUnknownFunction = errors.New("unknown function")
	// ErrUnusable: the message can never be a call. Nothing has happened; send another one.
	ErrUnusable = errors.New("message cannot be used")
	// ErrNotTaken: nothing has happened. Send it again, a little later.
	ErrNotTaken = errors.New("message was not taken")
	// ErrMaybeTaken: nobody knows whether it was taken. Whoever sends it again may have it take effect twice.
	ErrMaybeTaken = errors.New("it is not known whether the message was taken")
	// ErrNoReply: the message takes effect, once, unless it is set aside, and its reply has not come in time.
	ErrNoReply = errors.New("message was taken, and its reply has not come")
	// ErrKeyUsed: the key was used for another message. Nothing has happened; use another key.
	ErrKeyUsed = errors.New("key was used for another message")
	// ErrReplyLost: the message takes effect, once, unless it is set aside, and nobody will be handed its reply.
	ErrReplyLost = errors.New("message was taken, and its reply is lost")
	// ErrSetAside: the message is a dead letter. It has had no effect, and has one only if somebody replays it.
	ErrSetAside = errors.New("message is set aside")
	// ErrFailing, beside ErrNoReply: the function fails on what waits for the address.
	ErrFailing = errors.New("the function fails on what waits for the address")
)

// Hooks observe an ingress. Nil funcs are not called; they must be quick and safe for concurrent use.
type Hooks struct {
	// Records counts records that were read, before anything is decided about them.
	Records func(source api.Source, records, bytes int)
	// Skipped counts records that the module says to skip (reason: "null key", "null value").
	Skipped func(source api.Source, reason string)
	// Lag is the number of records between what is committed as finished and the end of the source.
	Lag func(source api.Source, records int64)
	// Degraded names a condition that operators must know of, under a stable key ("ingress shop/in orders/3: topic was made
	// anew"); Recovered ends it.
	Degraded  func(key, text string)
	Recovered func(key string)
}
