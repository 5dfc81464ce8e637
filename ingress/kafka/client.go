package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// newClientConfig is what clients use where no property says otherwise.
func newClientConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "stategate"
	c.Metadata.Full = false
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Max = 1
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Fetch.Min = 1
	c.Consumer.Fetch.Max = 0 // a record that is larger than a fetch makes the fetch larger
	// What one answer holds is in memory several times while it is taken apart.
	c.Consumer.Fetch.MaxBytes = 8 << 20
	// A broker answers a waiting fetch as soon as there is a record, so waiting costs no latency, and the longer the less an idle
	// partition costs.
	c.Consumer.MaxWaitTime = 500 * time.Millisecond
	return c
}

// dialer opens the connections of one client and closes them all when asked, so that nothing waits for a broker that does
// not answer once the ingress stops.
type dialer struct {
	ctx      context.Context
	cancel   context.CancelFunc
	settings *settings

	mu   sync.Mutex
	open map[*connection]struct{}
}

type connection struct {
	net.Conn
	raw    net.Conn // below TLS: closing it waits for nobody
	dialer *dialer
}

func newDialer(settings *settings) *dialer {
	ctx, cancel := context.WithCancel(context.Background())
	return &dialer{ctx: ctx, cancel: cancel, settings: settings, open: map[*connection]struct{}{}}
}

// Dial is sarama's way to a broker. TLS is made here and not by sarama: so its handshake has a bound, ends with the dialer, and
// says what was wrong.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	inner, raw, err := d.settings.Dial(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ctx.Err(); err != nil {
		_ = raw.Close()
		return nil, err
	}
	c := &connection{Conn: inner, raw: raw, dialer: d}
	d.open[c] = struct{}{}
	return c, nil
}

func (c *connection) Close() error {
	d := c.dialer
	d.mu.Lock()
	delete(d.open, c)
	d.mu.Unlock()
	return c.Conn.Close()
}

// close ends all connections and refuses new ones. It may be called several times.
func (d *dialer) close() {
	d.cancel()
	d.mu.Lock()
	var open []*connection
	for c := range d.open {
		open = append(open, c)
	}
	d.mu.Unlock()
	for _, c := range open {
		_ = c.raw.Close()
	}
}

// owned is the configuration of connections that the dialer owns.
func (d *dialer) owned() *sarama.Config {
	config := *d.settings.client
	config.Net.Proxy.Enable = true
	config.Net.Proxy.Dialer = d
	config.Net.SASL.TokenProvider = tokens{d, d.settings.SASL}
	return &config
}

// boundBatches bounds what the library decompresses, which has it once for the process: only what formats before Kafka 0.11 hold.
var boundBatches = sync.OnceFunc(func() { sarama.MaxDecompressedBatchSize = batchDecompressedMax })

// newClient makes a client whose connections the dialer owns. It does not connect yet.
func newClient(brokers []string, settings *settings) (sarama.Client, *dialer, error) {
	boundBatches()
	d := newDialer(settings)
	client, err := sarama.NewClient(brokers, d.owned())
	if err != nil {
		d.close()
		return nil, nil, err
	}
	return client, d, nil
}

// backoff doubles from 50 ms up to longest.
func backoff(attempt int, longest time.Duration) time.Duration {
	return min(longest, 50*time.Millisecond<<min(max(attempt-1, 0), 16))
}

// sleep waits, and reports false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
