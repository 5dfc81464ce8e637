package kinesis

import (
	"context"
	"log/slog"
	"sync"

	"github.com/stategate/stategate/egress"
)

// Keys of the conditions that operators must know of, behind "egress <id>: ".
const (
	troubleKinesis  = "kinesis"        // Kinesis does not take outputs; it is tried again
	troubleThrottle = "throttled"      // shards take no more for now
	troubleStore    = "store"          // the store does not answer the relay; it is tried again
	troubleStream   = "stream missing" // outputs of missing streams become dead letters
	troubleHeld     = "held up"        // what one stream does not take fills the window: nothing else leaves
	troubleOutbox   = "outbox has a gap"
)

// trouble says each condition once when it begins and once when it ends.
type trouble struct {
	prefix string
	hooks  egress.Hooks
	log    *slog.Logger

	mu    sync.Mutex        // also over the hooks, so that they hear of one condition in order
	texts map[string]string // of the conditions that last; guarded by mu
}

func newTrouble(id string, hooks egress.Hooks, log *slog.Logger) *trouble {
	return &trouble{prefix: "egress " + id + ": ", hooks: hooks, log: log, texts: make(map[string]string)}
}

// begin starts a condition, or changes its text (which is not logged again).
func (t *trouble) begin(key, text string, level slog.Level) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, lasts := t.texts[key]
	if lasts && old == text {
		return
	}
	t.texts[key] = text
	if !lasts {
		t.log.Log(context.Background(), level, text)
	}
	if t.hooks.Degraded != nil {
		t.hooks.Degraded(t.prefix+key, text)
	}
}

// end ends a condition if it lasts.
func (t *trouble) end(key, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, lasts := t.texts[key]; !lasts {
		return
	}
	delete(t.texts, key)
	t.log.Info(text)
	if t.hooks.Recovered != nil {
		t.hooks.Recovered(t.prefix + key)
	}
}

// endAll takes everything back without a word: the relay ends, and what holds then is the next owner's to say.
func (t *trouble) endAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.texts {
		if t.hooks.Recovered != nil {
			t.hooks.Recovered(t.prefix + key)
		}
	}
	clear(t.texts)
}
