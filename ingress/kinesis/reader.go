package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// reader reads one shard. Its run is the only one that hands over records of its source and moves its anchor.
type reader struct {
	*watch
	shard  shard
	source api.Source
	latest *string // iterator that the start position stands for exactly; nil: used, or none
	gone   *atomic.Bool

	stored   anchor    // as the engine has it
	movedAt  time.Time // when that was written
	next     int64     // offset of the next record
	known    int64     // offset behind the last that was finished before this run: until next is there the anchor must stay
	last     string    // sequence number of the last record read in this run; "": none
	unsure   bool      // what is read next is not known to follow what the anchor says: it needs an anchor of its own first
	doubt    bool      // it is not known what the engine has taken: the anchor moves no more
	seenMS   int64     // the service's time when nothing was left to read
	limit    int       // of one read
	throttle int       // reads in a row that were refused for being too many
	failing  time.Time // since when nothing works; zero: it does
}

// Bounds of one read. Kinesis answers at most 10 MiB; records of a usual size are asked for by the MiB, so that hundreds of
// shards that are far behind fit into memory.
const (
	readRecordsMax   = 10_000
	readRecordsFirst = 500
	readBytesWanted  = 1 << 20
)

// retentionMin is the shortest time for which Kinesis keeps records.
const retentionMin = 24 * time.Hour

// errAgain asks for another iterator at once.
var errAgain = errors.New("another iterator is needed")

// errEnded says that the shard was read to its end, and that this is stored.
var errEnded = errors.New("the shard has ended")

func newReader(w *watch, s shard, latest *string, gone *atomic.Bool) *reader {
	r := &reader{watch: w, shard: s, source: w.source(s.number), latest: latest, gone: gone, limit: min(readRecordsFirst, w.recordsMax)}
	return r
}

func (r *reader) key(condition string) string {
	return fmt.Sprintf("ingress %s: %s", r.source, condition)
}

// run reads until the context ends or the shard does. Whatever goes wrong is tried again, but for what needs a decision.
func (r *reader) run(ctx context.Context) {
	p, ok := r.engine.Progress(r.source)
	a, err := parseAnchor(p.TopicID)
	if !ok || err != nil {
		r.fail(fmt.Errorf("read %s: it has no position: %w", r.source, err))
		return
	}
	r.stored, r.movedAt, r.seenMS = a, time.Now(), a.seenMS
	r.unsure = a.kind != kindAfter
	if r.next = p.Position(); a.kind == kindAfter {
		r.next = a.next
	}
	r.known = finishedEnd(&p)
	defer r.leave(ctx)
	attempt := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := r.life(ctx)
		if isMissing(err) && r.gone.Load() {
			err = r.lose(ctx)
		}
		var engine *engineError
		var why *stopped
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errEnded):
			r.well()
			select {
			case r.kick <- struct{}{}:
			default:
			}
			return
		case errors.As(err, &engine):
			r.fail(engine.cause)
			return
		case errors.As(err, &why):
			r.conditions.begin(r.key(why.condition), why.text)
			r.doubt = true
			<-ctx.Done()
			return
		case errors.Is(err, errAgain):
		default:
			r.troubled(err)
		}
		if time.Since(began) > r.pace.retryMax {
			attempt = 0
		}
		attempt++
		sleep(ctx, backoff(attempt, r.pace.retryMax))
	}
}

// troubled notes an error that is tried again after. It becomes a condition only when it lasts.
func (r *reader) troubled(err error) {
	if r.failing.IsZero() {
		r.failing = time.Now()
	}
	r.Log.Debug("kinesis ingress: trouble, tries again", "source", r.source.String(), "error", err)
	if time.Since(r.failing) > r.pace.trouble {
		r.conditions.begin(r.key(cannotBeRead), err.Error()+"; trying again")
	}
}

func (r *reader) well() {
	if !r.failing.IsZero() {
		r.failing = time.Time{}
		r.conditions.end(r.key(cannotBeRead))
	}
}

