package kafkaproperty

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// TLS is how a connection to a broker is made safe.
type TLS struct {
	config  *tls.Config
	anyHost bool // the chain is verified, the host name is not
}

// client makes a connection to address safe. When ctx ends first the connection is closed.
func (t *TLS) client(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := t.config.Clone()
	config.ServerName = host
	config.VerifyConnection = func(state tls.ConnectionState) error { return t.verify(state.PeerCertificates, host) }
	safe := tls.Client(conn, config)
	if err := safe.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with broker %s: %w%s", address, err, remedy(err))
	}
	return &safeConn{safe, address, len(config.Certificates) > 0}, nil
}

// safeConn says what is wrong when the broker refuses the client's certificate: with TLS 1.3 it does so after the handshake.
type safeConn struct {
	*tls.Conn
	address string
	own     bool // the client has a certificate
}

func (c *safeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var alert *net.OpError
	if err == nil || !errors.As(err, &alert) || alert.Op != "remote error" {
		return n, err
	}
	hint := "does the broker trust the client's certificate, and is it in time?"
	if !c.own {
		hint = "does the broker want a client certificate? Give one: ssl.keystore.location"
	}
	return n, fmt.Errorf("TLS with broker %s: %w (%s)", c.address, err, hint)
}

// verify is what crypto/tls does by itself, but for host names: those can be left out (which it cannot alone), and a certificate
// without alternative names is judged by its common name, as Java does and Go no more.
func (t *TLS) verify(chain []*x509.Certificate, host string) error {
	if len(chain) == 0 {
		return errors.New("the broker shows no certificate")
	}
	options := x509.VerifyOptions{Roots: t.config.RootCAs, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	if t.anyHost {
		return nil
	}
	return matches(leaf, host)
}

func matches(leaf *x509.Certificate, host string) error {
	err := leaf.VerifyHostname(host)
	name := leaf.Subject.CommonName
	if err == nil || name == "" || net.ParseIP(host) != nil || hasAlternativeNames(leaf) {
		return err
	}
	if (&x509.Certificate{DNSNames: []string{name}}).VerifyHostname(host) == nil {
		return nil
	}
	return fmt.Errorf("x509: certificate is for %q, not for %s", name, host)
}

func hasAlternativeNames(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.17" })
}

// remedy says what an operator can do about a handshake that failed.
func remedy(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return " (add the authority to the truststore)"
	case errors.As(err, &name):
		return " (connect by a name that the certificate is for)"
	case errors.As(err, &plain):
		return " (does this listener speak TLS?)"
	}
	return ""
}

// versions of the protocol, by Java's names.
var versions = map[string]uint16{
	"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

// tlsReader makes TLS of the ssl properties, of a client or of a login module's options.
type tlsReader struct {
	given map[string]string
	wrong func(name, text string)
	warn  func(name, text string)
}

func (r *tlsReader) read() *TLS {
	t := &TLS{config: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}} // verify does it, in full
	r.versions(t.config)
	r.suites(t.config)
	switch algorithm, ok := r.given["ssl.endpoint.identification.algorithm"]; {
	case !ok || strings.EqualFold(algorithm, "https"):
	case algorithm == "":
		t.anyHost = true
		r.warn("ssl.endpoint.identification.algorithm", "host names are not verified: whoever has any certificate of a trusted authority can pose as a broker")
	default:
		r.wrong("ssl.endpoint.identification.algorithm", "want https, or nothing")
	}
	for _, name := range []string{"ssl.keymanager.algorithm", "ssl.trustmanager.algorithm"} {
		if v, ok := r.given[name]; ok && !strings.EqualFold(v, "PKIX") && !strings.EqualFold(v, "SunX509") {
			r.wrong(name, "want PKIX or SunX509, or leave it out")
		}
	}
	t.config.RootCAs = r.trust()
	if pair := r.own(); pair != nil {
		t.config.Certificates = []tls.Certificate{*pair}
	}
	return t
}

