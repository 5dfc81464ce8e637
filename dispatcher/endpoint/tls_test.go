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
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
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

// serve starts an https function that answers with the name of its caller's certificate.
func (a *authority) serve(template x509.Certificate, clients tls.ClientAuthType) string {
	cert, key := a.issue("server", template)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
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

var loopback = x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	plain := a.serve(loopback, tls.NoClientCert)
	mutual := a.serve(loopback, tls.RequireAndVerifyClientCert)
	elsewhere := a.serve(x509.Certificate{DNSNames: []string{"elsewhere"}}, tls.NoClientCert)
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
		"trusted, HTTP/1 only": {plain, &TLS{TrustCACerts: a.file}, "HTTP/1.1", ""},
		"name is verified":     {elsewhere, &TLS{TrustCACerts: a.file}, "", "127.0.0.1"},
		// In TLS 1.3 the server's alert may come when the connection is closed already: then its text is lost.
		"no certificate":      {mutual, &TLS{TrustCACerts: a.file}, "", ""},
		"own certificate":     {mutual, &TLS{TrustCACerts: a.file, ClientCert: cert, ClientKey: key}, "HTTP/1.1 gateway", ""},
		"refused certificate": {mutual, &TLS{TrustCACerts: a.file, ClientCert: strangerCert, ClientKey: strangerKey}, "", ""},
		"TLS over plain HTTP": {strings.Replace(serve(t, echo).base.URL.String(), "http:", "https:", 1), nil, "", "does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, tc.url, func(s *Spec) { s.TLS = tc.tls })
			for range 2 {
				reply, fail := c.Call(within(t, 5*time.Second), []byte("x"))
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
	locked := a.write("locked.key", "ENCRYPTED PRIVATE KEY", []byte("x"))
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
		"encrypted PKCS#8": {TLS{ClientCert: cert, ClientKey: locked, ClientKeyPassword: garbage}, "is encrypted, which is not supported"},
		"encrypted PKCS#1": {TLS{ClientCert: cert, ClientKey: old}, "is encrypted, which is not supported"},
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
