package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
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

	"github.com/stategate/stategate/dispatcher/endpoint"
)

// madeKeys are the files of package certificate: the client "rsa" of an authority, its key in several forms, the encrypted ones with the
// password "secret".
const madeKeys = "../../../../internal/certificate/testdata/made"

// listenTLS serves https with a certificate for a name or an address, and answers with protocol and name of the caller. Its folder has
// ca.pem, the authority to trust.
func listenTLS(t testing.TB, issuedTo x509.Certificate, clients tls.ClientAuthType) (vars map[string]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	issuedTo.SerialNumber, issuedTo.NotBefore, issuedTo.NotAfter = big.NewInt(2), authority.NotBefore, authority.NotAfter
	own, err := x509.CreateCertificate(rand.Reader, &issuedTo, authority, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}), 0o600); err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(madeKeys, "ca.pem"))
	if err != nil || !trusted.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		said := r.Proto
		for _, c := range r.TLS.PeerCertificates {
			said += " " + c.Subject.CommonName
		}
		answers(w, []byte(said))
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{own}, PrivateKey: key}}, ClientAuth: clients, ClientCAs: trusted,
	}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return map[string]string{"URL": server.URL, "DIR": dir, "MADE": madeKeys}
}

var thisMachine = x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}

func TestTransportTrust(t *testing.T) {
	vars := listenTLS(t, thisMachine, tls.NoClientCert)
	f, c := served(t, poolOf(t), v2(`trust_cacerts: "${DIR}/ca.pem"`), vars)
	if got := string(succeeds(t, f, c)); got != "HTTP/2.0" {
		t.Errorf("got %q", got)
	}
	for name, text := range map[string]string{
		"nobody":      v2(""),
		"somebody":    v2(`trust_cacerts: "${MADE}/ca.pem"`),
		"okhttp":      okhttp("timeouts: {}"), // trusts the system's authorities
		"with a copy": v2(`verify_hostname: false`),
	} {
		f, c := served(t, poolOf(t), text, vars)
		reply, fail := attempt(t, f, c, []byte("x"))
		if fail == nil || fail.Kind != endpoint.Unreachable || !strings.Contains(fail.Text, "certificate") {
			t.Errorf("%s is trusted: got %q, %v", name, reply, fail)
		}
	}
}