func (r *tlsReader) versions(c *tls.Config) {
	if text, ok := r.given["ssl.enabled.protocols"]; ok {
		var enabled []uint16
		for _, name := range list(text) {
			v, known := versions[name]
			if !known {
				r.wrong("ssl.enabled.protocols", "want some of TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3")
				return
			}
			enabled = append(enabled, v)
		}
		slices.Sort(enabled)
		enabled = slices.Compact(enabled)
		if len(enabled) == 0 || int(enabled[len(enabled)-1]-enabled[0]) != len(enabled)-1 {
			r.wrong("ssl.enabled.protocols", "want at least one of TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3, and none left out between two")
			return
		}
		c.MinVersion, c.MaxVersion = enabled[0], enabled[len(enabled)-1]
		if c.MinVersion < tls.VersionTLS12 {
			r.warn("ssl.enabled.protocols", "versions before TLSv1.2 are not safe any more")
		}
	}
	text, ok := r.given["ssl.protocol"]
	if !ok || text == "TLS" {
		return
	}
	newest, known := versions[text]
	switch {
	case !known:
		r.wrong("ssl.protocol", "want TLSv1.3, TLSv1.2, TLSv1.1, TLSv1 or TLS")
	case newest < c.MinVersion:
		r.wrong("ssl.protocol", "it is older than each of ssl.enabled.protocols (TLSv1.2 and TLSv1.3, where that is left out)")
	case c.MaxVersion == 0 || newest < c.MaxVersion:
		c.MaxVersion = newest
	}
}

// suites restricts what is spoken to the ciphers that are named. Go has no choice among those of TLS 1.3.
func (r *tlsReader) suites(c *tls.Config) {
	const name = "ssl.cipher.suites"
	text, ok := r.given[name]
	if !ok || text == "" {
		return
	}
	known := map[string]*tls.CipherSuite{}
	newest := 0 // how many TLS 1.3 has
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[s.Name] = s
		if is13(s) {
			newest++
		}
	}
	of13 := map[uint16]bool{}
	unknown := 0
	for _, item := range list(text) {
		s := known[item]
		switch {
		case s == nil:
			unknown++
		case is13(s):
			of13[s.ID] = true
		default:
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	if unknown > 0 {
		r.warn(name, fmt.Sprintf("%d of its suites are not known and are left out", unknown))
	}
	switch {
	case len(of13) > 0 && len(of13) < newest:
		r.wrong(name, "suites of TLS 1.3 cannot be chosen one by one: name all three of them, or none and speak TLS 1.2")
	case len(of13) == 0 && len(c.CipherSuites) == 0:
		r.wrong(name, "none of its suites is known")
	case len(of13) == 0 && c.MinVersion == tls.VersionTLS13:
		r.wrong(name, "none of its suites is of TLS 1.3, and ssl.enabled.protocols allows nothing else")
	case len(of13) == 0 && (c.MaxVersion == 0 || c.MaxVersion > tls.VersionTLS12):
		c.MaxVersion = tls.VersionTLS12
	case len(c.CipherSuites) == 0:
		c.MinVersion = tls.VersionTLS13
		if c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS13 {
			r.wrong(name, "all of its suites are of TLS 1.3, which ssl.protocol or ssl.enabled.protocols do not allow")
		}
	}
}

func is13(s *tls.CipherSuite) bool { return slices.Contains(s.SupportedVersions, tls.VersionTLS13) }

// expired warns of an own certificate whose time is over, or not yet come: every broker refuses it.
func (r *tlsReader) expired(name string, pair *tls.Certificate) {
	leaf := pair.Leaf
	if leaf == nil {
		return
	}
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		r.warn(name, "the client's certificate has expired on "+leaf.NotAfter.Format(time.DateOnly)+": brokers refuse it")
	case now.Before(leaf.NotBefore):
		r.warn(name, "the client's certificate is not valid before "+leaf.NotBefore.Format(time.DateOnly)+": brokers refuse it until then")
	}
}
