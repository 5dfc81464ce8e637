package endpoint

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for tests and writes them as PEM files.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

func (a *authority) issue(name string, template x509.Certificate) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject.CommonName = name
	template.NotBefore, template.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", keyDER)
}

func (a *authority) pair(name string, template x509.Certificate) tls.Certificate {
	cert, key := a.issue(name, template)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// serve starts an https function that answers with the name of its caller's certificate.
func (a *authority) serve(template x509.Certificate, clients tls.ClientAuthType) string {
	pair := a.pair("server", template)
	trusted := x509.NewCertPool()
	trusted.AddCert(a.cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		name := r.Proto
		if certs := r.TLS.PeerCertificates; len(certs) > 0 {
			name += " " + certs[0].Subject.CommonName
		}
		good(w, []byte(name))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients, ClientCAs: trusted}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	a.t.Cleanup(server.Close)
	return server.URL
}

// serveBelow starts an https function whose certificate is of an authority below this one.
func (a *authority) serveBelow(template x509.Certificate) string {
	below := newAuthority(a.t)
	sub := x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "authority between"}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &sub, a.cert, below.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	if below.cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	pair := below.pair("server", template)
	pair.Certificate = append(pair.Certificate, der)
	server := httptest.NewUnstartedServer(http.HandlerFunc(protocolOf))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.EnableHTTP2 = true
	server.StartTLS()
	a.t.Cleanup(server.Close)
	return server.URL
}

var loopback = x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	plain := a.serve(loopback, tls.NoClientCert)
	mutual := a.serve(loopback, tls.RequireAndVerifyClientCert)
	elsewhere := a.serve(x509.Certificate{DNSNames: []string{"elsewhere"}}, tls.NoClientCert)
	clientOnly := a.serve(x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, tls.NoClientCert)
	between := a.serveBelow(x509.Certificate{DNSNames: []string{"elsewhere"}})
	cert, key := a.issue("gateway", x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	stranger := newAuthority(t)
	strangerCert, strangerKey := stranger.issue("stranger", x509.Certificate{})
	for name, tc := range map[string]struct {
		url   string
		tls   *TLS
		reply string // "": Unreachable
		text  string
	}{
		"unknown authority":    {plain, nil, "", "certificate"},
		"another authority":    {plain, &TLS{TrustCACerts: stranger.file}, "", "certificate"},
		"trusted":              {plain, &TLS{TrustCACerts: a.file}, "HTTP/2.0", ""},
		"name is verified":     {elsewhere, &TLS{TrustCACerts: a.file}, "", "127.0.0.1"},
		"name is not verified": {elsewhere, &TLS{TrustCACerts: a.file, AnyHost: true}, "HTTP/2.0", ""},
		"but the chain is":     {elsewhere, &TLS{TrustCACerts: stranger.file, AnyHost: true}, "", "certificate"},
		"by the system's too":  {elsewhere, &TLS{AnyHost: true}, "", "certificate"},
		"and for what it is":   {clientOnly, &TLS{TrustCACerts: a.file, AnyHost: true}, "", "incompatible key usage"},
		"chain of three":       {between, &TLS{TrustCACerts: a.file, AnyHost: true}, "HTTP/2.0", ""},
		// In TLS 1.3 the server's alert may come when the connection is closed already: then its text is lost.
		"no certificate":      {mutual, &TLS{TrustCACerts: a.file}, "", ""},
		"own certificate":     {mutual, &TLS{TrustCACerts: a.file, ClientCert: cert, ClientKey: key}, "HTTP/2.0 gateway", ""},
		"refused certificate": {mutual, &TLS{TrustCACerts: a.file, ClientCert: strangerCert, ClientKey: strangerKey}, "", ""},
		"TLS over plain HTTP": {strings.Replace(serve(t, echo).base.request.URL.String(), "http:", "https:", 1), nil, "", "does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, tc.url, func(s *Spec) { s.TLS = tc.tls })
			for range 2 {
				reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
				if tc.reply == "" {
					wantFailure(t, reply, fail, Unreachable, 0, tc.text)
				} else if fail != nil || string(reply) != tc.reply {
					t.Errorf("got %q, %v; want %q", reply, fail, tc.reply)
				}
			}
		})
	}
}

