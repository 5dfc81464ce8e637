package kafkaproperty

import "time"

// Settings is what properties come to. The zero value of a field: nothing is said, the adapter's own default holds.
type Settings struct {
	ClientID       string
	RequestTimeout time.Duration // request.timeout.ms
	ConnectTimeout time.Duration // socket.connection.setup.timeout.ms; it bounds the TLS handshake too. 0 means 10 s
	MetadataAge    time.Duration // metadata.max.age.ms
	SendBuffer     int           // of a connection, in bytes; 0: the system's
	ReceiveBuffer  int

	// Of consumers.
	Rack           string
	Isolation      Isolation
	FetchMin       int32         // bytes
	FetchMax       int32         // bytes of a whole answer
	FetchPartition int32         // bytes of a partition
	FetchWait      time.Duration // fetch.max.wait.ms
	Discovery      time.Duration // flink.partition-discovery.interval-millis; 0 also where it is switched off

	// Of producers.
	Acks        Acks
	RecordBytes int // max.request.size
	Codec       Codec
	Level       int // of Codec; 0: its default

	TLS  *TLS  // nil: connections are plain
	SASL *SASL // nil: nobody logs in
}

// Isolation is the property isolation.level.
type Isolation uint8

const (
	IsolationDefault Isolation = iota // the adapter's: read_committed
	ReadCommitted
	ReadUncommitted
)

// Acks is the property acks.
type Acks uint8

const (
	AcksDefault Acks = iota // the adapter's
	AcksAll
	AcksLeader
	AcksNone
)

// Codec is the property compression.type.
type Codec uint8

const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// Secret is a text that no log may hold: however it is printed, it hides itself. It is behind a pointer, for package fmt asks no
// method of a field that is not exported.
type Secret struct{ text *string }

func hide(text string) Secret { return Secret{&text} }

// Reveal is the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const hidden = "[hidden]"
