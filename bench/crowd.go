//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// clientsMax is how many connections a crowd opens: more than the gateway has requests at once. A request that is due while all of
	// them wait for an answer is not sent.
	clientsMax = 6000
	// capacityClients find out how much can be done: each asks again when it is answered.
	capacityClients = 1024
	// giveUpAfter is how long a client waits for its answer, longer than the gateway makes it wait for room or for a reply.
	giveUpAfter = 45 * time.Second
	// crowdKeys are how many ids a crowd asks for, in turn.
	crowdKeys = 1000
)

// crowd asks the gateway by HTTP, and keeps what it was answered: what is durable (2xx), what has not happened (429, 503), and what
// nobody knows (502, 504, a connection that broke).
type crowd struct {
	r      *run
	call   bool // with reply
	client *http.Client
	// clients are how many there are: requests at once.
	clients int
	body    []byte
	asked   atomic.Int64 // requests so far: what the next one is for

	mu    sync.Mutex
	taken map[string]int             // durable, by key
	doubt map[string]int             // it is not known
	told  map[string]map[string]bool // replies by key, each of which is a count of its own
	why   map[string]int             // it is not known, by reason
	wrong error
}

func newCrowd(r *run, call bool) *crowd {
	return &crowd{r: r, call: call, body: r.load.payload(), clients: clientsMax, taken: map[string]int{}, doubt: map[string]int{}, told: map[string]map[string]bool{}, why: map[string]int{},
		client: &http.Client{Timeout: giveUpAfter, Transport: &http.Transport{MaxIdleConnsPerHost: clientsMax, DisableCompression: true}}}
}

func (c *crowd) close() { c.client.CloseIdleConnections() }

// outcome of a request.
type outcome int

const (
	durable outcome = iota
	refused         // nothing has happened, and the client was told so
	unsent          // every client was waiting
	unknown
	outcomes // how many there are
)

// ask sends the next request and keeps what came of it.
func (c *crowd) ask(ctx context.Context) outcome {
	key := string(c.r.load.key(c.r.prefix(), int(c.asked.Add(1))))
	of, reply, err := c.post(ctx, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case of == unknown:
		c.doubt[key]++
		c.why[cause(err)]++
	case err != nil:
		c.wrong = errors.Join(c.wrong, err)
	case of == durable:
		c.taken[key]++
		if !c.call {
			break
		}
		if c.told[key] == nil {
			c.told[key] = map[string]bool{}
		}
		if c.told[key][reply] {
			c.wrong = errors.Join(c.wrong, fmt.Errorf("key %s: the reply %s came twice", key, reply))
		}
		c.told[key][reply] = true
	}
	return of
}

// cause is what an error says without addresses.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// post sends one request. The error says why its outcome is unknown; with any other outcome it is an answer that an overload does not explain.
func (c *crowd) post(ctx context.Context, key string) (of outcome, reply string, err error) {
	path := "/v1/send/test/count/"
	if c.call {
		path = "/v1/call/test/ask/"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.r.listen+path+key, strings.NewReader(string(c.body)))
	if err != nil {
		return unknown, "", err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := c.client.Do(request)
	if err != nil {
		return unknown, "", err
	}
	defer drop(response.Body)
	text, err := io.ReadAll(response.Body)
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		if response.Header.Get("Retry-After") == "" {
			return refused, "", fmt.Errorf("%s does not say when to come again", response.Status)
		}
		return refused, "", nil
	case err != nil:
		return unknown, "", err
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return unknown, "", errors.New(response.Status)
	case status/100 == 2:
		return durable, string(text), nil
	}
	return refused, "", fmt.Errorf("%s: %.200s", response.Status, text)
}

