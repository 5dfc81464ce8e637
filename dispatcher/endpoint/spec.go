// Package endpoint makes one attempt of a call to a function over HTTP and says what its failure means.
//
// It never tries again by itself (but for a pooled connection that was already dead), keeps no count of failures,
// knows no breaker, slot or back-off, and never looks into the bytes that it carries: what to do about a [Failure]
// is decided by its caller.
package endpoint

import (
	"errors"
	"fmt"
	"time"
)

const (
	// poolSizeDefault is StateFun's pool_size.
	poolSizeDefault = 1024
	// replyBytesMaxDefault is StateFun's payload_max_bytes.
	replyBytesMaxDefault = 32 << 20
)

// Spec describes one endpoint of module.yaml, resolved for one function type. Only URL is required.
type Spec struct {
	// URL is where to send calls: http://, https://, http+unix:///dir/x.sock/path or https+unix (which adds no TLS).
	// A user and password in it are sent as basic authentication and shown nowhere.
	URL string

	// Connect bounds resolving with connecting, and once more the TLS handshake; a connection not made by then is
	// Unreachable. 0: only the attempt's own deadline bounds the waiting.
	Connect time.Duration
	// Read bounds the silence of the function: the time from the sent request to the reply's headers, and between
	// two pieces of its body. 0: only the attempt's own deadline.
	Read time.Duration
	// Write bounds each write of a piece of the request to the connection. 0: only the attempt's own deadline.
	Write time.Duration

	// PoolSize is how many idle connections are kept per host, and how many that calls share take new ones. 0: 1024. It does not bound
	// the connections in use: beside them there may be as many shared ones, and 16 at least, that only finish the calls they have.
	PoolSize int
	// PoolTTL is the age at which a pooled connection carries no further call; up to a fifth is added at random, so
	// that connections made together do not end together. 0: connections have no age (idle ones end after a minute).
	PoolTTL time.Duration

	// ReplyBytesMax bounds a reply, counted after decompression. 0: 32 MiB.
	ReplyBytesMax int64
	// BulkCallsMax bounds the calls of one request further than the endpoint's own announcement. 1: bulk calls are not offered, and none
	// that is announced counts. 0: the announcement alone counts.
	BulkCallsMax int
	// Accept sends "Accept: application/octet-stream", as StateFun's async transport does and the others do not.
	Accept bool
	// ExactContentType refuses a reply whose content type carries parameters ("; charset=..."), as StateFun does.
	ExactContentType bool

	// HTTP2 says when HTTP/2 is spoken.
	HTTP2 HTTP2
	// Proxy is where calls go through: an URL of scheme http or socks5 (a user and password in it are sent to it and shown
	// nowhere), ProxyFromEnvironment, or "": nothing, whatever the environment says. Unix sockets have no proxy.
	Proxy string

	// Fault says why no call can be made, whatever the rest says: each is Unreachable, with this text. "": none is known.
	Fault string

	// TLS holds what https needs beyond the system's trust store. It is ignored for the other schemes; nil: nothing.
	TLS *TLS
}

// TLS names PEM files, read once when a client is made.
type TLS struct {
	// TrustCACerts holds the certificates of the authorities to trust instead of the system's.
	TrustCACerts string
	// ClientCert and ClientKey are the gateway's own certificate chain and its private key (PKCS#8, PKCS#1 or SEC1, plain or encrypted).
	// Both or neither.
	ClientCert string
	ClientKey  string
	// ClientKeyPassword is a file whose whole content is the password of ClientKey. If it does not fit and ends a line, it is tried
	// without that line end, which editors add. For a plain key the file is not needed and not read.
	ClientKeyPassword string
	// AnyHost takes a certificate of a trusted authority whoever it was issued to. Whoever has one of them can then pass for the function.
	AnyHost bool
}

func (s *Spec) validate() error {
	if s.Fault != "" {
		return errors.New(s.Fault)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"connect", s.Connect}, {"read", s.Read}, {"write", s.Write}, {"pool TTL", s.PoolTTL}} {
		if d.value < 0 {
			return fmt.Errorf("%s %s is negative", d.name, d.value)
		}
	}
	if s.PoolSize < 0 {
		return fmt.Errorf("pool size %d is negative", s.PoolSize)
	}
	if s.ReplyBytesMax < 0 {
		return fmt.Errorf("reply bound %d is negative", s.ReplyBytesMax)
	}
	if s.BulkCallsMax < 0 {
		return fmt.Errorf("bound of %d calls in a request is negative", s.BulkCallsMax)
	}
	if s.HTTP2 > HTTP2Never {
		return fmt.Errorf("HTTP/2 mode %d is not known", s.HTTP2)
	}
	if _, err := proxyOf(s.Proxy); err != nil {
		return err
	}
	if t := s.TLS; t != nil && (t.ClientCert == "") != (t.ClientKey == "") {
		return errors.New("client certificate and client key must be given together")
	}
	return nil
}

func (s *Spec) fillDefaults() {
	if s.PoolSize == 0 {
		s.PoolSize = poolSizeDefault
	}
	if s.ReplyBytesMax == 0 {
		s.ReplyBytesMax = replyBytesMaxDefault
	}
}
