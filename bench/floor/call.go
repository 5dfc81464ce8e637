package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
)

const bulkContentType = "application/vnd.stategate.bulk.v1"

// caller runs the batches one after the other: each sees what the one before it left.
type caller struct {
	cfg       config
	db        *store
	client    *http.Client
	number    int // of batches
	positions []int64
	// What was used since the cache was half full is young; older is what was used before. Half a cache is four batches and more, so what
	// is dropped was committed long since: no more than three batches are on their way.
	young, older map[string]*address
	missing      []*address // of this batch
	request      []byte
	response     bytes.Buffer
}

func newCaller(cfg config, db *store) *caller {
	transport := &http.Transport{ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10, DisableCompression: true}
	return &caller{
		cfg: cfg, db: db, client: &http.Client{Transport: transport}, positions: slices.Clone(db.positions),
		young: map[string]*address{}, older: map[string]*address{},
	}
}

// run forms batches of what is there, so they are small while little comes and large behind a slow store.
func (c *caller) run(ctx context.Context, in <-chan []record, out chan<- *batch) error {
	defer c.client.CloseIdleConnections()
	var carry []record
	for {
		b := &batch{records: carry}
		if len(carry) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case b.records = <-in:
			}
		}
		carry = nil
		for more := true; more && len(b.records) < c.cfg.batch; {
			select {
			case records := <-in:
				b.records = append(b.records, records...)
			default:
				more = false
			}
		}
		if len(b.records) > c.cfg.batch {
			b.records, carry = b.records[:c.cfg.batch:c.cfg.batch], b.records[c.cfg.batch:]
		}
		if err := c.call(ctx, b); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case out <- b:
		}
	}
}

// call runs one batch and takes its effects.
func (c *caller) call(ctx context.Context, b *batch) error {
	c.number++
	b.group(c.number, c.find)
	if len(c.missing) > 0 {
		if err := c.db.load(ctx, c.missing); err != nil {
			return err
		}
		c.missing = c.missing[:0]
	}
	c.request = b.encode(c.request[:0], c.cfg.address)
	if err := c.post(ctx); err != nil {
		return fmt.Errorf("call %d addresses: %w", len(b.calls), err)
	}
	if err := b.decode(c.response.Bytes()); err != nil {
		return fmt.Errorf("call %d addresses: %w", len(b.calls), err)
	}
	for i := range b.calls {
		if a := &b.calls[i]; a.value != nil {
			a.address.value, a.stored = a.value, true
		}
	}
	for _, r := range b.records {
		for int(r.partition) >= len(c.positions) {
			c.positions = append(c.positions, 0)
		}
		c.positions[r.partition] = r.offset + 1
	}
	b.positions = slices.Clone(c.positions)
	b.records, b.next = nil, nil
	if len(c.young) >= c.cfg.cache/2 {
		c.young, c.older = make(map[string]*address, len(c.young)), c.young
	}
	return nil
}

// find is the address of a key. One that is not in memory is loaded before the call.
func (c *caller) find(key []byte) *address {
	if a := c.young[string(key)]; a != nil {
		return a
	}
	a := c.older[string(key)]
	if a == nil {
		a = &address{id: bytes.Clone(key)}
		if a.id == nil {
			a.id = []byte{}
		}
		c.missing = append(c.missing, a)
	}
	c.young[string(key)] = a
	return a
}

func (c *caller) post(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.function, bytes.NewReader(c.request))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", bulkContentType)
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	c.response.Reset()
	if _, err := c.response.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != bulkContentType {
		return fmt.Errorf("status %d: %.200q", response.StatusCode, c.response.Bytes())
	}
	return nil
}
