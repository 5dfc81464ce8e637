package kinesis

import (
	"log/slog"
	"sync"

	"github.com/stategate/stategate/ingress"
)

// conditions is what is wrong at present, said once when it begins and once when it ends.
type conditions struct {
	log   *slog.Logger
	hooks ingress.Hooks

	mu     sync.Mutex
	active map[string]string // key -> text
}

// begin states a condition. The same again is not said twice.
func (c *conditions) begin(key, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, ok := c.active[key]
	if ok && before == text {
		return
	}
	c.active[key] = text
	if !ok {
		c.log.Warn(key, "detail", text)
	}
	if c.hooks.Degraded != nil {
		c.hooks.Degraded(key, text)
	}
}

// end takes a condition back, if it was stated.
func (c *conditions) end(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.active[key]; !ok {
		return
	}
	delete(c.active, key)
	c.log.Info(key + ": over")
	if c.hooks.Recovered != nil {
		c.hooks.Recovered(key)
	}
}

// endAll takes everything back without a word: the ingress stops.
func (c *conditions) endAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.active {
		if c.hooks.Recovered != nil {
			c.hooks.Recovered(key)
		}
	}
	clear(c.active)
}
