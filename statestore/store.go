// Package statestore says what survives a crash: the roles that a store plays and the values that it takes. It decides
// nothing, calls nobody and starts nothing; its subfolders hold the stores.
//
// A store belongs to one application. One member (a running gateway) owns all of it at a time; the others wait in Acquire.
// All writes but those of ownership go through Commit, which is fenced: a member that was taken over cannot commit.
package statestore

import (
	"context"
	"errors"

	"github.com/stategate/stategate/api"
)

// Errors by which a store tells its caller what to do. Every other error of Commit is a refusal that will not go away by
// itself: the caller stops with it.
var (
	// ErrFenced: another member took over. Drop all that is in memory and Acquire again.
	ErrFenced = errors.New("taken over by another member")
	// ErrDoubt: nobody knows whether the commit took place. Ask LastCommit before anything else.
	ErrDoubt = errors.New("outcome of the commit is unknown")
	// ErrUnavailable: the store cannot be reached; nothing was written. The same call may be made again.
	ErrUnavailable = errors.New("store is not available")
	// ErrNewer: the store was written by a newer version. Stop.
	ErrNewer = errors.New("store was written by a newer version")
	// ErrNoteTooLong: see NoteBytesMax.
	ErrNoteTooLong = errors.New("a note has at most 1 MiB")
)

// Store keeps one application.
type Store interface {
	Ownership
	Committer
	Reader
	Walker
	Notepad

	// Identity is the store's own UUID, drawn when it was created. Names that must not outlive the store carry it.
	Identity() string
	// Close ends all connections. It does not release ownership.
	Close() error
}

// Ownership says which member works on the store.
type Ownership interface {
	// Acquire waits until the member owns all shards, source partitions and lanes, and answers what the store keeps.
	// It raises the epoch of the row that fenced the former owner before it reads anything. egresses name the lanes that
	// must exist: one of slot 0 for each. It ends early with ctx's error, or with an error that waiting cannot mend.
	Acquire(ctx context.Context, member Member, egresses []string) (*Claim, error)
	// Renew prolongs the lease. ErrFenced when the member owns nothing any more; ErrUnavailable when nobody can tell.
	Renew(ctx context.Context, fence Fence) error
	// Release gives everything up, so that a waiting member need not wait for the lease. Releasing twice is no error.
	Release(ctx context.Context, fence Fence) error
	// Owner is the member that owns the store now; ok is false when none does or its lease has ended.
	Owner(ctx context.Context) (member Member, ok bool, err error)
	// Members lists the gateways that the store knows of: the owner first, also one whose lease has ended and that nobody has taken
	// over from, and behind it, sorted by id, those that wait in Acquire, as far as they can say so without being in its way. It is
	// for people: nothing is decided by it.
	Members(ctx context.Context) ([]MemberState, error)
}

// Committer makes a consistent cut durable.
type Committer interface {
	// Commit writes everything in c in one transaction, or nothing. Its first statement is the compare-and-set of the
	// member's row from (epoch, Number-1) to (epoch, Number). nil, ErrFenced, ErrDoubt, ErrUnavailable or a final refusal.
	// The store neither changes nor keeps c's slices after it returned.
	Commit(ctx context.Context, c *Commit) error
	// LastCommit is the number of the member's last commit, read with a lock that waits for a commit that is still on its
	// way. ErrFenced when another member took over.
	LastCommit(ctx context.Context, fence Fence) (uint64, error)
}

// Reader reads what was committed. Answers belong to the caller. Errors are ErrUnavailable or final.
type Reader interface {
	// States answers one Loaded for each address, in order; an address that the store does not know has an empty one.
	States(ctx context.Context, addresses []api.Address) ([]Loaded, error)
	// Mailboxes answers what States does, but for the values, which may be large and are not read.
	Mailboxes(ctx context.Context, addresses []api.Address) ([]Loaded, error)
	// Specs answers what is known of the states of a function type; none when nothing is. What States answered before is of
	// states that are among them.
	Specs(ctx context.Context, function api.FunctionType) ([]StateSpec, error)
	// Mail answers the spilled messages of one address from number `from` on, in order, until bytesMax is exceeded (at
	// least one message when there is any).
	Mail(ctx context.Context, address api.Address, from uint64, bytesMax int) ([]Mail, error)
	// SpilledAddresses lists addresses of one function type that have spilled messages, in the order of the store's keys,
	// behind the given cursor (nil: from the start); next is nil at the end.
	SpilledAddresses(ctx context.Context, function api.FunctionType, cursor []byte, limit int) (addresses []api.Address, next []byte, err error)
	// Addresses lists addresses of one function type that have states or spilled messages and ids that begin with prefix, each
	// once, in the order of the store's keys, behind the given cursor (nil: from the start); next is nil at the end. It reads keys,
	// not states. A page is at most limit addresses and may be less, even none, before the end: ids may be long, and where the prefix
	// is longer than a key, others are passed over.
	Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) (addresses []api.Address, next []byte, err error)
	// Timers lists timers behind `after` and due before dueMS, in the order of (due, number), at most limit.
	Timers(ctx context.Context, after TimerKey, dueMS int64, limit int) ([]Timer, error)
	// ExpiredAddresses lists at most limit addresses whose Expires is set and before ms.
	ExpiredAddresses(ctx context.Context, ms int64, limit int) ([]api.Address, error)
	// Outputs answers the outputs of one lane from number `from` on, in order, until bytesMax is exceeded (at least one
	// pack when there is any). The first pack may begin below `from`.
	Outputs(ctx context.Context, lane LaneID, from uint64, bytesMax int) ([]OutputPack, error)
	// Claimed reports whether a claim with this token was ever made of this very store. One that was restored from an older
	// copy does not know the claims that were made since: what they have delivered it knows nothing of.
	Claimed(ctx context.Context, token string) (bool, error)
	// DeadLetters lists dead letters with a number above after, in order, at most limit and at most DeadPageBytes, but at least one
	// when there is any: only an empty page is the end.
	DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error)
	// Acts lists what operators have done, newest first, with numbers below before (0: from the newest on), at most limit.
	Acts(ctx context.Context, before uint64, limit int) ([]Act, error)
}

// Notepad keeps small texts that are for people only. Nothing depends on them: any member writes them, the owner or not, the last
// writer wins, and a crash may lose one.
type Notepad interface {
	// Note answers a text and when it was written, as Unix time in milliseconds; nil when there is none.
	Note(ctx context.Context, name string) (data []byte, atMS int64, err error)
	// SetNote writes a text of at most NoteBytesMax; an empty one removes what is there.
	SetNote(ctx context.Context, name string, data []byte) error
}

// DeadPageBytes bounds a page of Reader.DeadLetters, in bytes as api.DeadLetter.Size counts them. No more than what is answered is read:
// letters may have many MiB.
const DeadPageBytes = 8 << 20

// NoteBytesMax is the longest text that SetNote takes.
const NoteBytesMax = 1 << 20
