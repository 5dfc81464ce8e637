//go:build unix

package app

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/ingress"
)

// sightings is what the gateway has told its hooks and its log.
type sightings struct {
	mu       sync.Mutex
	counts   map[string]int // what was counted: "call test/count bad_reply", "skipped null key", "ok test/out"
	restarts []string
	log      strings.Builder
}

func (s *sightings) add(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[what] += n
}

func (s *sightings) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[what]
}

func (s *sightings) restarted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.restarts)
}

// Write takes lines of the log.
func (s *sightings) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

func (s *sightings) logged(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.log.String(), text)
}

func (s *sightings) hooks() Hooks {
	return Hooks{
		Ingress: ingress.Hooks{Skipped: func(_ api.Source, reason string) { s.add("skipped "+reason, 1) }},
		Egress:  egress.Hooks{Deliveries: func(id, result string, n int) { s.add(result+" "+id, n) }},
		Dispatcher: dispatcher.Hooks{
			Call: func(f api.FunctionType, result string, _ time.Duration) { s.add("call "+f.String()+" "+result, 1) },
			Restarted: func(reason string) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.restarts = append(s.restarts, reason)
			},
		},
	}
}

// outputs is what readers at read_committed see, as it comes.
type outputs struct {
	prefix string
	client *kgo.Client

	mu      sync.Mutex
	got     map[string]map[string][]string // topic without its prefix -> key -> values; guarded by mu
	changed chan struct{}                  // closed when got changes; guarded by mu
}

// read begins to read topics that exist.
func (o *outputs) read(t *testing.T, a *arena, topics ...string) {
	t.Helper()
	names := make([]string, len(topics))
	for i, name := range topics {
		names[i] = a.prefix + name
	}
	if o.client != nil {
		o.client.AddConsumeTopics(names...)
		return
	}
	o.prefix, o.got, o.changed = a.prefix, map[string]map[string][]string{}, make(chan struct{})
	var err error
	o.client, err = kgo.NewClient(kgo.SeedBrokers(a.broker), kgo.ConsumeTopics(names...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			fetches := o.client.PollFetches(t.Context())
			if fetches.IsClientClosed() || t.Context().Err() != nil {
				return
			}
			fetches.EachRecord(o.take)
		}
	}()
	t.Cleanup(func() {
		o.client.Close()
		<-ended
	})
}

func (o *outputs) take(r *kgo.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	topic := strings.TrimPrefix(r.Topic, o.prefix)
	if o.got[topic] == nil {
		o.got[topic] = map[string][]string{}
	}
	o.got[topic][string(r.Key)] = append(o.got[topic][string(r.Key)], string(r.Value))
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *outputs) keys(topic string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.got[topic]))
}

// look answers a key's values, and what tells of a change.
func (o *outputs) look(topic, key string) ([]string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.got[topic][key]), o.changed
}

// want waits until a key has as many values as it should have, and compares them.
func (o *outputs) want(t *testing.T, topic, key string, want ...string) {
	t.Helper()
	o.wait(t, topic, key, want, func(got []string) []string { return got })
}

// wantRepeated is want of an egress that may deliver again what it has delivered.
func (o *outputs) wantRepeated(t *testing.T, topic, key string, want ...string) {
	t.Helper()
	o.wait(t, topic, key, want, func(got []string) (firsts []string) {
		for _, v := range got {
			if !slices.Contains(firsts, v) {
				firsts = append(firsts, v)
			}
		}
		return firsts
	})
}

func (o *outputs) wait(t *testing.T, topic, key string, want []string, of func([]string) []string) {
	t.Helper()
	limit := time.After(patience)
	for {
		values, changed := o.look(topic, key)
		got := of(values)
		if len(got) >= len(want) {
			if !slices.Equal(got, want) {
				t.Fatalf("topic %s, key %.80q: got %d values %.300q, want %d %.300q", topic, key, len(got), got, len(want), want)
			}
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("topic %s, key %.80q: got %d values %.300q in %v, want %d", topic, key, len(got), got, patience, len(want))
		}
	}
}