// life is one iterator's and those that follow from it.
func (r *reader) life(ctx context.Context) error {
	it, expect, err := r.begin(ctx)
	if err != nil {
		return err
	}
	pause := r.pace.read
	for {
		asked := time.Now()
		out, err := r.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: sdk.Int32(int32(r.limit))})
		switch {
		case err == nil:
		case isExpired(err):
			return errAgain
		case isThrottled(err): // the iterator stays good
			r.throttle++
			r.troubled(err)
			if !sleep(ctx, r.pace.read+backoff(r.throttle, r.pace.retryMax)) {
				return ctx.Err()
			}
			continue
		default:
			return fmt.Errorf("read records: %w", err)
		}
		r.throttle = 0
		records := out.Records
		if expect != "" && (len(records) > 0 || out.NextShardIterator == nil) {
			if records, err = r.verify(records, expect); err != nil {
				return err
			}
			expect = ""
		}
		if expect == "" {
			r.well()
		}
		if err := r.take(ctx, records); err != nil {
			return err
		}
		behind := sdk.ToInt64(out.MillisBehindLatest) > 0
		if !behind && expect == "" {
			r.seenMS = serverTime(out.ResultMetadata).UnixMilli()
		}
		if out.NextShardIterator == nil {
			return r.end(ctx)
		}
		if err := r.anchorAnew(ctx, len(out.Records) == 0 && !behind); err != nil {
			return err
		}
		it = out.NextShardIterator
		pause = min(2*pause, r.pace.idle)
		if behind || len(out.Records) > 0 {
			pause = r.pace.read
		}
		if !sleep(ctx, pause-time.Since(asked)) {
			return ctx.Err()
		}
	}
}

// begin answers an iterator for what is to be read next. expect is the record that must come first then: the last that was read,
// or the anchor's. It is read once more, as a proof that nothing before the next one was deleted.
func (r *reader) begin(ctx context.Context) (it *string, expect string, err error) {
	expect = r.last
	if expect == "" && r.stored.kind == kindAfter && !r.unsure {
		expect = r.stored.sequence
	}
	switch {
	case expect != "":
		it, err = r.iterator(ctx, &r.shard, types.ShardIteratorTypeAtSequenceNumber, &expect, nil)
		if !isForeign(err) {
			return it, expect, err
		}
		if err := r.same(ctx); err != nil {
			return nil, "", err
		}
		fallthrough // it is too old for Kinesis to know it; what comes first proves it
	case r.stored.kind != kindTime:
		it, err = r.iterator(ctx, &r.shard, types.ShardIteratorTypeTrimHorizon, nil, nil)
		return it, expect, err
	case r.latest != nil:
		it, r.latest = r.latest, nil
		return it, "", nil
	default:
		it, err = r.iterator(ctx, &r.shard, types.ShardIteratorTypeAtTimestamp, nil, sdk.Time(time.UnixMilli(r.stored.atMS)))
		return it, "", err
	}
}

// same makes sure that the shard is the one that was read. If it is not, the watch finds out and says so.
func (r *reader) same(ctx context.Context) error {
	shards, _, err := list(ctx, r.client, r.stream.Name)
	if err != nil {
		return err
	}
	for i := range shards {
		if shards[i].number == r.shard.number && shards[i].start == r.shard.start {
			return nil
		}
	}
	return fmt.Errorf("shard %s is not there any more", r.shard.id)
}

// verify takes the expected record off the front, or finds out what its absence means.
func (r *reader) verify(records []types.Record, expect string) ([]types.Record, error) {
	if len(records) > 0 && sdk.ToString(records[0].SequenceNumber) == expect {
		if r.last != "" {
			return records[1:], nil
		}
		r.next = r.stored.next - int64(len(r.shard.hashes.expand(records[0].PartitionKey, records[0].Data)))
		return records, nil
	}
	if len(records) > 0 && before(sdk.ToString(records[0].SequenceNumber), expect) {
		return nil, fmt.Errorf("reading began at record %s, before %s", sdk.ToString(records[0].SequenceNumber), expect)
	}
	if r.next < r.known {
		return nil, &stopped{positionLost, fmt.Sprintf("record %s is not in the stream any more, and of those behind it some are done and some are not: "+
			"which ones cannot be told without it; %s", expect, remedyRename)}
	}
	// What was handed over in this run is known to the engine by its numbers, which go on; what was not is numbered for the first
	// time.
	r.unsure = true
	p, _ := r.engine.Progress(r.source)
	if unread := r.last == "" && p.Position() < r.stored.next; unread || r.seenMS == 0 || time.Since(time.UnixMilli(r.seenMS)) > retentionMin-time.Hour {
		r.Log.Error("kinesis ingress: records may be lost: the last that was read is not in the stream any more, and what came after it may have been deleted, too, before it was read",
			"source", r.source.String(), "record", expect)
	}
	return records, nil
}

