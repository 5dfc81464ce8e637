package aws

import (
	"errors"
	"strings"
	"time"
)

// Reasons that several rows share.
const (
	becauseRetries  = "what fails is tried again for as long as it takes, with pauses of its own"
	becauseNoFanOut = "shards are polled; enhanced fan-out is not used"
	becauseModule   = "awsRegion, awsCredentials and startupPosition of the module count"
	becauseClient   = "the HTTP client here has no such switch"
	becauseFlink    = "it is a matter of Flink's own"
	becauseNoKPL    = "no Kinesis Producer Library runs here"
	becauseMetrics  = "the gateway's metrics are at /metrics; it sends none to CloudWatch"
	becauseTTL      = "an output is tried until it is delivered or refused for good"
)

// Rows that both sides have, under the names that each has for them.
var (
	maxConnections = count(func(s *Settings) *int { return &s.Client.MaxConnections }, 1, 10_000)
	connectTimeout = millis(func(s *Settings) *time.Duration { return &s.Client.ConnectTimeout })
	requestTimeout = millis(func(s *Settings) *time.Duration { return &s.Client.RequestTimeout })
	proxyHost      = guard(text(func(s *Settings) *string { return &s.Client.Proxy.Host }))
	proxyPort      = guard(count(func(s *Settings) *int { return &s.Client.Proxy.Port }, 1, 65535))
	proxyUser      = guard(text(func(s *Settings) *string { return &s.Client.Proxy.User }))
	proxyPassword  = property{guards: true, set: func(s *Settings, value string) error { s.Client.Proxy.Password = Secret(value); return nil }}
)

// reading has the names of com.amazonaws.ClientConfiguration, behind the prefix that Flink gives them, and of Flink's consumer.
var reading = lower(map[string]property{
	"aws.clientconfig.maxConnections":          maxConnections,
	"aws.clientconfig.connectionTimeout":       connectTimeout,
	"aws.clientconfig.socketTimeout":           millis(func(s *Settings) *time.Duration { return &s.Client.ReadTimeout }),
	"aws.clientconfig.requestTimeout":          requestTimeout,
	"aws.clientconfig.clientExecutionTimeout":  requestTimeout,
	"aws.clientconfig.connectionMaxIdleMillis": millis(func(s *Settings) *time.Duration { return &s.Client.IdleMax }),
	"aws.clientconfig.proxyHost":               proxyHost,
	"aws.clientconfig.proxyPort":               proxyPort,
	"aws.clientconfig.proxyUsername":           proxyUser,
	"aws.clientconfig.proxyPassword":           proxyPassword,
	"aws.clientconfig.proxyProtocol": {guards: true, set: func(s *Settings, value string) error {
		if s.Client.Proxy.Scheme = strings.ToLower(value); s.Client.Proxy.Scheme != "http" && s.Client.Proxy.Scheme != "https" {
			return errors.New("want HTTP or HTTPS")
		}
		return nil
	}},
	"aws.clientconfig.nonProxyHosts": {set: func(s *Settings, value string) error {
		s.Client.Proxy.Except = strings.Split(value, "|")
		return nil
	}},
	"aws.clientconfig.proxyDomain":                           refused("a proxy that wants NTLM cannot be used"),
	"aws.clientconfig.proxyWorkstation":                      refused("a proxy that wants NTLM cannot be used"),
	"aws.clientconfig.proxyAuthenticationMethods":            refused("a proxy is told user and password (Basic) and nothing else"),
	"aws.clientconfig.preemptiveBasicProxyAuth":              unlike("true", "a proxy is always told user and password at once"),
	"aws.clientconfig.disableSocketProxy":                    unlike("true", "there are no SOCKS proxies here"),
	"aws.clientconfig.protocol":                              unlike("HTTPS", "HTTPS is spoken"),
	"aws.clientconfig.localAddress":                          refused("the address to connect from cannot be chosen; leave it to the machine's routes"),
	"aws.clientconfig.signerOverride":                        without("requests are signed as the service wants it"),
	"aws.clientconfig.maxErrorRetry":                         without(becauseRetries),
	"aws.clientconfig.retryMode":                             without(becauseRetries),
	"aws.clientconfig.throttleRetries":                       without(becauseRetries),
	"aws.clientconfig.useThrottleRetries":                    without(becauseRetries),
	"aws.clientconfig.maxConsecutiveRetriesBeforeThrottling": without(becauseRetries),
	"aws.clientconfig.tcpKeepAlive":                          unlike("true", "connections are always kept alive"),
	"aws.clientconfig.useTcpKeepAlive":                       unlike("true", "connections are always kept alive"),

	"aws.region":   without(becauseModule),
	"aws.endpoint": without(becauseModule),

	"flink.shard.getrecords.maxrecordcount": count(func(s *Settings) *int { return &s.RecordsMax }, 1, 10_000),
	"flink.shard.getrecords.intervalmillis": millis(func(s *Settings) *time.Duration { return &s.ReadInterval }),
	"flink.shard.discovery.intervalmillis":  millis(func(s *Settings) *time.Duration { return &s.Discovery }),
	"flink.stream.recordpublisher":          unlike("POLLING", becauseNoFanOut),
	"flink.stream.initpos":                  without(becauseModule),
	"flink.stream.initpos.timestamp":        without(becauseModule),
	"flink.stream.initpos.timestamp.format": without(becauseModule),
	"flink.shard.adaptivereads":             unlike("true", "reads are always as large as their records let them be"),
	"flink.shard.getrecords.maxretries":     without(becauseRetries),
	"flink.shard.getiterator.maxretries":    without(becauseRetries),
	"flink.list.shards.maxretries":          without(becauseRetries),
	"flink.shard.idle.interval":             without(becauseFlink),
	"flink.shard.consumerregistry":          without(becauseFlink),
})

