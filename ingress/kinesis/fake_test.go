package kinesis

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// fake is a Kinesis in this process. It does what the stand-in cannot: it forgets old records, refuses, and answers late.
type fake struct {
	mu      sync.Mutex
	streams map[string]*fakeStream
	numbers int // of sequence numbers, ever
	epoch   int // of iterators: those of an earlier one are expired
	strict  bool
	fail    func(action string) error // asked before each; nil: none
	asked   map[string]int            // actions
	empty   int                       // answers without records that come before each one with some, as the service has them
	idle    int                       // of these, in a row
	now     func() time.Time
	changed chan struct{} // closed and renewed when something is asked
}

type fakeStream struct {
	name   string
	shards []*fakeShard
}

type fakeShard struct {
	types.Shard
	records []types.Record
	trimmed int // of records
	closed  bool
}

func newFake() *fake {
	return &fake{streams: map[string]*fakeStream{}, asked: map[string]int{}, now: time.Now, changed: make(chan struct{})}
}

func (f *fake) sequence() *string {
	f.numbers++
	return sdk.String(fmt.Sprintf("496%053d", f.numbers))
}

var hashMax = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

func (f *fake) create(name string, shards int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &fakeStream{name: name}
	f.streams[name] = s
	size := new(big.Int).Div(hashMax, big.NewInt(int64(shards)))
	low := new(big.Int)
	for i := range shards {
		high := new(big.Int).Add(low, size)
		if i == shards-1 {
			high = hashMax
		}
		f.addShard(s, low, high)
		low = new(big.Int).Add(high, big.NewInt(1))
	}
}

func (f *fake) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, name)
}

func (f *fake) addShard(s *fakeStream, low, high *big.Int, parents ...*fakeShard) *fakeShard {
	n := &fakeShard{Shard: types.Shard{
		ShardId:             sdk.String(fmt.Sprintf("shardId-%012d", len(s.shards))),
		SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: f.sequence()},
		HashKeyRange:        &types.HashKeyRange{StartingHashKey: sdk.String(low.String()), EndingHashKey: sdk.String(high.String())},
	}}
	for i, p := range parents {
		p.closed = true
		p.SequenceNumberRange.EndingSequenceNumber = sdk.String("9223372036854775807")
		if i == 0 {
			n.ParentShardId = p.ShardId
		} else {
			n.AdjacentParentShardId = p.ShardId
		}
	}
	s.shards = append(s.shards, n)
	return n
}

func (s *fakeShard) bounds() (low, high *big.Int) {
	r, _ := newHashRange(*s.HashKeyRange.StartingHashKey, *s.HashKeyRange.EndingHashKey)
	return r.low, r.high
}

func (f *fake) split(name string, number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streams[name]
	p := s.shards[number]
	low, high := p.bounds()
	middle := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
	f.addShard(s, low, middle, p)
	f.addShard(s, new(big.Int).Add(middle, big.NewInt(1)), high, p)
}

func (f *fake) merge(name string, a, b int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streams[name]
	low, _ := s.shards[a].bounds()
	_, high := s.shards[b].bounds()
	f.addShard(s, low, high, s.shards[a], s.shards[b])
}

