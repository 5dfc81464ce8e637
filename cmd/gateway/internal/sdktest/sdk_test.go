//go:build unix

package sdktest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/internal/testserver"
)

// messages to one key, and keys with one message each, of the runs that count.
const (
	messages = 5000
	keys     = 5000
)

// TestSDK runs the application of each language: what it does with its SDK, then thousands of messages, then the same while the
// gateway and the application are killed. In the end every output is one that was expected, once.
func TestSDK(t *testing.T) {
	for _, language := range slices.Sorted(maps.Keys(commands)) {
		t.Run(language, func(t *testing.T) {
			w := newWorld(t, language, "sqlite:"+filepath.Join(t.TempDir(), "stategate.db"))
			w.stories(t)
			if !testing.Short() {
				t.Run("one key", func(t *testing.T) { oneKey(t, w) })
				t.Run("many keys", func(t *testing.T) { manyKeys(t, w) })
				t.Run("killed", func(t *testing.T) { killed(t, w) })
			}
			w.finish(t)
		})
	}
}

// TestSDKOnPostgres is the same with the other store, for one language.
func TestSDKOnPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills for a while; the other store is tried")
	}
	w := newWorld(t, "javascript", testserver.Postgres(t).URL()+"&schema=sdk")
	w.stories(t)
	t.Run("killed", func(t *testing.T) { killed(t, w) })
	w.finish(t)
}

// stories tells all of them at a time.
func (w *world) stories(t *testing.T) {
	t.Run("stories", func(t *testing.T) {
		for _, story := range stories {
			t.Run(story.name, func(t *testing.T) {
				t.Parallel()
				story.tell(t, w)
			})
		}
	})
}

// finish stops the gateway and judges all that has come out.
func (w *world) finish(t *testing.T) {
	t.Helper()
	w.gateway.Stop()
	w.out.closed(t)
}

// numbers are messages 1 to n for one key.
func (w *world) numbers(key string, n int) (records []*kgo.Record, want []string) {
	for i := range n {
		records = append(records, w.number(key, i+1))
		want = append(want, fmt.Sprint(i+1))
	}
	return records, want
}

// number is one, as the built-in type has it: 0 would be nothing at all.
func (w *world) number(key string, n int) *kgo.Record {
	value := binary.LittleEndian.AppendUint32([]byte{0x0d}, uint32(n))
	return &kgo.Record{Topic: w.prefix + "in-counter", Key: []byte(key), Value: value}
}

// oneKey: thousands of messages to one key come in order, each once.
func oneKey(t *testing.T, w *world) {
	records, want := w.numbers("one", messages)
	began := time.Now()
	w.produce(t, records)
	w.counted(t, len(records))
	t.Logf("%s: %.0f messages/s to one key", w.language, float64(messages)/time.Since(began).Seconds())
	w.out.expect(t, "out-counter", "one", want...)
}

// manyKeys: as many keys with a message each.
func manyKeys(t *testing.T, w *world) {
	var records []*kgo.Record
	for i := range keys {
		records = append(records, w.number(fmt.Sprint("many-", i), 1))
	}
	began := time.Now()
	w.produce(t, records)
	w.counted(t, len(records))
	t.Logf("%s: %.0f messages/s to %d keys", w.language, float64(keys)/time.Since(began).Seconds(), keys)
	w.out.expectEach(t, "out-counter", keys, func(i int) (string, string) { return fmt.Sprint("many-", i), "1" })
}

// counted waits until the counter has written so many outputs more than it was told to expect.
func (w *world) counted(t *testing.T, n int) {
	t.Helper()
	w.out.mu.Lock()
	for _, want := range w.out.want["out-counter"] {
		n += len(want)
	}
	w.out.mu.Unlock()
	w.out.until(t, fmt.Sprintf("%d outputs of the counter", n), func() (bool, string) {
		got := w.out.count("out-counter")
		return got >= n, fmt.Sprint(got)
	})
}

// killed: the gateway and the application are killed amid thousands of messages to hot keys and to others, and nothing of it can
// be seen: each output comes once, in order. A delayed message outlives them too.
func killed(t *testing.T, w *world) {
	const hot, each = 8, 1000
	w.send(t, "alarm", "k", "after 4000 survived", "token 1000 t gone", "cancel t")
	var records []*kgo.Record
	var want []string
	for i := range each {
		want = append(want, fmt.Sprint(i+1))
		for h := range hot {
			records = append(records, w.number(fmt.Sprint("hot-", h), i+1), w.number(fmt.Sprintf("cold-%d", i*hot+h), 1))
		}
	}
	total, amid, before := len(records), 0, w.out.count("out-counter")
	sent := make(chan error, 1)
	go func() { sent <- w.client.ProduceSync(t.Context(), records...).FirstErr() }()
	for _, blow := range []struct {
		after        int // outputs
		gateway, app bool
	}{{total / 8, true, false}, {total / 4, false, true}, {total * 3 / 8, true, true}} {
		w.counted(t, blow.after)
		if blow.gateway {
			w.gateway.Kill()
		}
		if blow.app {
			w.app.kill()
		}
		at := w.out.count("out-counter") - before
		t.Logf("gateway %t, application %t killed, with %d of %d outputs visible", blow.gateway, blow.app, at, total)
		if at < total {
			amid++
		}
		if blow.app {
			w.app.start()
		}
		if blow.gateway {
			w.gateway.Start()
		}
	}
	if amid < 2 {
		t.Errorf("%d kills came before everything was done, want at least 2", amid)
	}
	w.counted(t, total)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	for h := range hot {
		w.out.expect(t, "out-counter", fmt.Sprint("hot-", h), want...)
	}
	w.out.expectEach(t, "out-counter", each*hot, func(i int) (string, string) { return fmt.Sprint("cold-", i), "1" })
	w.out.expect(t, "out-alarm", "k", "survived from apps.fns/alarm/k")
}