// before compares sequence numbers: decimal ones of any length.
func before(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

// take hands records over.
func (r *reader) take(ctx context.Context, records []types.Record) error {
	if len(records) == 0 {
		return nil
	}
	var users []user
	bytes, first := 0, 0
	for i := range records {
		users = append(users, r.shard.hashes.expand(records[i].PartitionKey, records[i].Data)...)
		bytes += len(records[i].Data) + len(sdk.ToString(records[i].PartitionKey))
		if i == 0 {
			first = len(users)
		}
	}
	if r.Hooks.Records != nil {
		r.Hooks.Records(r.source, len(users), bytes)
	}
	r.limit = min(max(readBytesWanted/(1+bytes/len(records)), 1), r.recordsMax)
	if r.unsure {
		a := anchor{kind: kindAfter, shard: r.shard.start, sequence: sdk.ToString(records[0].SequenceNumber), next: r.next + int64(first)}
		if err := r.move(ctx, a, r.next); err != nil {
			return err
		}
		r.unsure = false
	}
	for _, batch := range batches(users) {
		out := make([]api.Record, len(batch))
		for i := range batch {
			out[i] = record(r.source, r.stream, r.next+int64(i), &batch[i])
		}
		if err := r.engine.Arrive(ctx, r.source, out); err != nil {
			r.doubt = true
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &engineError{fmt.Errorf("hand over records of %s: %w", r.source, err)}
		}
		r.next += int64(len(batch))
	}
	r.last = sdk.ToString(records[len(records)-1].SequenceNumber)
	return nil
}

// anchorAnew moves the anchor to the last record when it is time to: soon when everything before is finished, for then nothing
// must be kept; later in any case. While nothing comes it is refreshed now and then, to say that nothing was missed.
func (r *reader) anchorAnew(ctx context.Context, idle bool) error {
	if r.last == "" || r.next < r.known {
		return nil
	}
	handed, old := r.next-r.stored.next, time.Since(r.movedAt)
	switch {
	case handed == 0 && r.last == r.stored.sequence:
		if !idle || old < r.pace.refresh {
			return nil
		}
	case old >= r.pace.anchored || handed >= r.pace.anchoredBy:
	case old < r.pace.settled:
		return nil
	default:
		if p, ok := r.engine.Progress(r.source); !ok || !finishedAll(&p, r.next) {
			return nil
		}
	}
	return r.moveHere(ctx)
}

// moveHere makes the last record the anchor.
func (r *reader) moveHere(ctx context.Context) error {
	return r.move(ctx, anchor{kind: kindAfter, shard: r.shard.start, sequence: r.last, next: r.next, seenMS: r.seenMS}, r.next)
}

// move makes an anchor durable, with everything below an offset finished or kept.
func (r *reader) move(ctx context.Context, a anchor, offset int64) error {
	if err := r.engine.Start(ctx, []statestore.Progress{progressOf(r.source, r.stream, a, offset)}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &engineError{fmt.Errorf("move the position of %s: %w", r.source, err)}
	}
	r.stored, r.movedAt = a, time.Now()
	return nil
}

// end stores that the shard was read to its end.
func (r *reader) end(ctx context.Context) error {
	if err := r.move(ctx, anchor{kind: kindEnd, shard: r.shard.start, next: r.next}, r.next); err != nil {
		return err
	}
	r.Log.Info("kinesis ingress: a shard was read to its end", "source", r.source.String(), "records", r.next)
	return errEnded
}

// lose ends a shard that is not there any more, so that its children can begin: what it still held was too old to be kept.
func (r *reader) lose(ctx context.Context) error {
	next := max(r.next, r.known)
	if err := r.move(ctx, anchor{kind: kindEnd, shard: r.shard.start, next: next}, next); err != nil {
		return err
	}
	r.Log.Error("kinesis ingress: a shard is gone that was not read to its end; what it held is lost", "source", r.source.String(), "read", r.next)
	return errEnded
}

// leave moves the anchor to the last record when the ingress stops, so that a gateway which is stopped for longer than the stream
// keeps records can go on.
func (r *reader) leave(ctx context.Context) {
	if ctx.Err() == nil || r.doubt || r.last == "" || r.next < r.known || r.last == r.stored.sequence || r.stored.kind == kindEnd {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.pace.stop)
	defer cancel()
	if err := r.moveHere(ctx); err != nil {
		r.Log.Debug("kinesis ingress: the last position is not stored; it is found again from the one before", "source", r.source.String(), "error", err)
	}
}
