//go:build unix

package sdktest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// keyless is the key of records without one.
const keyless = "\x00none"

// outputs is all that is visible of the topics that the application writes to, at read_committed. It knows nothing of the gateway.
type outputs struct {
	prefix string
	client *kgo.Client

	mu    sync.Mutex
	lines map[string][]output // by topic, without the prefix; guarded by mu
	news  chan struct{}       // closed, and replaced, whenever something was read; guarded by mu
	want  map[string]map[string][]string
}

type output struct{ key, value string }

func readOutputs(t *testing.T, broker, prefix string, topics ...string) *outputs {
	t.Helper()
	o := &outputs{prefix: prefix, lines: map[string][]output{}, news: make(chan struct{}), want: map[string]map[string][]string{}}
	full := make([]string, len(topics))
	for i, topic := range topics {
		full[i] = prefix + topic
		o.want[topic] = map[string][]string{}
	}
	var err error
	o.client, err = kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(full...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); o.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; o.client.Close() })
	return o
}

func (o *outputs) run(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := o.client.PollFetches(ctx)
		o.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			key := string(r.Key)
			if r.Key == nil {
				key = keyless
			}
			topic := r.Topic[len(o.prefix):]
			value := string(r.Value)
			if r.Value == nil {
				value = "\x00null"
			}
			o.lines[topic] = append(o.lines[topic], output{key, value})
		})
		close(o.news)
		o.news = make(chan struct{})
		o.mu.Unlock()
	}
}

// of is what a key has got so far, in order.
func (o *outputs) of(topic, key string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var values []string
	for _, line := range o.lines[topic] {
		if line.key == key {
			values = append(values, line.value)
		}
	}
	return values
}

// count is how many outputs a topic holds.
func (o *outputs) count(topic string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines[topic])
}

// all is a copy of a topic.
func (o *outputs) all(topic string) []output {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines[topic])
}

// until waits for outputs until ok says so.
func (o *outputs) until(t *testing.T, what string, ok func() (done bool, seen string)) {
	t.Helper()
	limit := time.NewTimer(testgateway.Patience)
	defer limit.Stop()
	for {
		o.mu.Lock()
		news := o.news
		o.mu.Unlock()
		done, seen := ok()
		if done {
			return
		}
		select {
		case <-news:
		case <-limit.C:
			t.Fatalf("waited %v for %s; got %s", testgateway.Patience, what, seen)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// expect waits until a key has as many outputs as are wanted, and compares them. What comes later is judged by closed.
func (o *outputs) expect(t *testing.T, topic, key string, want ...string) {
	t.Helper()
	var got []string
	o.until(t, fmt.Sprintf("%d outputs of %q in %s", len(want), key, topic), func() (bool, string) {
		got = o.of(topic, key)
		return len(got) >= len(want), fmt.Sprintf("%q", got)
	})
	if !slices.Equal(got, want) {
		t.Errorf("outputs of %q in %s: %s", key, topic, difference(got, want))
	}
	o.mu.Lock()
	o.want[topic][key] = want
	o.mu.Unlock()
}

// expectEach is expect for n keys with one output each, of which as many have come.
func (o *outputs) expectEach(t *testing.T, topic string, n int, each func(i int) (key, value string)) {
	t.Helper()
	got := map[string][]string{}
	for _, line := range o.all(topic) {
		got[line.key] = append(got[line.key], line.value)
	}
	wrong := faults{t: t}
	for i := range n {
		key, value := each(i)
		if want := []string{value}; !slices.Equal(got[key], want) {
			wrong.add("outputs of %q in %s: %s", key, topic, difference(got[key], want))
		}
		o.mu.Lock()
		o.want[topic][key] = []string{value}
		o.mu.Unlock()
	}
	wrong.end()
}

// closed compares all that there is with all that was expected, when nothing can come any more but what is on its way to the reader:
// a mark is written behind it.
func (o *outputs) closed(t *testing.T) {
	t.Helper()
	const mark = "\x00mark"
	for topic := range o.want {
		record := &kgo.Record{Topic: o.prefix + topic, Key: []byte(mark), Value: []byte(mark)}
		if err := o.client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		o.until(t, "the end of "+topic, func() (bool, string) { return len(o.of(topic, mark)) > 0, "no mark" })
		got := map[string][]string{}
		for _, line := range o.all(topic) {
			got[line.key] = append(got[line.key], line.value)
		}
		delete(got, mark)
		wrong := faults{t: t}
		for key, values := range got {
			if want := o.want[topic][key]; !slices.Equal(values, want) {
				wrong.add("at the end, outputs of %q in %s: %s", key, topic, difference(values, want))
			}
		}
		wrong.end()
		if len(got) != len(o.want[topic]) {
			t.Errorf("at the end, %s has outputs of %d keys, want %d", topic, len(got), len(o.want[topic]))
		}
	}
}

// difference says where two lists part.
func difference(got, want []string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Sprintf("got %d, want %d; the first %d are alike, then got %s, want %s", len(got), len(want), at, short(got[at:]), short(want[at:]))
}

func short(values []string) string {
	if len(values) > 10 {
		return fmt.Sprintf("%q and %d more", values[:10], len(values)-10)
	}
	return fmt.Sprintf("%q", values)
}

// faults are told up to a number, then counted.
type faults struct {
	t *testing.T
	n int
}

func (f *faults) add(format string, args ...any) {
	f.t.Helper()
	if f.n++; f.n <= 10 {
		f.t.Errorf(format, args...)
	}
}

func (f *faults) end() {
	f.t.Helper()
	if f.n > 10 {
		f.t.Errorf("and %d more", f.n-10)
	}
}
