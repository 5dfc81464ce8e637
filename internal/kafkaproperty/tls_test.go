package kafkaproperty

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// authority signs certificates of servers.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key = newKey(t)
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	parent := a.cert
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// serve listens with a certificate and shakes hands with who comes.
func (a *authority) serve(c *x509.Certificate, change func(*tls.Config)) (port string) {
	a.t.Helper()
	key := newKey(a.t)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(c, key).Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS10}
	if change != nil {
		change(config)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		a.t.Fatal(err)
	}
	done := make(chan struct{})
	a.t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			_, _ = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// dial connects as an adapter does, and answers what was agreed upon.
func dial(t *testing.T, properties map[string]string, address string) (tls.ConnectionState, error) {
	t.Helper()
	s, complaints := Translate(Consumer, properties)
	if err := Errors(complaints); err != nil {
		t.Fatal(err)
	}
	conn, raw, err := s.Dial(t.Context(), "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = raw.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.(*safeConn).ConnectionState(), nil
}

// TestBrokerIsVerified: authority, name and time of a broker's certificate.
func TestBrokerIsVerified(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	good := &x509.Certificate{Subject: pkix.Name{CommonName: "broker"}, DNSNames: []string{"localhost"}, IPAddresses: loopback}
	trusted := ssl("ssl.truststore.certificates", a.pem())
	noName := with(trusted, "ssl.endpoint.identification.algorithm", "")
	for name, c := range map[string]struct {
		certificate *x509.Certificate
		properties  map[string]string
		host        string
		want        string // "": connected
	}{
		"address":                  {good, trusted, "127.0.0.1", ""},
		"name":                     {good, trusted, "localhost", ""},
		"https written":            {good, with(trusted, "ssl.endpoint.identification.algorithm", "HTTPS"), "localhost", ""},
		"other name":               {&x509.Certificate{DNSNames: []string{"kafka.shop"}}, trusted, "localhost", "not localhost"},
		"other name, not verified": {&x509.Certificate{DNSNames: []string{"kafka.shop"}}, noName, "localhost", ""},
		"other address":            {&x509.Certificate{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}, trusted, "127.0.0.1", "127.0.0.1"},
		"common name":              {&x509.Certificate{Subject: pkix.Name{CommonName: "LocalHost"}}, trusted, "localhost", ""},
		"other common name":        {&x509.Certificate{Subject: pkix.Name{CommonName: "kafka"}}, trusted, "localhost", `for "kafka", not for localhost`},
		"common name, not alone":   {&x509.Certificate{Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"kafka"}}, trusted, "localhost", "not localhost"},
		"common name of address":   {&x509.Certificate{Subject: pkix.Name{CommonName: "127.0.0.1"}}, trusted, "127.0.0.1", "127.0.0.1"},
		"unknown authority":        {good, ssl("ssl.truststore.certificates", other.pem()), "localhost", "add the authority to the truststore"},
		"unknown, name off":        {good, ssl("ssl.truststore.certificates", other.pem(), "ssl.endpoint.identification.algorithm", ""), "localhost", "unknown authority"},
		"system's authorities":     {good, ssl(), "localhost", "unknown authority"},
		"expired":                  {&x509.Certificate{DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, trusted, "localhost", "expired"},
		"expired, name off":        {&x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, noName, "localhost", "expired"},
		"of a client":              {&x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, trusted, "localhost", "key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			_, err := dial(t, c.properties, net.JoinHostPort(c.host, a.serve(c.certificate, nil)))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want ...%s...", err, c.want)
			}
		})
	}
}

