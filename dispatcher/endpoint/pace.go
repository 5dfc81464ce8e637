package endpoint

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// paceTick is how often the pace of a large answer is judged.
	paceTick = time.Second
	// paceBytes and a paceParts-th of the answer must come in each, while others want its room.
	paceBytes = 64 << 10
	paceParts = 16
)

// pace watches an answer that has taken room in the budget for all that it will be, on the word of its length. Where it comes so slowly that
// it keeps others out, it ends: a few endpoints that say much and send little would stop the large replies of all. Its calls go alone then,
// where room is taken as bytes come.
type pace struct {
	budget *budget
	slow   func()       // may be nil
	got    atomic.Int64 // bytes that have come and were not judged

	mu     sync.Mutex
	began  time.Time   // when the tick did; guarded by mu
	timer  *time.Timer // nil while there is no large answer; guarded by mu
	need   int64       // bytes in each tick; guarded by mu
	wanted uint64      // of the budget, when it was looked at last; guarded by mu
}

// begin is told of room for so many bytes.
func (p *pace) begin(bytes int64) {
	p.got.Store(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.need = max(paceBytes, bytes/paceParts)
	p.wanted, _ = p.budget.pressed()
	p.began = time.Now()
	p.timer = time.AfterFunc(p.budget.tick, p.judge)
}

// end is told when the answer is there, or nobody waits for it.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

func (p *pace) judge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return
	}
	wanted, waiting := p.budget.pressed()
	kept := waiting || wanted != p.wanted
	now := time.Now()
	if now.Sub(p.began) > 2*p.budget.tick {
		kept = false // it was we who stood still, and what has come was not read
	}
	p.wanted, p.began = wanted, now
	if got := p.got.Swap(0); kept && got < p.need && p.slow != nil {
		p.slow()
		return
	}
	p.timer.Reset(p.budget.tick)
}
