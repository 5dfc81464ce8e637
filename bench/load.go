//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// counts is the topic that the counting function writes to.
const counts = "counts"

// patience bounds a run.
const patience = 5 * time.Minute

// outputs reads the counts of one run, checks them, and knows when each came.
type outputs struct {
	client *kgo.Client
	prefix string
	next   map[string]int // by key: the count that must come next
	seen   int
	last   time.Time // when the last one so far was visible
}

func (w *world) outputs(prefix string) (*outputs, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.ConsumeTopics(counts), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))
	return &outputs{client: client, prefix: prefix, next: map[string]int{}}, err
}

// await reads until n outputs of this run have come; each is told to arrived, when it is not nil.
func (o *outputs) await(ctx context.Context, n int, arrived func(key string, nth int, at time.Time)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for o.seen < n {
		fetches := o.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d outputs came: %w", o.seen, n, ctx.Err())
		}
		now := time.Now()
		var wrong error
		fetches.EachRecord(func(r *kgo.Record) {
			key := string(r.Key)
			if len(key) < len(o.prefix) || key[:len(o.prefix)] != o.prefix {
				return
			}
			o.next[key]++
			if string(r.Value) != strconv.Itoa(o.next[key]) {
				wrong = fmt.Errorf("key %s: got %s, want %d: lost, doubled or out of order", key, r.Value, o.next[key])
			}
			o.seen++
			o.last = now
			if arrived != nil {
				arrived(key, o.next[key]-1, now)
			}
		})
		if wrong != nil {
			return wrong
		}
	}
	return nil
}

// drain measures how fast what has gathered in a topic is worked off: from the moment when the gateway is ready, its connecting to
// Kafka included, to the visibility of the last output.
func (w *world) drain(ctx context.Context, name string, records, keys int) (result, error) {
	topic := fmt.Sprintf("in-%d", w.runs)
	if err := w.topics(ctx, topic, counts); err != nil {
		return result{}, err
	}
	prefix := topic + "-"
	value := make([]byte, 100)
	produced := make(chan error, 1)
	left := records
	for i := range records {
		w.client.Produce(ctx, &kgo.Record{Topic: topic, Key: strconv.AppendInt([]byte(prefix), int64(i%keys), 10), Value: value}, func(_ *kgo.Record, err error) {
			if left--; err != nil || left == 0 { // promises run one after the other
				select {
				case produced <- err:
				default:
				}
			}
		})
	}
	if err := <-produced; err != nil {
		return result{}, err
	}
	if err := w.startGateway(ctx, topic); err != nil {
		return result{}, err
	}
	defer w.stopGateway()
	began, before := time.Now(), w.cpu()
	o, err := w.outputs(prefix)
	if err != nil {
		return result{}, err
	}
	defer o.client.Close()
	if w.profile != "" && keys > 1 {
		go w.keepProfile(ctx)
	}
	if err := o.await(ctx, records, nil); err != nil {
		return result{}, err
	}
	return result{
		Store: w.store, Workload: name, RecordsPerSecond: float64(records) / o.last.Sub(began).Seconds(),
		CPUMicros: perRecord(before, w.cpu(), records), MemoryMiB: w.memory(),
	}, nil
}

// keepProfile asks the gateway for a CPU profile, where it offers one.
func (w *world) keepProfile(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.admin+"/debug/pprof/profile?seconds=5", nil)
	if err != nil {
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return
	}
	defer response.Body.Close()
	file, err := os.Create(w.profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return
	}
	defer file.Close()
	_, _ = io.Copy(file, response.Body)
}

func perRecord(before, after map[string]time.Duration, records int) map[string]float64 {
	out := map[string]float64{}
	for name := range after {
		out[name] = float64((after[name] - before[name]).Microseconds()) / float64(records)
	}
	return out
}

// latency measures the time from a record's due moment to the visibility of its output. The loop is open: a slow gateway does
// not slow the records down, and waits count from when a record was due.
func (w *world) latency(ctx context.Context, rate, records, keys int) (result, error) {
	topic := fmt.Sprintf("in-%d", w.runs)
	if err := w.topics(ctx, topic, counts); err != nil {
		return result{}, err
	}
	if err := w.startGateway(ctx, topic); err != nil {
		return result{}, err
	}
	defer w.stopGateway()
	prefix := topic + "-"
	o, err := w.outputs(prefix)
	if err != nil {
		return result{}, err
	}
	defer o.client.Close()

	warm := rate // the first second is not judged
	due := make([]time.Time, warm+records)
	var before map[string]time.Duration
	begin := time.Now().Add(500 * time.Millisecond)
	for i := range due {
		due[i] = begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
	}
	failed := make(chan error, 1)
	go func() {
		value := make([]byte, 100)
		for i := range due {
			if d := time.Until(due[i]); d > 0 {
				time.Sleep(d)
			}
			if i == warm {
				before = w.cpu()
			}
			w.client.Produce(ctx, &kgo.Record{Topic: topic, Key: strconv.AppendInt([]byte(prefix), int64(i%keys), 10), Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
		close(failed)
	}()
	var took []time.Duration
	err = o.await(ctx, len(due), func(key string, nth int, at time.Time) {
		n, _ := strconv.Atoi(key[len(prefix):])
		if i := n + nth*keys; i >= warm && i < len(due) {
			took = append(took, at.Sub(due[i]))
		}
	})
	if err != nil {
		return result{}, err
	}
	if err := <-failed; err != nil {
		return result{}, err
	}
	slices.Sort(took)
	return result{
		Store: w.store, Workload: fmt.Sprintf("%d/s", rate), RecordsPerSecond: float64(rate), CPUMicros: perRecord(before, w.cpu(), records),
		P50: took[len(took)/2], P99: took[len(took)*99/100], MemoryMiB: w.memory(),
	}, nil
}
