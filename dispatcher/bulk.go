package dispatcher

import (
	"context"
	"sync"
	"time"

	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// bulkBodies are request buffers of bulks. One that is larger than the machine lets a bulk grow holds a call that is, and is not kept.
var bulkBodies = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

const bulkBodyKeptMax = 1 << 20

// parcel is calls that can travel in one request: to one endpoint, by the same settings, in the same time.
type parcel struct {
	client  *endpoint.Client
	timeout int64
	calls   []sending // never empty
	began   time.Time
}

// startBulk makes the attempts of one bulk. What the machine takes for one endpoint may have different settings here, for it knows the
// URL only; then it is several requests.
func (d *Dispatcher) startBulk(calls []machine.Call) {
	go func() {
		defer d.wait.Done()
		parcels := d.sort(calls, time.Now())
		for i := 1; i < len(parcels); i++ {
			d.wait.Go(func() { d.attemptBulk(&parcels[i]) })
		}
		if len(parcels) > 0 {
			d.attemptBulk(&parcels[0])
		}
	}()
}

// sort puts calls into parcels, and tells of those that go nowhere.
func (d *Dispatcher) sort(calls []machine.Call, now time.Time) []parcel {
	parcels := make([]parcel, 0, 1)
	var last sending
	var client *endpoint.Client
	var failure *endpoint.Failure
	var nowhere []outcome
	for i := range calls {
		next := sending{call: &calls[i], words: last.words, span: d.calling(&calls[i])}
		if i == 0 || next.call.Function != last.call.Function {
			client, failure = d.resolve(&next)
		}
		last = next
		if failure != nil {
			nowhere = append(nowhere, outcome{call: next.call, failure: failure, span: next.span})
			continue
		}
		p := find(parcels, client, next.call.Timeout)
		if p == nil {
			parcels = append(parcels, parcel{client: client, timeout: next.call.Timeout, calls: make([]sending, 0, len(calls)-i), began: now})
			p = &parcels[len(parcels)-1]
		}
		p.calls = append(p.calls, next)
	}
	if len(nowhere) > 0 {
		d.tell(nowhere)
	}
	return parcels
}

// find answers the parcel that a call goes into. One that holds as many as its client may send takes no more: the machine counts by what
// another client of the URL has heard.
func find(parcels []parcel, client *endpoint.Client, timeout int64) *parcel {
	most := client.CallsMax()
	for i := range parcels {
		if p := &parcels[i]; p.client == client && p.timeout == timeout && (most == 0 || len(p.calls) < most) {
			return p
		}
	}
	return nil
}

// attemptBulk makes the attempt of a parcel.
func (d *Dispatcher) attemptBulk(p *parcel) {
	if len(p.calls) == 1 {
		o := d.attempt(p.client, &p.calls[0])
		o.took = time.Since(p.began)
		d.tell([]outcome{o})
		return
	}
	ctx, cancel := context.WithTimeout(d.callCtx, time.Duration(p.timeout)*time.Millisecond)
	defer cancel()
	buffer := bulkBodies.Get().(*[]byte)
	*buffer = appendBulk((*buffer)[:0], p.calls)
	d.sends(len(p.calls))
	rest := p.client.BulkTraced(ctx, *buffer, len(p.calls), p.trace(), func() {
		if cap(*buffer) <= bulkBodyKeptMax {
			bulkBodies.Put(buffer)
		}
	}, func(bulk int, answers []endpoint.Answer) { d.tell(d.judge(p, bulk, answers)) })
	if rest != nil {
		d.tell(p.left(rest))
	}
}

// judge reads answers that have come together. They are one fact, so that the loop wakes once for them.
func (d *Dispatcher) judge(p *parcel, bulk int, answers []endpoint.Answer) []outcome {
	took := time.Since(p.began)
	ended := make([]outcome, len(answers))
	for i := range answers {
		a := &answers[i]
		s := &p.calls[a.Number-1]
		s.told = true
		if a.Failure == nil {
			ended[i] = d.read(s, a.Reply, bulk, a.Room)
		} else {
			ended[i] = outcome{call: s.call, failure: a.Failure, span: s.span}
			d.cfg.Pool.Release(a.Room)
		}
		ended[i].took = took
	}
	return ended
}

// left is what became of the calls without an answer.
func (p *parcel) left(rest *endpoint.Failure) []outcome {
	took := time.Since(p.began)
	var ended []outcome
	for i := range p.calls {
		if s := &p.calls[i]; !s.told {
			ended = append(ended, outcome{call: s.call, failure: rest, span: s.span, took: took})
		}
	}
	return ended
}
