package kinesis

import (
	"context"
	"slices"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// fake is a Kinesis in this process.
type fake struct {
	mu      sync.Mutex
	streams map[string]map[place][]string // what each place holds, in order
	keys    map[[2]string][]string        // what each stream holds of a partition key, in order
	calls   int
	called  chan struct{} // has a token for each call, as far as it goes
	flying  int           // records in calls
	most    int           // of flying
	twice   int           // calls that held two records of one key
	call    func(in *kinesis.PutRecordsInput) error
	refuse  func(e *types.PutRecordsRequestEntry) (code string) // one record
	gate    chan struct{}                                       // calls wait while it is there
	gated   func(in *kinesis.PutRecordsInput) bool              // only these; nil: all
}

func newFake(streams ...string) *fake {
	f := &fake{streams: map[string]map[place][]string{}, keys: map[[2]string][]string{}, called: make(chan struct{}, 100)}
	for _, s := range streams {
		f.streams[s] = map[place][]string{}
	}
	return f
}

func (f *fake) create(stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams[stream] = map[place][]string{}
}

// set changes what calls meet.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) at(stream, key, hash string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.streams[stream][place{stream, key, hash}]...)
}

func (f *fake) ofKey(stream, key string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.keys[[2]string{stream, key}])
}

func (f *fake) config() Config {
	return Config{dial: func(context.Context) (client, error) { return f, nil }}
}

func (f *fake) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	f.mu.Lock()
	f.calls++
	select {
	case f.called <- struct{}{}:
	default:
	}
	f.flying += len(in.Records)
	f.most = max(f.most, f.flying)
	gate, gated := f.gate, f.gated
	f.mu.Unlock()
	if gate != nil && (gated == nil || gated(in)) {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying -= len(in.Records)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.call != nil {
		if err := f.call(in); err != nil {
			return nil, err
		}
	}
	s := f.streams[*in.StreamName]
	if s == nil {
		return nil, &types.ResourceNotFoundException{Message: sdk.String("no stream " + *in.StreamName)}
	}
	out := &kinesis.PutRecordsOutput{}
	seen := map[string]bool{}
	for i := range in.Records {
		e := &in.Records[i]
		p := place{*in.StreamName, *e.PartitionKey, sdk.ToString(e.ExplicitHashKey)}
		if seen[p.key] {
			f.twice++
		}
		seen[p.key] = true
		if f.refuse != nil {
			if code := f.refuse(e); code != "" {
				out.Records = append(out.Records, types.PutRecordsResultEntry{ErrorCode: &code, ErrorMessage: sdk.String("not now")})
				continue
			}
		}
		s[p] = append(s[p], string(e.Data))
		k := [2]string{p.stream, p.key}
		f.keys[k] = append(f.keys[k], string(e.Data))
		out.Records = append(out.Records, types.PutRecordsResultEntry{ShardId: sdk.String("shardId-000000000000")})
	}
	return out, nil
}
