package kafka

import (
	"context"
	"log/slog"

	"github.com/stategate/stategate/egress"
)

// Keys of the conditions that operators must know of, behind "egress <id>: ".
const (
	troubleKafka  = "kafka"          // Kafka does not take outputs; it is tried again
	troubleStore  = "store"          // the store does not answer the relay; it is tried again
	troubleTopic  = "topic missing"  // outputs of missing topics become dead letters
	troubleLost   = "cursor lost"    // the lane stands still
	troubleBack   = "store is older" // the lane stands still
	troubleOutbox = "outbox has a gap"
)

// trouble says each condition once when it begins and once when it ends. Owned by Run.
type trouble struct {
	prefix string
	hooks  egress.Hooks
	log    *slog.Logger
	texts  map[string]string // of the conditions that last
}

func newTrouble(id string, hooks egress.Hooks, log *slog.Logger) *trouble {
	return &trouble{prefix: "egress " + id + ": ", hooks: hooks, log: log, texts: make(map[string]string)}
}

// begin starts a condition, or changes its text (which is not logged again).
func (t *trouble) begin(key, text string, level slog.Level) {
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
	if _, lasts := t.texts[key]; !lasts {
		return
	}
	delete(t.texts, key)
	t.log.Info(text)
	if t.hooks.Recovered != nil {
		t.hooks.Recovered(t.prefix + key)
	}
}
