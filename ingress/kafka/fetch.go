package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	fetchVersion = 12 // the highest that the library speaks; a broker that knows less is spoken to in what it knows
	// fetchWaitShort is how long a fetch waits for records while another partition of its broker is about to join it: one that has just
	// been paused, or is being opened as others were.
	fetchWaitShort = 20 * time.Millisecond
	fetchSettled   = time.Second            // after a partition has come or was paused
	fetchWaitFull  = 100 * time.Millisecond // likewise, while one is paused for longer

	// A broker tells who waits for records of a topic that it is deleted; a topic that is deleted and made again while nobody does looks
	// like the one before. unheardMax is how long nobody may, and lateMax how late a broker may end a wait.
	unheardMax = time.Millisecond
	lateMax    = 5 * time.Millisecond
)

// feed fetches for all partitions of a session. Each broker has a connection of its own and one fetch at a time, for all partitions
// that are read from it and have room.
type feed struct {
	config *sarama.Config
	doubt  func() // a partition was not waited for: its topic may have become another one

	mu       sync.Mutex
	fetchers map[string]*fetcher // by the broker's address; guarded by mu
}

// fetcher fetches from one broker, from its first partition to its last, or to the first answer that does not come.
type fetcher struct {
	feed    *feed
	address string
	sieve   *sieve
	wake    chan struct{} // capacity 1: a partition has come, or has room again

	streams map[*stream]struct{} // guarded by feed.mu
	joined  time.Time            // of the last stream; guarded by feed.mu

	// run's own.
	single   bool // the last fetch was for a partition alone
	unpacker unpacker
	round    uint64    // number of the last fetch
	heard    time.Time // since when nobody waits for records
	// resumes is when the broker takes the next fetch, where a quota is used up.
	resumes time.Time
}

func newFeed(config *sarama.Config, doubt func()) *feed {
	return &feed{config: config, doubt: doubt, fetchers: map[string]*fetcher{}}
}

// open begins to fetch a partition from a broker, and makes the goroutine that does. leave ends it: then nobody fetches for the stream
// any more, but for an answer that is on its way.
func (f *feed) open(ctx context.Context, wait *sync.WaitGroup, address string, s *stream) (leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.fetchers[address]
	if b == nil {
		b = &fetcher{feed: f, address: address, sieve: newSieve(f.config), wake: make(chan struct{}, 1), streams: map[*stream]struct{}{}}
		f.fetchers[address] = b
		wait.Add(1)
		go func() { defer wait.Done(); b.run(ctx) }()
	}
	s.buffer.resume = b.poke
	b.streams[s] = struct{}{}
	b.joined = time.Now()
	b.poke()
	return func() {
		f.mu.Lock()
		delete(b.streams, s)
		f.mu.Unlock()
		b.poke()
	}
}