// capacity is how many requests per second are answered when clients wait for their answers.
func (c *crowd) capacity(ctx context.Context, length time.Duration) (map[string]float64, error) {
	for _, measured := range []bool{false, true} { // the first warms it
		from, err := c.r.read(ctx)
		if err != nil {
			return nil, err
		}
		var wg sync.WaitGroup
		var n atomic.Int64
		deadline := time.Now().Add(length)
		for range capacityClients {
			wg.Go(func() {
				for time.Now().Before(deadline) && ctx.Err() == nil {
					if c.ask(ctx) == durable {
						n.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if c.wrong != nil {
			return nil, c.wrong
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if n.Load() == 0 {
			return nil, errors.New("no request is answered")
		}
		if !measured {
			continue
		}
		to, err := c.r.read(ctx)
		if err != nil {
			return nil, err
		}
		return to.since(from, int(n.Load())), nil
	}
	return nil, nil
}

// answered is what an open loop came to, in parts of its time.
type answered struct {
	took [][]time.Duration // of what is durable, from when it was due to its answer, by part
	n    [][outcomes]int   // by part
}

// press sends requests at a rate, each at its moment, however slow the gateway is, and answers what came of them in equal parts of the
// time: each counts in the part in which it was due.
func (c *crowd) press(ctx context.Context, rate float64, length time.Duration, parts int) (answered, error) {
	l := newLoop(c.r, rate, length)
	out := answered{took: make([][]time.Duration, parts), n: make([][outcomes]int, parts)}
	var mu sync.Mutex // guards out
	free := make(chan struct{}, c.clients)
	var wg sync.WaitGroup
	for i := range l.n {
		due, part := l.due(i), i*parts/l.n
		if err := l.await(ctx, i); err != nil {
			wg.Wait()
			return out, err
		}
		select {
		case free <- struct{}{}:
		default:
			mu.Lock()
			out.n[part][unsent]++
			mu.Unlock()
			continue
		}
		wg.Go(func() {
			of := c.ask(ctx)
			took := time.Since(due)
			<-free
			mu.Lock()
			defer mu.Unlock()
			if out.n[part][of]++; of == durable {
				out.took[part] = append(out.took[part], took)
			}
		})
	}
	wg.Wait()
	return out, c.wrong
}

// durable is how many requests are.
func (a answered) durable() (n int) {
	for _, part := range a.n {
		n += part[durable]
	}
	return n
}

// values of some parts together, whose time was so long.
func (a answered) values(from, to int, length time.Duration) map[string]float64 {
	var took []time.Duration
	var n [outcomes]int
	for part := from; part < to; part++ {
		took = append(took, a.took[part]...)
		for of := range n {
			n[of] += a.n[part][of]
		}
	}
	slices.Sort(took)
	seconds := length.Seconds()
	return map[string]float64{
		"asked_per_second": float64(n[durable]+n[refused]+n[unsent]+n[unknown]) / seconds, "records_per_second": float64(n[durable]) / seconds,
		"refused_per_second": float64(n[refused]) / seconds, "unsent_per_second": float64(n[unsent]) / seconds, "unknown": float64(n[unknown]),
		"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "max_ms": quantile(took, 1),
	}
}

// settle asks each key once more, when nothing else is asked: the count that it answers must be that of what was answered before, and of
// no more than what is in doubt beside it.
func (c *crowd) settle(ctx context.Context) error {
	var wrong []string
	for key := range c.told {
		n := c.taken[key]
		of, reply, err := c.post(ctx, key)
		if err != nil || of != durable {
			return errors.Join(fmt.Errorf("key %s: it is not answered behind the overload", key), err)
		}
		if got, err := strconv.Atoi(reply); err != nil || got < n+1 || got > n+1+c.doubt[key] {
			wrong = append(wrong, fmt.Sprintf("%s: %s calls, want %d and at most %d in doubt", key, reply, n+1, c.doubt[key]))
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return fmt.Errorf("wrong counts of %d of %d keys: %s", len(wrong), len(c.told), strings.Join(wrong[:min(5, len(wrong))], "; "))
	}
	return nil
}

// reasons are why outcomes are unknown, the most frequent first.
func (c *crowd) reasons() string {
	var all []string
	for _, why := range slices.SortedFunc(maps.Keys(c.why), func(a, b string) int { return c.why[b] - c.why[a] }) {
		all = append(all, fmt.Sprintf("%s (%d)", why, c.why[why]))
	}
	return strings.Join(all, ", ")
}
