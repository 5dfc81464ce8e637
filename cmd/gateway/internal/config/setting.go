package config

import (
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// setting is one thing that can be set. Its key in the file tells the names of its flag and its variable: logFormat is
// --log-format and STATEGATE_LOG_FORMAT.
type setting struct {
	key      string
	kind     string // of the value, as --help shows it
	list     bool   // several, separated by commas: the flag may be repeated, and the file may have a list
	standard string // the default; "" where there is none
	example  string // for a setting without a default
	brief    string // one line, for --help
	manual   string // paragraphs for the file of settings
	set      setter
}

const (
	variablePrefix = "STATEGATE_"
	configVariable = variablePrefix + "CONFIG" // not a setting: the file cannot name itself
	configFlag     = "config"
	anySize        = math.MaxInt64
	auto           = "auto" // a size that follows from others
)

// settings is the one list of what can be set: flags, variables, the file and its manual are made from it.
var settings = []setting{
	{
		key: "module", kind: "PATH", list: true, standard: "module.yaml", set: paths(func(c *Config) *[]string { return &c.Module }),
		brief: "what the application is: a file, or a folder of modules; may be repeated",
		manual: `The application: endpoints, ingresses and egresses. A file; or a folder, of which module.yaml and the module.yaml of every
folder in it are read, as StateFun's image does below /opt/statefun/modules; or several of both, separated by commas (the flag
may be repeated, and this file may have a list). All files together are one application. "classpath:" and "file://" before a
path, as StateFun writes them, are left out. gateway check says whether it is in order.`,
	},
	{
		key: "store", kind: "URL", standard: "sqlite:stategate.db", set: setStore,
		brief: "where state and messages are kept",
		manual: `Where state, messages and positions are kept. One of
  sqlite:PATH                                  one file, made where there is none; one machine
  postgres://USER@HOST:PORT/DATABASE           a server; ?schema=NAME for another schema than "stategate". One schema is one
                                               application, and gateways on one schema take over from each other.
  "memory:"                                    nothing survives the process; for trying things out (quotes in this file only)
What a postgres URL leaves out comes from PGHOST, PGUSER and so on, the password also from PGPASSFILE. On a command line
everybody on the machine can read a password: use STATEGATE_STORE, or storeFile.`,
	},
	{
		key: "storeFile", kind: "FILE", example: "/run/secrets/stategate-store", set: path(func(c *Config) *string { return &c.StoreFile }),
		brief:  "file that holds the store's URL",
		manual: "A file that holds the store's URL and nothing else, such as a mounted secret. Give either this or store.",
	},
	{
		key: "listen", kind: "HOST:PORT", standard: "127.0.0.1:8080", set: hostPort(func(c *Config) *string { return &c.Listen }),
		brief: "where events and requests come in by HTTP",
		manual: `Where events and requests come in by HTTP. It is opened only when the module has an HTTP ingress. An address that others can
reach is refused without a token or TLS (below), unless listenInsecure says otherwise. A gateway that waits opens it, too,
and passes requests on to the one that works.`,
	},
	{
		key: "listenTokenFile", kind: "FILE", example: "/run/secrets/stategate-tokens", set: path(func(c *Config) *string { return &c.ListenTokenFile }),
		brief: "file of tokens, one of which each HTTP request must carry",
		manual: `A file of tokens, one a line. Each request at listen must carry one of them: "Authorization: Bearer TOKEN". It is read again when
it changes, within some seconds; so that a token can be replaced, write the new one beside the old one, and remove that later. All
gateways on one store need the same.`,
	},
	{
		key: "listenTlsCert", kind: "FILE", example: "/etc/stategate/tls/tls.crt", set: path(func(c *Config) *string { return &c.ListenTLSCert }),
		brief: "certificate of --listen, for TLS",
		manual: `The certificate (PEM, with those that it descends from) with which listen speaks TLS, and nothing else. It is read again when it
or its key changes, within some seconds. All gateways on one store need the same: by it they know each other, and for ten minutes
by the one before.`,
	},
	{
		key: "listenTlsKey", kind: "FILE", example: "/etc/stategate/tls/tls.key", set: path(func(c *Config) *string { return &c.ListenTLSKey }),
		brief:  "its private key",
		manual: "The private key of listenTlsCert (PEM, not encrypted).",
	},
	{
		key: "listenInsecure", kind: "", standard: "false", set: boolean(func(c *Config) *bool { return &c.ListenInsecure }),
		brief: "let everybody in who reaches --listen",
		manual: `true: listen may be an address that others can reach, without token and without TLS. Whoever reaches it may send to every function
that the module's HTTP ingresses name. For a network in which something else decides who comes.`,
	},
	{
		key: "advertise", kind: "HOST:PORT", example: "10.0.0.7:8080", set: reachable(func(c *Config) *string { return &c.Advertise }),
		brief: "by which other gateways reach --listen; default where it is opened",
		manual: `By which address other gateways on the same store reach listen. Without it: where listen is opened, and where that is every
interface, the name of this machine.`,
	},
	{
		key: "admin", kind: "HOST:PORT", standard: "127.0.0.1:8081", set: hostPort(func(c *Config) *string { return &c.Admin }),
		brief: "where operators ask: /metrics, /healthz, /readyz, /v1",
		manual: `Where operators ask: /metrics, /healthz, /readyz, the /v1 API and /debug/pprof. It shows the state of every address and changes
what operators say, so an address that others can reach is refused without tokens or TLS (below), unless adminInsecure says
otherwise. /metrics, /healthz and /readyz never need a token.`,
	},
	{
		key: "adminTokenFile", kind: "FILE", example: "/run/secrets/stategate-operators", set: path(func(c *Config) *string { return &c.AdminTokenFile }),
		brief: "file of tokens of operators, who may read and change",
		manual: `A file of tokens, one a line. Who sends one of them ("Authorization: Bearer TOKEN") may read and change. It is read again when it
changes, within some seconds. With this or adminReadTokenFile each request at admin needs a token, but for probes and metrics.`,
	},
	{
		key: "adminReadTokenFile", kind: "FILE", example: "/run/secrets/stategate-readers", set: path(func(c *Config) *string { return &c.AdminReadTokenFile }),
		brief:  "file of tokens of those who may only read",
		manual: `The same, of those who may read and change nothing. A token that is in both files is an operator's.`,
	},
	{
		key: "adminTlsCert", kind: "FILE", example: "/etc/stategate/tls/admin.crt", set: path(func(c *Config) *string { return &c.AdminTLSCert }),
		brief: "certificate of --admin, for TLS",
		manual: `The certificate (PEM, with those that it descends from) with which admin speaks TLS, and nothing else. It is read again when it or
its key changes, within some seconds.`,
	},
	{
		key: "adminTlsKey", kind: "FILE", example: "/etc/stategate/tls/admin.key", set: path(func(c *Config) *string { return &c.AdminTLSKey }),
		brief:  "its private key",
		manual: "The private key of adminTlsCert (PEM, not encrypted).",
	},
	{
		key: "adminInsecure", kind: "", standard: "false", set: boolean(func(c *Config) *bool { return &c.AdminInsecure }),
		brief: "let everybody in who reaches --admin",
		manual: `true: admin may be an address that others can reach, without tokens and without TLS. Whoever reaches it may read the state of
every address and change what operators change. For a network in which something else decides who comes.`,
	},
	{
		key: "signingKeyFile", kind: "FILE", example: "/run/secrets/stategate-signing", set: path(func(c *Config) *string { return &c.SigningKeyFile }),
		brief: "file of keys with which calls to functions are signed",
		manual: `A file of keys, one a line, each of 32 characters or more (openssl rand -hex 32), at most 4. Every call to a function is signed
with each of them, so that a function that has one of them can refuse calls of anybody else; docs/PROTOCOL.md says how. It is read
again when it changes, within some seconds. To replace a key: give functions the new one beside the old one, replace it here, take
the old one from the functions. All gateways on one store need the same.`,
	},
	{
		key: "traceEndpoint", kind: "URL", example: "http://127.0.0.1:4318", set: setTraceEndpoint,
		brief: "collector of traces (OTLP over HTTP); default: there are none",
		manual: `Where traces go: an OpenTelemetry collector that takes OTLP over HTTP (protobuf). An URL without a path is a collector's, and
/v1/traces is put behind it. Without this OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT count, and without
those nothing is traced. OTEL_EXPORTER_OTLP_HEADERS (name=value, several between commas, for keys),
OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are heeded, too. What the collector does not take
is dropped: see stategate_trace_spans_dropped_total.`,
	},
	{
		key: "traceSample", kind: "RATIO", standard: "1", set: ratio(func(c *Config) *float64 { return &c.TraceSample }),
		brief: "part of the traces that begin here and are recorded",
		manual: `Which part of the traces that begin here is recorded, from 0 to 1: 0.01 is one of a hundred. What comes in with a traceparent is
recorded if that says so, whatever this says.`,
	},
	{
		key: "logFormat", kind: "FORMAT", standard: string(LogAuto), set: setLogFormat,
		brief:  "auto, text or json",
		manual: "How the log on standard error looks: text, json, or auto (text on a terminal, else json).",
	},
	{
		key: "logLevel", kind: "LEVEL", standard: "info", set: setLogLevel,
		brief:  "debug, info, warn or error",
		manual: "The least important line that is logged: debug, info, warn or error.",
	},
	{
		key: "lease", kind: "DURATION", standard: "3s", set: duration(100*time.Millisecond, time.Hour, func(c *Config) *time.Duration { return &c.Lease }),
		brief: "how long an owner that says nothing counts as alive",
		manual: `How long the gateway that owns the store counts as alive when it says nothing. It bounds how late the death of a machine is
noticed; the death of a process is noticed at once. Too short, and a living gateway on a busy machine is taken over: nothing is
lost, but work is done again. From 100ms to 1h.`,
	},
	{
		key: "drainTimeout", kind: "DURATION", standard: "10s", set: duration(time.Millisecond, time.Hour, func(c *Config) *time.Duration { return &c.DrainTimeout }),
		brief: "how long a stop waits for calls and deliveries",
		manual: `How long a stop (SIGTERM) waits for calls that are out and outputs that are on their way. What is not done by then is done
by the next gateway, from the last commit. From 1ms to 1h; keep it below the grace time of what stops the gateway.`,
	},
	{
		key: "noAdvisoryLock", kind: "", standard: "false", set: boolean(func(c *Config) *bool { return &c.NoAdvisoryLock }),
		brief: "postgres: notice a dead owner by its lease only",
		manual: `Postgres: true leaves out the advisory lock by which a standby notices within milliseconds that the owner's process has died.
It is left out by itself where it does not work, such as behind a pooler of transactions.`,
	},
	{
		key: "memory", kind: "SIZE", standard: auto, set: automatic(64<<20, func(c *Config) *int64 { return &c.Memory }),
		brief: "memory of the whole process",
		manual: `Memory of the whole process, about, whatever comes in. auto: 1GiB, or three quarters of what the container or the service may take
(cgroup) where that is less. The bounds below whose value is auto are parts of it, and so are those that have no setting:
states of the addresses in use, calls and their replies, delayed messages. GOMEMLIMIT in the environment sets the collector
itself. One state, message or reply beyond its part is taken alone.`,
	},
	{
		key: "slots", kind: "NUMBER", standard: "1024", set: count(1, 1_000_000, func(c *Config) *int { return &c.Slots }),
		brief:  "calls at a time to one endpoint",
		manual: "How many calls may be out at a time to one endpoint (scheme, host and path). Addresses beyond wait their turn.",
	},
	{
		key: "sourceMessagesMax", kind: "NUMBER", standard: "5000", set: count(1, 10_000_000, func(c *Config) *int { return &c.SourceMessagesMax }),
		brief: "unfinished messages of one partition before it waits",
		manual: `How many messages one partition of an ingress may have brought in and not finished before it waits. Too few, and functions
idle between fetches; too many cost memory and make recovery read more again.`,
	},
	{
		key: "sourceBytesMax", kind: "SIZE", standard: auto, set: automatic(1<<10, func(c *Config) *int { return &c.SourceBytesMax }),
		brief:  "the same in bytes",
		manual: "The same in bytes of memory, for each partition. auto: 16MiB, or a 64th of memory where that is less.",
	},
	{
		key: "mailBytesMax", kind: "SIZE", standard: auto, set: automatic(1<<20, func(c *Config) *int { return &c.MailBytesMax }),
		brief: "memory for mailboxes before they live in the store only",
		manual: `Memory for the messages that wait in all mailboxes. Beyond it mailboxes live in the store and are read back in order. auto: an
eighth of memory.`,
	},
	{
		key: "cacheBytesMax", kind: "SIZE", standard: auto, set: automatic(1<<10, func(c *Config) *int { return &c.CacheBytesMax }),
		brief:  "memory for the state of addresses at rest",
		manual: `Memory for the state of addresses that have nothing to do. More of it saves loads from the store. auto: a 16th of memory.`,
	},
	{
		key: "effectsMax", kind: "NUMBER", standard: "20000", set: count(1, 100_000_000, func(c *Config) *int { return &c.EffectsMax }),
		brief:  "uncommitted effects before no new call starts",
		manual: "How many effects (state changes, messages, outputs) may wait for a commit. Beyond it no new call starts until a commit ends.",
	},
	{
		key: "effectBytesMax", kind: "SIZE", standard: auto, set: automatic(1<<20, func(c *Config) *int { return &c.EffectBytesMax }),
		brief: "the same in bytes",
		manual: `The same in bytes of memory. It also bounds how large one commit grows, which takes up to four times as much. auto: a 16th of
memory.`,
	},
	{
		key: "outboxBytesMax", kind: "SIZE", standard: "1GiB", set: size(1<<20, anySize, func(c *Config) *int64 { return &c.OutboxBytesMax }),
		brief:  "stored outputs of one egress before sources wait",
		manual: "How much the store keeps for one egress that does not take its outputs. At this bound the sources wait.",
	},
	{
		key: "keptBytesMax", kind: "SIZE", standard: "4GiB", set: size(1<<20, anySize, func(c *Config) *int64 { return &c.KeptBytesMax }),
		brief:  "kept messages of one function before sources wait",
		manual: "How much the store keeps for one function that does not take its messages. At this bound the sources that name it wait.",
	},
	{
		key: "storedBytesMax", kind: "SIZE", standard: "16GiB", set: size(1<<20, anySize, func(c *Config) *int64 { return &c.StoredBytesMax }),
		brief:  "kept messages of all functions before all sources wait",
		manual: "How much the store keeps for all functions together. At this bound all sources wait. Keep it well below the room on disk.",
	},
	{
		key: "deadLettersMax", kind: "NUMBER", standard: "100000", set: count(1, 1_000_000_000, func(c *Config) *int { return &c.DeadLettersMax }),
		brief: "dead letters of one ingress, function or egress before it waits",
		manual: `How many dead letters the store keeps of one ingress, of one function, and of what one egress's Kafka has refused. At this
bound nothing is dropped: the ingress brings no more records, an address goes on trying, the egress stops delivering, until some
are replayed or discarded, or the bound is raised. A batch that has arrived already may pass it.`,
	},
	{
		key: "deadLetterBytesMax", kind: "SIZE", standard: "1GiB", set: size(1<<10, anySize, func(c *Config) *int64 { return &c.DeadLetterBytesMax }),
		brief:  "the same in bytes",
		manual: "The same in bytes, for each of them.",
	},
}

// words makes "log-format" of "logFormat".
func words(key string, between rune) string {
	var b strings.Builder
	for _, r := range key {
		if unicode.IsUpper(r) {
			b.WriteRune(between)
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (s *setting) flag() string { return words(s.key, '-') }

func (s *setting) variable() string { return variablePrefix + strings.ToUpper(words(s.key, '_')) }

func find(key string) *setting {
	for i := range settings {
		if settings[i].key == key {
			return &settings[i]
		}
	}
	return nil
}

// askVariables are those of the commands that ask a gateway: whoever runs one may have set them too.
var askVariables = []string{"STATEGATE_URL", "STATEGATE_TOKEN_FILE", "STATEGATE_CA_FILE"}

// foreign are variables that are not meant for us although they look so: those of tests, and those that Kubernetes sets in
// every pod for a service whose name begins with stategate.
var foreign = regexp.MustCompile(`^STATEGATE_(TEST_.*|(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?))$`)