var readingPrefixes = []prefix{
	{"aws.clientconfig.", becauseClient},
	{"aws.credentials.", becauseModule},
	{"flink.stream.efo.", becauseNoFanOut},
	{"flink.shard.subscribetoshard.", becauseNoFanOut},
	{"flink.stream.describestreamconsumer.", becauseNoFanOut},
	{"flink.stream.registerstreamconsumer.", becauseNoFanOut},
	{"flink.stream.deregisterstreamconsumer.", becauseNoFanOut},
	{"flink.shard.getrecords.", becauseRetries},
	{"flink.shard.getiterator.", becauseRetries},
	{"flink.list.shards.", becauseRetries},
	{"flink.stream.describe.", becauseRetries},
	{"flink.watermark.", becauseFlink},
	{"flink.", becauseFlink},
}

// writing has the names of com.amazonaws.services.kinesis.producer.KinesisProducerConfiguration.
var writing = lower(map[string]property{
	"MaxConnections":     maxConnections,
	"ConnectTimeout":     connectTimeout,
	"RequestTimeout":     requestTimeout,
	"ProxyHost":          proxyHost,
	"ProxyPort":          proxyPort,
	"ProxyUserName":      proxyUser,
	"ProxyPassword":      proxyPassword,
	"CaCertPath":         guard(text(func(s *Settings) *string { return &s.Client.RootCAs })),
	"CollectionMaxCount": count(func(s *Settings) *int { return &s.CallRecordsMax }, 1, 500),
	"CollectionMaxSize":  count(func(s *Settings) *int { return &s.CallBytesMax }, 52224, math32),

	"VerifyCertificate": unlike("true", "certificates are always verified; trust one of your own with CaCertPath or AWS_CA_BUNDLE"),
	"KinesisEndpoint":   refused("outputs would go elsewhere without it: write awsRegion {type: custom-endpoint, endpoint: ..., id: ...}"),
	"KinesisPort":       refused("outputs would go elsewhere without it: write awsRegion {type: custom-endpoint, endpoint: ..., id: ...}"),
	"Region":            without(becauseModule),
	"aws.region":        without(becauseModule),
	"StsEndpoint":       without(becauseModule),
	"StsPort":           without(becauseModule),

	// One record of ours is one record of the stream, so that every reader understands it, a shard's order is that of the records,
	// and one that is refused is alone.
	"AggregationEnabled":        unlike("false", "each output is a record of its own; packing several into one is a format of the library's that only its readers understand"),
	"AggregationMaxCount":       without("outputs are not aggregated"),
	"AggregationMaxSize":        without("outputs are not aggregated"),
	"RecordMaxBufferedTime":     without("an output leaves at once; those that gather meanwhile leave together"),
	"RecordTtl":                 without(becauseTTL),
	"UserRecordTimeoutInMillis": without(becauseTTL),
	"FailIfThrottled":           unlike("false", becauseTTL),
	"RateLimit":                 without("the limits of the stream count"),
	"MinConnections":            without("connections are opened when they are needed"),
	"MetricsLevel":              unlike("none", becauseMetrics),
	"MetricsGranularity":        without(becauseMetrics),
	"MetricsNamespace":          without(becauseMetrics),
	"MetricsUploadDelay":        without(becauseMetrics),
	"CloudwatchEndpoint":        without(becauseMetrics),
	"CloudwatchPort":            without(becauseMetrics),
	"CredentialsRefreshDelay":   without("credentials are renewed before they expire"),
	"EnableCoreDumps":           without(becauseNoKPL),
	"LogLevel":                  without(becauseNoKPL),
	"NativeExecutable":          without(becauseNoKPL),
	"TempDirectory":             without(becauseNoKPL),
	"ThreadingModel":            without(becauseNoKPL),
	"ThreadPoolSize":            without(becauseNoKPL),
})

const math32 = 1<<31 - 1

// lower makes names comparable: Java's are found whatever their case.
func lower(table map[string]property) map[string]property {
	out := make(map[string]property, len(table))
	for name, p := range table {
		out[strings.ToLower(name)] = p
	}
	return out
}
