package machine

import "github.com/stategate/stategate/api"

// Config is what the machine must know of the application and its bounds. Times are milliseconds, sizes are bytes as
// api.Message.Size counts them. A zero bound means its default.
type Config struct {
	// Incarnation marks every load, call and commit; answers that carry another one are ignored.
	Incarnation uint64
	// Seed feeds the jitter of back-offs.
	Seed uint64
	// Function tells how to call a function type; ok is false when the module does not declare it. It must answer the
	// same for the same type as long as the machine lives.
	Function func(api.FunctionType) (f Function, ok bool)
	// Egresses are the ids that the module declares, and whether their outputs are kept in the outbox until delivered.
	Egresses map[string]Egress
	// Ingresses are the ids that the module declares: what is known of their sources is never forgotten.
	Ingresses map[string]bool

	// OnDeadLetter sees each dead letter when it becomes an effect. It may be nil.
	OnDeadLetter func(*api.DeadLetter)

	Slots           int   // calls in flight to one endpoint; default 1,024
	YoungRequests   int   // to an endpoint that takes bulk calls: while so many are young, other calls for it gather; default 8
	YoungAge        int64 // a request is young for so long; default 20
	BulkMessages    int   // in one request, before no further call joins it; default 1,000
	BulkBytes       int   // of states and arguments in one request that carries several calls; default 512 KiB: many fronts take no body above 1 MiB
	CommitAgeMax    int64 // an uncommitted effect waits no longer for calls that descend from it; default 10
	LazyAgeMax      int64 // trims and the like wait for another commit at most so long; default 1,000
	BackoffMin      int64 // before the second attempt; doubles; default 10
	BackoffMax      int64 // default 60,000
	ProbeInterval   int64 // of an open breaker; default 500
	BreakerFailures int   // endpoint failures without a success between them that open a breaker; default 5
	BreakerWindow   int64 // time-outs count for the breaker only if nothing succeeded for so long; default 10,000
	HoldMax         int64 // a record that holds its source's watermark longer is kept as a message; default 10,000
	RangesMax       int   // finished ranges above a watermark before the record that holds it is kept; default 1,000

	SourceMessagesMax  int   // unfinished messages of one source; default 5,000
	SourceBytesMax     int   // default 16 MiB
	EventMessagesMax   int   // messages from outside that no confirmed commit holds yet, before others wait; default 5,000
	EventBytesMax      int   // the same in bytes; default 16 MiB
	MailBytesMax       int   // of all mailboxes in memory, before some are spilled to the store; default 128 MiB
	MailWindow         int   // of one spilled mailbox that is read back at a time; default 256 KiB
	CacheBytesMax      int   // states of addresses at rest; default 64 MiB
	BusyBytesMax       int   // states of all other addresses in memory, before no more are loaded; default 128 MiB
	CallBytesMax       int   // states and messages of the calls that are out; an endpoint without any has room for one; default 64 MiB
	EffectsMax         int   // uncommitted effects (counted) before no new call starts; default 20,000
	EffectBytesMax     int   // the same in bytes; default 64 MiB
	OutboxBytesMax     int64 // undelivered outputs of one egress before the sources wait; default 1 GiB
	KeptBytesMax       int64 // kept messages of one function, in memory and spilled, before the sources that name it wait; default 4 GiB
	StoredBytesMax     int64 // kept messages of all functions, before all sources wait; default 16 GiB
	DeadLettersMax     int64 // of one origin (ingress, function, egress) before it waits; default 100,000
	DeadLetterBytesMax int64 // the same in bytes; default 1 GiB
	LoadsMax           int   // loads of states in flight; default 4
	LoadBatch          int   // addresses in one load; default 1,000
	TimerAhead         int64 // timers due within it are in memory; default 30,000
	TimerBatch         int   // timers read at a time; default 10,000
	TimersMax          int   // timers in memory; beyond, those that are due last are left to the store; default 200,000
	TimerBytesMax      int   // the same in bytes; default 64 MiB
	OnceTTL            int64 // how long an event under a key is remembered; default 24 h
	OnceMax            int64 // keys that are remembered, before events under new ones are refused; default 1,000,000
	OnceBytesMax       int64 // the same in bytes; default 1 GiB
	SweepInterval      int64 // between looks for expired states; default 5,000
}

// Function says how a function type is called.
type Function struct {
	Endpoint      string // the resolved URL: breaker and slots belong to it
	BatchMessages int    // messages in one call; default 1,000
	BatchBytes    int    // of their arguments; a larger message goes alone; default 512 KiB
	Budget        int64  // after so long without success an address counts as stuck, or a message at fault is set aside; default 120,000
	Timeout       int64  // of one attempt; default the budget
	OnFailure     Policy // what becomes of messages that it keeps failing on; default Retry
	Refusal       string // not empty: messages for this type can never be a request; they are set aside with this reason
}

// Egress says what the engine does with outputs.
type Egress struct {
	Outbox bool // kept until delivered; else released by the commit and forgotten
}

func orDefault[T int | int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (c *Config) defaults() {
	orDefault(&c.Slots, 1024)
	orDefault(&c.YoungRequests, 8)
	orDefault(&c.YoungAge, 20)
	orDefault(&c.BulkMessages, 1000)
	orDefault(&c.BulkBytes, 512<<10)
	orDefault(&c.CommitAgeMax, 10)
	orDefault(&c.LazyAgeMax, 1000)
	orDefault(&c.BackoffMin, 10)
	orDefault(&c.BackoffMax, 60_000)
	orDefault(&c.ProbeInterval, 500)
	orDefault(&c.BreakerFailures, 5)
	orDefault(&c.BreakerWindow, 10_000)
	orDefault(&c.HoldMax, 10_000)
	orDefault(&c.RangesMax, 1000)
	orDefault(&c.SourceMessagesMax, 5000)
	orDefault(&c.SourceBytesMax, 16<<20)
	orDefault(&c.EventMessagesMax, 5000)
	orDefault(&c.EventBytesMax, 16<<20)
	orDefault(&c.MailBytesMax, 128<<20)
	orDefault(&c.MailWindow, 256<<10)
	orDefault(&c.CacheBytesMax, 64<<20)
	orDefault(&c.BusyBytesMax, 128<<20)
	orDefault(&c.CallBytesMax, 64<<20)
	orDefault(&c.EffectsMax, 20_000)
	orDefault(&c.EffectBytesMax, 64<<20)
	orDefault(&c.OutboxBytesMax, 1<<30)
	orDefault(&c.KeptBytesMax, 4<<30)
	orDefault(&c.StoredBytesMax, 16<<30)
	orDefault(&c.DeadLettersMax, 100_000)
	orDefault(&c.DeadLetterBytesMax, 1<<30)
	orDefault(&c.LoadsMax, 4)
	orDefault(&c.LoadBatch, 1000)
	orDefault(&c.TimerAhead, 30_000)
	orDefault(&c.TimerBatch, 10_000)
	orDefault(&c.TimersMax, 200_000)
	orDefault(&c.TimerBytesMax, 64<<20)
	orDefault(&c.OnceTTL, 24*60*60*1000)
	orDefault(&c.OnceMax, 1_000_000)
	orDefault(&c.OnceBytesMax, 1<<30)
	orDefault(&c.SweepInterval, 5000)
}

func (f *Function) defaults() {
	orDefault(&f.BatchMessages, 1000)
	orDefault(&f.BatchBytes, 512<<10)
	orDefault(&f.Budget, 120_000)
	orDefault(&f.Timeout, f.Budget)
}