// Keys as StateFun's users have them, plain and PBES1, and as openssl writes them today.
func TestTransportClientCertificate(t *testing.T) {
	vars := listenTLS(t, thisMachine, tls.RequireAndVerifyClientCert)
	password := filepath.Join(vars["DIR"], "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := filepath.Join(vars["DIR"], "line")
	if err := os.WriteFile(line, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const tlsOptions = `trust_cacerts: "${DIR}/ca.pem", client_cert: "${MADE}/rsa.pem", client_key: "${MADE}/`
	for name, options := range map[string]string{
		"plain":                tlsOptions + `rsa.pkcs8.key"`,
		"PBES1":                tlsOptions + `rsa.PBE-SHA1-3DES.key", client_key_password: "${DIR}/password"`,
		"PBES2":                tlsOptions + `rsa.pbes2.key", client_key_password: "${DIR}/password"`,
		"PBES1, with a line":   tlsOptions + `rsa.PBE-SHA1-3DES.key", client_key_password: "${DIR}/line"`,
		"PBES2, with a line":   tlsOptions + `rsa.pbes2.key", client_key_password: "${DIR}/line"`,
		"plain, with password": tlsOptions + `rsa.pkcs8.key", client_key_password: "${DIR}/none"`,
	} {
		f, c := served(t, poolOf(t), v2(options), vars)
		if got := string(succeeds(t, f, c)); got != "HTTP/2.0 rsa" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	f, c := served(t, poolOf(t), v2(`trust_cacerts: "${DIR}/ca.pem"`), vars)
	fails(t, f, c, []byte("x"), endpoint.Unreachable, "")
	f = resolved(t, v2(tlsOptions+`rsa.pbes2.key"`), vars)
	if _, err := poolOf(t).Client(f.Spec); err == nil || !strings.Contains(err.Error(), "its password must be given") {
		t.Errorf("got %v", err)
	}
}

// StateFun verifies no name. Here it is, unless the module says otherwise.
func TestTransportVerifyHostname(t *testing.T) {
	vars := listenTLS(t, x509.Certificate{DNSNames: []string{"elsewhere"}}, tls.NoClientCert)
	const trust = `trust_cacerts: "${DIR}/ca.pem"`
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"by default": {v2(trust), false},
		"true":       {v2(trust + ", verify_hostname: true"), false},
		"false":      {v2(trust + ", verify_hostname: false"), true},
	} {
		f, c := served(t, poolOf(t), tc.text, vars)
		if tc.ok {
			succeeds(t, f, c)
		} else {
			fails(t, f, c, []byte("x"), endpoint.Unreachable, "127.0.0.1")
		}
		if name == "false" && !f.Spec.TLS.AnyHost {
			t.Error("the transport does not say so")
		}
	}
	if f := resolved(t, okhttp("verify_hostname: false"), vars); !f.Spec.TLS.AnyHost {
		t.Error("okhttp: the name is verified, though the module says that it shall not be")
	}
}

func TestTransportHTTP2(t *testing.T) {
	offers := listenTLS(t, thisMachine, tls.NoClientCert)
	both := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers(w, []byte(r.Proto)) }))
	both.Config.Protocols = new(http.Protocols)
	both.Config.Protocols.SetHTTP1(true)
	both.Config.Protocols.SetUnencryptedHTTP2(true)
	both.Start()
	defer both.Close()
	clear := map[string]string{"URL": both.URL}
	const trust = `trust_cacerts: "${DIR}/ca.pem", `
	for name, tc := range map[string]struct {
		text string
		vars map[string]string
		want string
	}{
		"TLS, by default":   {v2(trust), offers, "HTTP/2.0"},
		"TLS, auto":         {v2(trust + "http2: auto"), offers, "HTTP/2.0"},
		"TLS, always":       {v2(trust + "http2: always"), offers, "HTTP/2.0"},
		"TLS, never":        {v2(trust + "http2: never"), offers, "HTTP/1.1"},
		"clear, by default": {v2(""), clear, "HTTP/1.1"},
		"clear, always":     {v2("http2: always"), clear, "HTTP/2.0"},
		"okhttp, always":    {okhttp("http2: always"), clear, "HTTP/2.0"},
		"okhttp, never":     {okhttp("http2: never"), clear, "HTTP/1.1"},
	} {
		f, c := served(t, poolOf(t), tc.text, tc.vars)
		if got := string(succeeds(t, f, c)); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

// What bulk says bounds what an endpoint announces, in both transports; never offers nothing.
func TestTransportBulk(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Stategate-Bulk", "1; calls=8")
		answers(w, []byte(r.Header.Get("Stategate-Bulk")))
	}))
	defer server.Close()
	vars := map[string]string{"URL": server.URL}
	for option, want := range map[string]string{"": "1 8", "bulk: auto": "1 8", "bulk: 4": "1 4", "bulk: 100": "1 8", "bulk: never": " 0", "bulk: 1": " 0"} {
		for _, text := range []string{v2(option), okhttp(option)} {
			_, c := served(t, poolOf(t), text, vars)
			offer, calls, fail := c.Call(t.Context(), []byte("x"))
			if got := fmt.Sprintf("%s %d", offer, calls); fail != nil || got != want {
				t.Errorf("%q: got %q, %v, want %q", option, got, fail, want)
			}
		}
	}
}

// No proxy unless the module names one, whatever the environment says.
func TestTransportProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers(w, []byte(r.RequestURI)) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	vars := map[string]string{"URL": "http://functions.invalid/fn", "PROXY": proxy.URL}
	f, c := served(t, poolOf(t), v2(""), vars)
	fails(t, f, c, []byte("x"), endpoint.Unreachable, "functions.invalid")
	for _, text := range []string{v2(`proxy: "${PROXY}"`), okhttp(`proxy: "${PROXY}"`)} {
		f, c = served(t, poolOf(t), text, vars)
		if got := string(succeeds(t, f, c)); got != vars["URL"] {
			t.Errorf("the proxy was asked for %q", got)
		}
	}
}