// TestVersionsAndSuites: what is agreed upon with a server that takes all.
func TestVersionsAndSuites(t *testing.T) {
	a := newAuthority(t)
	port := a.serve(&x509.Certificate{DNSNames: []string{"localhost"}}, nil)
	base := ssl("ssl.truststore.certificates", a.pem())
	const chacha = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
	for name, c := range map[string]struct {
		properties map[string]string
		version    uint16
		suite      string
	}{
		"default":       {base, tls.VersionTLS13, ""},
		"TLS":           {with(base, "ssl.protocol", "TLS"), tls.VersionTLS13, ""},
		"1.2":           {with(base, "ssl.protocol", "TLSv1.2"), tls.VersionTLS12, ""},
		"enabled 1.2":   {with(base, "ssl.enabled.protocols", "TLSv1.2"), tls.VersionTLS12, ""},
		"enabled 1.1":   {with(base, "ssl.enabled.protocols", "TLSv1, TLSv1.1"), tls.VersionTLS11, ""},
		"suite of 1.2":  {with(base, "ssl.cipher.suites", chacha+",TLS_FOREIGN"), tls.VersionTLS12, chacha},
		"suites of 1.3": {with(base, "ssl.cipher.suites", "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,TLS_CHACHA20_POLY1305_SHA256"), tls.VersionTLS13, ""},
	} {
		state, err := dial(t, c.properties, "localhost:"+port)
		if err != nil || state.Version != c.version || c.suite != "" && tls.CipherSuiteName(state.CipherSuite) != c.suite {
			t.Errorf("%s: %v, %s with %s", name, err, tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
		}
	}
	if _, err := dial(t, with(base, "ssl.protocol", "TLSv1.2"), "localhost:"+a.serve(&x509.Certificate{DNSNames: []string{"localhost"}}, func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 })); err == nil {
		t.Error("TLS 1.2 alone agrees with a server of TLS 1.3 alone")
	}
}

// TestHandshakeHasABound: a listener that takes connections and says nothing holds nobody longer than the properties say, and a dialer
// that ends holds nobody at all.
func TestHandshakeHasABound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s, complaints := Translate(Consumer, ssl("socket.connection.setup.timeout.ms", "50"))
	if err := Errors(complaints); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Dial(t.Context(), "tcp", l.Addr().String()); err == nil || !strings.Contains(err.Error(), "TLS with broker "+l.Addr().String()) {
		t.Errorf("%v, want that TLS failed", err)
	}
	s.ConnectTimeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, _, err := s.Dial(ctx, "tcp", l.Addr().String())
		ended <- err
	}()
	conn, err := l.Accept() // of the first
	if err == nil {
		_ = conn.Close()
		conn, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	cancel()
	if err := <-ended; err == nil {
		t.Error("a handshake that was called off went well")
	}
	// A listener without TLS answers something else.
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	go func() {
		if conn, err := plain.Accept(); err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_, _ = conn.Read(make([]byte, 4096))
			_ = conn.Close()
		}
	}()
	if _, _, err := s.Dial(t.Context(), "tcp", plain.Addr().String()); err == nil || !strings.Contains(err.Error(), "does this listener speak TLS?") {
		t.Errorf("%v, want that it may not speak TLS", err)
	}
}

// TestOwnCertificateIsJudged: one that has expired is told before any broker says so.
func TestOwnCertificateIsJudged(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for want, c := range map[string]*x509.Certificate{
		"has expired on ":      {NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)},
		"is not valid before ": {NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)},
		"":                     {},
	} {
		chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.sign(c, key).Raw}))
		_, complaints := Translate(Consumer, ssl("ssl.keystore.certificate.chain", chain, "ssl.keystore.key", keyPEM))
		said := strings.Join(Warnings(complaints), "\n")
		if Errors(complaints) != nil || !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("%v, want ...%s...", complaints, want)
		}
	}
}

// TestAuthorityBetween: a broker that shows the authority between its own and the trusted one is good, and without it is not.
func TestAuthorityBetween(t *testing.T) {
	root := newAuthority(t)
	between := &authority{t: t, key: newKey(t)}
	between.cert = root.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, between.key)
	for name, shows := range map[string]bool{"shown": true, "not shown": false} {
		port := between.serve(&x509.Certificate{DNSNames: []string{"localhost"}}, func(c *tls.Config) {
			if shows {
				c.Certificates[0].Certificate = append(c.Certificates[0].Certificate, between.cert.Raw)
			}
		})
		if _, err := dial(t, ssl("ssl.truststore.certificates", root.pem()), "localhost:"+port); (err == nil) != shows {
			t.Errorf("%s: %v", name, err)
		}
	}
}