func (b *fetcher) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *fetcher) run(ctx context.Context) {
	config := *b.feed.config
	config.Net.Proxy.Dialer = b.sieve
	broker := sarama.NewBroker(b.address)
	err := broker.Open(&config)
	defer func() { _ = broker.Close() }()
	for err == nil && ctx.Err() == nil {
		// The library would wait as well, but nothing ends its wait.
		if !b.resumes.IsZero() && !sleep(ctx, time.Until(b.resumes)) {
			break
		}
		request, asked := b.request()
		if len(asked) > 0 {
			err = b.fetch(broker, request, asked)
			if _, ok := errors.AsType[*unreadable](err); ok {
				_ = broker.Close() // nobody knows what comes next on this connection
				err = broker.Open(&config)
			}
			continue
		}
		if b.retire() {
			return
		}
		select {
		case <-b.wake:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	b.fail(err)
}

// request is the next fetch: for the partitions that have room, or for one that is to be asked for alone, in turns.
func (b *fetcher) request() (*sarama.FetchRequest, []*stream) {
	b.feed.mu.Lock()
	defer b.feed.mu.Unlock()
	config := &b.feed.config.Consumer
	wait, now := config.MaxWaitTime, time.Now()
	if now.Sub(b.joined) < fetchSettled {
		wait = min(wait, fetchWaitShort)
	}
	var together []*stream
	var alone *stream
	for s := range b.streams {
		since, paused := s.buffer.isPaused()
		switch {
		case paused && now.Sub(since) < fetchSettled:
			wait = min(wait, fetchWaitShort)
		case paused:
			wait = min(wait, fetchWaitFull)
		case s.alone.Load():
			wait = min(wait, fetchWaitShort)
			alone = s // of several it is any: a map has no order
		default:
			together = append(together, s)
		}
	}
	asked := together
	b.single = alone != nil && (!b.single || len(together) == 0)
	if b.single {
		asked = []*stream{alone}
	}
	request := &sarama.FetchRequest{Version: fetchVersion, MinBytes: config.Fetch.Min, MaxBytes: config.Fetch.MaxBytes,
		MaxWaitTime: int32(wait / time.Millisecond), Isolation: config.IsolationLevel, SessionEpoch: -1, RackID: b.feed.config.RackID}
	doubt := now.Sub(b.heard) > unheardMax
	for _, s := range asked {
		doubt = doubt || s.round != b.round
		s.round = b.round + 1
		request.AddBlock(s.source.Topic, s.source.Partition, s.next, s.size, s.epoch)
		request.MaxBytes = max(request.MaxBytes, s.size)
	}
	if len(asked) > 0 {
		b.round++
		if doubt {
			b.feed.doubt()
		}
	}
	return request, asked
}

// fetch asks and hands out the answer. An error is the connection's; one that is *unreadable has ended what was asked for.
func (b *fetcher) fetch(broker *sarama.Broker, request *sarama.FetchRequest, asked []*stream) error {
	atLatest := time.Now().Add(time.Duration(request.MaxWaitTime)*time.Millisecond + lateMax)
	b.sieve.begin()
	response, err := broker.Fetch(request)
	a := answer{at: time.Now(), single: b.single}
	sound, sets := b.sieve.end()
	b.heard = a.at
	if atLatest.Before(a.at) {
		b.heard = atLatest // the answer has lain about
	}
	if err == nil && response.ErrorCode != 0 {
		err = sarama.KError(response.ErrorCode)
	}
	if err != nil {
		if !sound || isRefusal(err) {
			return err
		}
		err = &unreadable{b.placed(err, asked[0]), b.single}
		for _, s := range asked {
			s.alone.Store(true) // which one is at fault is not said
			b.drop(s, err)
		}
		return err
	}
	if b.resumes = (time.Time{}); response.ThrottleTime > 0 {
		b.resumes = a.at.Add(response.ThrottleTime)
	}
	for _, s := range asked {
		a.block, a.set = response.GetBlock(s.source.Topic, s.source.Partition), sets[place{s.source.Topic, s.source.Partition}]
		switch {
		case a.block != nil:
			err = s.take(&a, &b.unpacker)
		case response.ThrottleTime > 0:
			err = nil // a quota is used up
		default:
			err = sarama.ErrIncompleteResponse
		}
		if err != nil {
			b.drop(s, err)
		}
	}
	return nil
}

// placed says where a fetch cannot be read, as far as that is known.
func (b *fetcher) placed(err error, s *stream) error {
	if b.single {
		return fmt.Errorf("from offset %d on: %w", s.next, err)
	}
	return err
}

// isRefusal reports whether an error is what a broker says, or the network.
func isRefusal(err error) bool {
	var network net.Error // a time-out
	var code sarama.KError
	return errors.As(err, &network) || errors.As(err, &code)
}

func (b *fetcher) drop(s *stream, err error) {
	b.feed.mu.Lock()
	delete(b.streams, s)
	b.feed.mu.Unlock()
	s.buffer.close(err)
}

// retire ends the fetcher if nothing is read from its broker any more.
func (b *fetcher) retire() bool {
	b.feed.mu.Lock()
	defer b.feed.mu.Unlock()
	if len(b.streams) > 0 {
		return false
	}
	delete(b.feed.fetchers, b.address)
	return true
}

// fail ends the fetcher and all its streams.
func (b *fetcher) fail(err error) {
	b.feed.mu.Lock()
	delete(b.feed.fetchers, b.address)
	streams := b.streams
	b.streams = map[*stream]struct{}{}
	b.feed.mu.Unlock()
	for s := range streams {
		s.buffer.close(err)
	}
}
