package app

import (
	"maps"
	"sync"

	"github.com/stategate/stategate/api"
)

// lags are the last reports of how many records of a source are not finished. They end with the incarnation: another member may read
// the source from then on.
type lags struct {
	mu       sync.Mutex
	bySource map[api.Source]int64 // guarded by mu
}

func (l *lags) set(s api.Source, records int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bySource == nil {
		l.bySource = map[api.Source]int64{}
	}
	l.bySource[s] = records
}

func (l *lags) all() map[api.Source]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.bySource)
}

func (l *lags) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.bySource)
}