// open are the numbers of the shards that take records.
func (f *fake) open(name string) (numbers []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, s := range f.streams[name].shards {
		if !s.closed {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

func (f *fake) put(name, key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hash := hashOf(key)
	for _, s := range f.streams[name].shards {
		if low, high := s.bounds(); !s.closed && hash.Cmp(low) >= 0 && hash.Cmp(high) <= 0 {
			s.records = append(s.records, types.Record{PartitionKey: &key, Data: []byte(value), SequenceNumber: f.sequence(), ApproximateArrivalTimestamp: sdk.Time(f.now())})
			return
		}
	}
	panic("no shard for " + key)
}

// trim forgets records as age does; all but the last n.
func (f *fake) trim(name string, number, left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streams[name].shards[number]
	s.trimmed = max(s.trimmed, len(s.records)-left)
}

// forget takes a shard off the list, as age does with a closed one.
func (f *fake) forget(name string, number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams[name].shards[number].ShardId = nil
}

// expire makes all iterators that are out unusable.
func (f *fake) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch++
}

func (f *fake) setFail(fail func(action string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// untilAsked waits until an action was asked for n more times.
func (f *fake) untilAsked(t *testing.T, action string, n int) {
	t.Helper()
	f.mu.Lock()
	want := f.asked[action] + n
	f.mu.Unlock()
	for limit := time.After(patience); ; {
		f.mu.Lock()
		done, changed := f.asked[action] >= want, f.changed
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s was not asked for %d times", action, n)
		}
	}
}

func (f *fake) begin(ctx context.Context, action string) error {
	f.asked[action]++
	close(f.changed)
	f.changed = make(chan struct{})
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.fail != nil {
		return f.fail(action)
	}
	return nil
}

func (f *fake) stream(name *string) (*fakeStream, error) {
	if s := f.streams[sdk.ToString(name)]; s != nil {
		return s, nil
	}
	return nil, &types.ResourceNotFoundException{Message: sdk.String("no stream " + sdk.ToString(name))}
}

const pageShards = 2 // of one answer, so that there are several

func (f *fake) ListShards(ctx context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "ListShards"); err != nil {
		return nil, err
	}
	name, from := in.StreamName, 0
	if in.NextToken != nil {
		stream, number, _ := strings.Cut(*in.NextToken, "/")
		name = &stream
		from, _ = strconv.Atoi(number)
	}
	s, err := f.stream(name)
	if err != nil {
		return nil, err
	}
	out := &kinesis.ListShardsOutput{}
	for i, sh := range s.shards[from:] {
		if i == pageShards {
			out.NextToken = sdk.String(fmt.Sprintf("%s/%d", *name, from+i))
			break
		}
		if sh.ShardId != nil {
			out.Shards = append(out.Shards, sh.Shard)
		}
	}
	return out, nil
}

func (f *fake) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "GetShardIterator "+string(in.ShardIteratorType)); err != nil {
		return nil, err
	}
	s, err := f.stream(in.StreamName)
	if err != nil {
		return nil, err
	}
	n, err := shardNumber(*in.ShardId)
	if err != nil || int(n) >= len(s.shards) {
		return nil, &types.ResourceNotFoundException{}
	}
	sh := s.shards[n]
	if sh.ShardId == nil {
		return nil, &types.ResourceNotFoundException{Message: sdk.String("shard does not exist")}
	}
	at := 0
	switch in.ShardIteratorType {
	case types.ShardIteratorTypeLatest:
		at = len(sh.records)
	case types.ShardIteratorTypeAtTimestamp:
		for at < len(sh.records) && sh.records[at].ApproximateArrivalTimestamp.Before(*in.Timestamp) {
			at++
		}
	case types.ShardIteratorTypeAtSequenceNumber:
		for at < len(sh.records) && *sh.records[at].SequenceNumber != *in.StartingSequenceNumber {
			at++
		}
		if at == len(sh.records) || at < sh.trimmed && f.strict {
			return nil, &types.InvalidArgumentException{Message: sdk.String("StartingSequenceNumber is invalid because it did not come from this stream")}
		}
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: sdk.String(fmt.Sprintf("%s/%d/%d/%d", s.name, n, at, f.epoch))}, nil
}

func (f *fake) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "GetRecords"); err != nil {
		return nil, err
	}
	part := strings.Split(*in.ShardIterator, "/")
	n, _ := strconv.Atoi(part[1])
	at, _ := strconv.Atoi(part[2])
	if epoch, _ := strconv.Atoi(part[3]); epoch != f.epoch {
		return nil, &types.ExpiredIteratorException{Message: sdk.String("Iterator expired")}
	}
	s, err := f.stream(&part[0])
	if err != nil {
		return nil, err
	}
	sh := s.shards[n]
	if sh.ShardId == nil {
		return nil, &types.ResourceNotFoundException{Message: sdk.String("shard does not exist")}
	}
	at = max(at, sh.trimmed)
	to := min(len(sh.records), at+int(*in.Limit))
	if f.idle < f.empty {
		f.idle++
		to = at
	} else {
		f.idle = 0
	}
	out := &kinesis.GetRecordsOutput{Records: sh.records[at:to], MillisBehindLatest: sdk.Int64(0)}
	if to < len(sh.records) {
		out.MillisBehindLatest = sdk.Int64(1000)
	}
	if !sh.closed || to < len(sh.records) {
		out.NextShardIterator = sdk.String(fmt.Sprintf("%s/%d/%d/%d", s.name, n, to, f.epoch))
	}
	return out, nil
}
