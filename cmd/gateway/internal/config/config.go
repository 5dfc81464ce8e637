// Package config gathers the settings of a deployment: flags, the environment, one file, defaults, in this order of
// precedence. Everything about the application is in module.yaml, not here. It opens nothing but the file of settings and
// the file that holds the store's URL, and shows no password.
package config

import (
	"log/slog"
	"time"
)

// Config is every setting with its value. Only Loader.Load and Default make one: every value is within its bounds.
type Config struct {
	Module    []string // files and folders, read as one application
	Store     StoreURL // from store, or from what storeFile holds
	StoreFile string   // "" where the URL was given itself
	Listen    string   // HOST:PORT
	Admin     string   // HOST:PORT

	ListenTokenFile string // "": requests need no token
	ListenTLSCert   string // "": no TLS; with ListenTLSKey
	ListenTLSKey    string
	ListenInsecure  bool
	Advertise       string // HOST:PORT; "": where Listen is opened

	AdminTokenFile     string // of operators; "" and no AdminReadTokenFile: requests need no token
	AdminReadTokenFile string // of those who only read
	AdminTLSCert       string // "": no TLS; with AdminTLSKey
	AdminTLSKey        string
	AdminInsecure      bool

	SigningKeyFile string // "": calls are not signed

	TraceEndpoint string  // "": OpenTelemetry's variables say where spans go, or there are none
	TraceSample   float64 // of the traces that begin here

	LogFormat LogFormat
	LogLevel  slog.Level

	Lease          time.Duration
	DrainTimeout   time.Duration
	NoAdvisoryLock bool

	Memory int64 // of the whole process; 0: auto

	// Bounds, under the names that they have in the machine. Of those that are parts of Memory 0 is auto.
	Slots             int
	SourceMessagesMax int
	SourceBytesMax    int // a part of Memory, as the next two and EffectBytesMax
	MailBytesMax      int
	CacheBytesMax     int
	EffectsMax        int
	EffectBytesMax    int
	OutboxBytesMax    int64
	KeptBytesMax      int64
	StoredBytesMax    int64

	DeadLettersMax     int
	DeadLetterBytesMax int64
}

// LogFormat is how a log line looks.
type LogFormat string

const (
	LogAuto LogFormat = "auto" // text on a terminal, else JSON
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Default is what counts where nothing is said.
func Default() Config {
	var c Config
	for i := range settings {
		s := &settings[i]
		if s.standard == "" {
			continue
		}
		if err := s.set(&c, s.standard); err != nil {
			panic("default of " + s.key + ": " + err.Error()) // the table below is wrong
		}
	}
	return c
}

// ValueError is a setting that cannot be what it was set to. The remedy is another value: asking again changes nothing.
type ValueError struct {
	Where string // "--lease", "STATEGATE_LEASE", "gateway.yaml:12:8: lease"
	Text  string // what is wrong and what is allowed; never the value of a setting that may hold a password
}

func (e *ValueError) Error() string { return e.Where + ": " + e.Text }
