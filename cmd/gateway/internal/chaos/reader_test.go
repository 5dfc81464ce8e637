//go:build unix

package chaos

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// endKey is the key of the record that the test puts behind everything, in each partition: who has read it has read all.
const endKey = "#end"

// output is one record that the gateways wrote.
type output struct {
	result
	partition int32
	at        time.Duration // when it was read, by the ledger's clock
}

// arrival is when an output was read, and when the gateway that wrote it made it.
type arrival struct {
	made int64 // Unix milliseconds, by the writer
	at   time.Time
}

// reader follows the topics of outputs, from their start. It knows nothing of the engine.
type reader struct {
	t      *testing.T
	kafka  *kgo.Client
	prefix string
	ledger *ledger

	lenient bool
	look    func() // for what else may end a wait; nil: nothing

	mu       sync.Mutex
	accounts map[string][]output // by key; guarded by mu
	audits   map[string][]output // by key, count and op alone; guarded by mu
	arrivals []arrival           // guarded by mu
	seen     map[string]bool     // ops, by topic; guarded by mu
	ended    int                 // partitions that are read to their end; guarded by mu
	wrong    []string            // guarded by mu
	news     chan struct{}       // closed, and replaced, whenever something was read; guarded by mu
	done     chan struct{}
}

// newReader follows what an isolation level lets it see. A lenient one complains of nothing.
func newReader(t *testing.T, w *world, isolation kgo.IsolationLevel, lenient bool) *reader {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.ConsumeTopics(w.topic(topicAccounts), w.topic(topicAudits)),
		kgo.FetchIsolationLevel(isolation), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{
		t: t, kafka: kafka, prefix: w.prefix, ledger: w.ledger, accounts: map[string][]output{}, audits: map[string][]output{},
		seen: map[string]bool{}, lenient: lenient, news: make(chan struct{}), done: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(r.done); r.run(ctx) }()
	t.Cleanup(func() { cancel(); <-r.done; kafka.Close() })
	return r
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := r.kafka.PollFetches(ctx)
		r.mu.Lock()
		fetches.EachRecord(r.note)
		close(r.news)
		r.news = make(chan struct{})
		r.mu.Unlock()
	}
}

func (r *reader) note(k *kgo.Record) {
	key, topic := string(k.Key), strings.TrimPrefix(k.Topic, r.prefix)
	if key == endKey {
		r.ended++
		return
	}
	o := output{partition: k.Partition, at: r.ledger.now()}
	all := r.accounts
	var err error
	if topic == topicAudits {
		all = r.audits
		_, err = fmt.Sscan(string(k.Value), &o.count, &o.op)
	} else {
		o.result, err = parseResult(string(k.Value))
	}
	r.arrivals = append(r.arrivals, arrival{k.Timestamp.UnixMilli(), time.Now()})
	before := all[key]
	all[key] = append(before, o)
	switch {
	case err != nil:
		r.complain("%s of %s: %v", topic, key, err)
	case o.count != len(before)+1:
		r.complain("%s of %s: output %d is %q", topic, key, len(before)+1, k.Value)
	case r.seen[topic+o.op]:
		r.complain("%s of %s: %q came out before", topic, key, k.Value)
	case o.wrong != "":
		r.complain("%s of %s: %q: %s", topic, key, k.Value, o.wrong)
	}
	r.seen[topic+o.op] = true
}

// complaintsMax bounds what is kept of what is wrong: the first say most.
const complaintsMax = 20

func (r *reader) complain(format string, args ...any) {
	if len(r.wrong) < complaintsMax && !r.lenient {
		r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
	}
}

// count is how many outputs are visible.
func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrivals)
}

// complaints are what is wrong with the outputs, as far as can be told while more is to come.
func (r *reader) complaints() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.wrong...)
}

// lookEvery is how often somebody who waits for outputs looks around.
const lookEvery = time.Second

// until waits until ok says so, which is asked with the reader's lock; a complaint ends it too.
func (r *reader) until(what string, ok func() bool) {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		r.mu.Lock()
		done, total, news, wrong := ok(), len(r.arrivals), r.news, r.wrong
		r.mu.Unlock()
		if len(wrong) > 0 {
			r.t.Fatalf("%s: %s", violation, strings.Join(wrong, "\n  "))
		}
		if done {
			return
		}
		select {
		case <-news:
		case <-every.C:
			if r.look != nil {
				r.look()
			}
		case <-limit.C:
			r.t.Fatalf("waited %v for %s; %d outputs are visible", patience, what, total)
		case <-r.t.Context().Done():
			r.t.Fatal(r.t.Context().Err())
		}
	}
}

func (r *reader) untilCount(n int) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d outputs", n), func() bool { return len(r.arrivals) >= n })
}

// untilMadeAfter answers when the first output was read that was made after a time.
func (r *reader) untilMadeAfter(t time.Time) (first time.Time) {
	r.t.Helper()
	ms := t.UnixMilli()
	r.mu.Lock()
	from := sort.Search(len(r.arrivals), func(i int) bool { return r.arrivals[i].at.After(t) })
	r.mu.Unlock()
	r.until("an output made after "+t.Format("15:04:05.000"), func() bool {
		for ; from < len(r.arrivals); from++ {
			if r.arrivals[from].made > ms {
				first = r.arrivals[from].at
				return true
			}
		}
		return false
	})
	return first
}

// untilEnd reads on to the last record of all partitions.
func (r *reader) untilEnd() {
	r.t.Helper()
	r.until("the ends of the topics", func() bool { return r.ended >= 2*partitions })
}
