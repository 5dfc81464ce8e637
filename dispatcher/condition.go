package dispatcher

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// conditions is for what reasons the store counts as away: by its doors (lease, load, commit), each said once when it begins
// and once when it ends.
type conditions struct {
	log   *slog.Logger
	hooks Hooks

	mu     sync.Mutex
	active map[string]string // key -> text; guarded by mu
}

func (c *conditions) begin(key, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.active[key]; ok {
		return
	}
	if c.active == nil {
		c.active = map[string]string{}
	}
	c.active[key] = text
	c.log.Warn("store is away; it is tried again", "door", key, "error", text)
	if c.hooks.Degraded != nil {
		c.hooks.Degraded("store "+key, text)
	}
}

func (c *conditions) end(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.active[key]; !ok {
		return
	}
	delete(c.active, key)
	c.log.Info("store is back", "door", key)
	if c.hooks.Recovered != nil {
		c.hooks.Recovered("store " + key)
	}
}

func (c *conditions) endAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(c.active)) {
		if c.hooks.Recovered != nil {
			c.hooks.Recovered("store " + key)
		}
	}
	c.active = nil
}

// any is the text of one of the reasons, "" when there is none.
func (c *conditions) any() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(c.active)) {
		return c.active[key]
	}
	return ""
}