func TestTLSFiles(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue("gateway", x509.Certificate{})
	_, otherKey := a.issue("other", x509.Certificate{})
	locked := a.write("locked.key", "ENCRYPTED PRIVATE KEY", fixture(t, "ec.pbes2-aes-256-cbc.key"))
	broken := a.write("broken.key", "ENCRYPTED PRIVATE KEY", []byte("x"))
	empty := filepath.Join(a.dir, "empty")
	os.WriteFile(empty, nil, 0o600)
	old := filepath.Join(a.dir, "old.key")
	os.WriteFile(old, []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), 0o600)
	garbage := filepath.Join(a.dir, "garbage")
	os.WriteFile(garbage, []byte("not PEM"), 0o600)
	for name, tc := range map[string]struct {
		tls  TLS
		want string
	}{
		"no trust file":    {TLS{TrustCACerts: a.dir + "/none"}, "read trusted certificates: open"},
		"trust garbage":    {TLS{TrustCACerts: garbage}, "holds no PEM certificate"},
		"trust a key":      {TLS{TrustCACerts: key}, "holds no PEM certificate"},
		"no certificate":   {TLS{ClientCert: a.dir + "/none", ClientKey: key}, "read client certificate: open"},
		"no key":           {TLS{ClientCert: cert, ClientKey: a.dir + "/none"}, "read client key: open"},
		"key garbage":      {TLS{ClientCert: cert, ClientKey: garbage}, "load client certificate"},
		"another key":      {TLS{ClientCert: cert, ClientKey: otherKey}, "does not match"},
		"swapped":          {TLS{ClientCert: key, ClientKey: cert}, "load client certificate"},
		"no password":      {TLS{ClientCert: cert, ClientKey: locked}, "it is encrypted: its password must be given"},
		"no password file": {TLS{ClientCert: cert, ClientKey: locked, ClientKeyPassword: a.dir + "/none"}, "read client key password: open"},
		"empty password":   {TLS{ClientCert: cert, ClientKey: locked, ClientKeyPassword: empty}, "has 0 bytes, which is no password"},
		"endless password": {TLS{ClientCert: cert, ClientKey: locked, ClientKeyPassword: "/dev/zero"}, "which is no password"},
		"wrong password":   {TLS{ClientCert: cert, ClientKey: locked, ClientKeyPassword: garbage}, "the password does not fit"},
		"broken PKCS#8":    {TLS{ClientCert: cert, ClientKey: broken, ClientKeyPassword: garbage}, "it is damaged"},
		"encrypted PKCS#1": {TLS{ClientCert: cert, ClientKey: old}, "it is encrypted: its password must be given"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Spec{URL: "https://fn/", TLS: &tc.tls})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if c, err := New(Spec{URL: "http://fn/", TLS: &TLS{TrustCACerts: "/none"}}); err != nil {
		t.Errorf("http reads TLS files: %v", err)
	} else {
		c.Close()
	}
}

// fixture is the DER of a key of package certificate, the encrypted ones with the password "secret".
func fixture(t testing.TB, name string) []byte {
	text, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

const fixtures = "../../internal/certificate/testdata/made"

// The keys that StateFun's users have, plain and PBES1, and those that openssl writes today, prove who the gateway is.
func TestClientKeys(t *testing.T) {
	a := newAuthority(t)
	roots, err := os.ReadFile(filepath.Join(fixtures, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(roots)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		good(w, []byte(r.TLS.PeerCertificates[0].Subject.CommonName))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.pair("server", loopback)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
	server.StartTLS()
	defer server.Close()
	for _, password := range []string{"secret", "secret\n", "secret\r\n"} {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"rsa.pkcs8", "rsa.pkcs1", "rsa.PBE-SHA1-3DES", "rsa.pbes2", "rsa.old-aes256"} {
			c := client(t, server.URL, func(s *Spec) {
				s.TLS = &TLS{TrustCACerts: a.file, ClientCert: filepath.Join(fixtures, "rsa.pem"), ClientKey: filepath.Join(fixtures, key+".key"), ClientKeyPassword: file}
			})
			if reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x")); fail != nil || string(reply) != "rsa" {
				t.Errorf("%s, password %q: got %q, %v", key, password, reply, fail)
			}
		}
	}
	for _, password := range []string{"secret\n\n", " secret", "Secret"} {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(Spec{URL: server.URL, TLS: &TLS{ClientCert: filepath.Join(fixtures, "rsa.pem"), ClientKey: filepath.Join(fixtures, "rsa.pbes2.key"), ClientKeyPassword: file}})
		if err == nil || !strings.Contains(err.Error(), "does not fit") || strings.Contains(err.Error(), password) {
			t.Errorf("password %q: got %v", password, err)
		}
	}
}
