package kafkaproperty

import "time"

const (
	ownWaits  = "the gateway chooses its own waits"
	noMetrics = "the gateway has metrics of its own"
	noClass   = "no Java class is loaded"
)

// connectionProperties are of consumers and producers alike.
var connectionProperties = []property{
	{name: "bootstrap.servers", role: both, surplus: "`address` says it; of an ingress without `address` it is the address"},
	{name: "client.id", role: both, set: func(s *Settings, v string) error { s.ClientID = v; return nil }, does: "the name in the broker's logs and quotas"},
	{name: "request.timeout.ms", role: both, set: atLeast1(func(s *Settings, d time.Duration) { s.RequestTimeout = d }), does: "how long an answer is waited for"},
	{name: "socket.connection.setup.timeout.ms", role: both, set: atLeast1(func(s *Settings, d time.Duration) { s.ConnectTimeout = d }),
		does: "how long a connection may take to open, its TLS handshake included"},
	{name: "socket.connection.setup.timeout.max.ms", role: both, because: "the time to open a connection does not grow with failures"},
	{name: "metadata.max.age.ms", role: both, set: millis(func(s *Settings, d time.Duration) { s.MetadataAge = d }), does: "when brokers and leaders are looked up anew"},
	{name: "send.buffer.bytes", role: both, set: buffer(func(s *Settings, n int) { s.SendBuffer = n }), does: "size of the socket's buffer; -1, and without it: the system's"},
	{name: "receive.buffer.bytes", role: both, set: buffer(func(s *Settings, n int) { s.ReceiveBuffer = n }), does: "size of the socket's buffer; -1, and without it: the system's"},

	{name: "connections.max.idle.ms", role: both, because: "connections are kept; one that the broker has closed is opened again"},
	{name: "reconnect.backoff.ms", role: both, because: ownWaits},
	{name: "reconnect.backoff.max.ms", role: both, because: ownWaits},
	{name: "retry.backoff.ms", role: both, because: ownWaits},
	{name: "retry.backoff.max.ms", role: both, because: ownWaits},
	{name: "client.dns.lookup", role: both, because: "names are looked up at each connection and all their addresses are tried"},
	{name: "metadata.recovery.strategy", role: both, because: "where no known broker answers, those of the address are asked again"},
	{name: "metadata.recovery.rebootstrap.trigger.ms", role: both, because: "where no known broker answers, those of the address are asked again"},
	{name: "enable.metrics.push", role: both, because: noMetrics},
	{name: "metric.reporters", role: both, because: noMetrics},
	{name: "metrics.num.samples", role: both, because: noMetrics},
	{name: "metrics.recording.level", role: both, because: noMetrics},
	{name: "metrics.sample.window.ms", role: both, because: noMetrics},
	{name: "auto.include.jmx.reporter", role: both, because: noMetrics},
	{name: "interceptor.classes", role: both, because: noClass},
	{name: "config.providers", role: both, because: "write ${NAME} for a value from the environment"},
	// Flink's own.
	{name: "flink.disable-metrics", role: both, because: "it speaks to Flink"},
	{name: "client.id.prefix", role: both, because: "it speaks to Flink; write client.id"},
}
