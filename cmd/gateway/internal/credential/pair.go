package credential

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Pair is a certificate with its key. It may be asked and changed by any goroutine.
type Pair struct {
	current atomic.Pointer[tls.Certificate]
	before  atomic.Pointer[former]
}

// former is the certificate before the current one.
type former struct {
	leaf  []byte
	until time.Time
}

// formerFor is how long members still know one another by the certificate that they had before: files reach machines one after the other.
const formerFor = 10 * time.Minute

// Pair reads a certificate and its key, now and whenever they change. what names the two for people.
func (f *Files) Pair(what, certName, keyName string) (*Pair, error) {
	p := &Pair{}
	err := f.Add(what, func(contents [][]byte) error {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return fmt.Errorf("%s and %s: %w", certName, keyName, err)
		}
		p.set(&pair, time.Now())
		return nil
	}, certName, keyName)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pair) set(pair *tls.Certificate, now time.Time) {
	if old := p.current.Swap(pair); old != nil && !bytes.Equal(old.Certificate[0], pair.Certificate[0]) {
		p.before.Store(&former{old.Certificate[0], now.Add(formerFor)})
	}
}

// Server is how a server speaks TLS with it. Connections that there are keep the one that they began with.
func (p *Pair) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current.Load(), nil },
	}
}

// Member trusts whoever has this member's certificate, or has still the one before, and nobody else: members are found by addresses for
// which certificates are seldom made.
func (p *Pair) Member() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // the names and issuers; what is checked instead is below
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !p.isOurs(s.PeerCertificates[0].Raw, time.Now()) {
				return errors.New("the other gateway has another certificate than this one")
			}
			return nil
		},
	}
}

func (p *Pair) isOurs(leaf []byte, now time.Time) bool {
	if bytes.Equal(leaf, p.current.Load().Certificate[0]) {
		return true
	}
	old := p.before.Load()
	return old != nil && now.Before(old.until) && bytes.Equal(leaf, old.leaf)
}
