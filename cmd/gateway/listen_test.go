package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/credential"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// writePair makes a certificate for a name that nobody connects by.
func writePair(t *testing.T, folder, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"events.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key")
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return cert, key
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var withHTTP = &module.Module{HTTPIngresses: []module.HTTPIngress{{ID: "shop/api"}}}

// TestListenHTTP: where it listens, and what is refused.
func TestListenHTTP(t *testing.T) {
	folder := t.TempDir()
	tokens, none, odd := filepath.Join(folder, "tokens"), filepath.Join(folder, "none"), filepath.Join(folder, "odd")
	writeFile(t, tokens, "one\n\n two \r\n")
	writeFile(t, none, "\n \n")
	writeFile(t, odd, "one\nsec ret\n")
	cert, key := writePair(t, folder, "a")
	for name, c := range map[string]struct {
		cfg   config.Config
		wrong string // in the error
		open  bool
	}{
		"the loopback":            {config.Config{Listen: "127.0.0.1:0"}, "", true},
		"its name":                {config.Config{Listen: "localhost:0"}, "", true},
		"everybody":               {config.Config{Listen: "0.0.0.0:0"}, "--listen-insecure", false},
		"every interface":         {config.Config{Listen: ":0"}, "--listen-insecure", false},
		"everybody, as said":      {config.Config{Listen: ":0", ListenInsecure: true}, "", true},
		"everybody with a token":  {config.Config{Listen: ":0", ListenTokenFile: tokens}, "", true},
		"everybody with TLS":      {config.Config{Listen: ":0", ListenTLSCert: cert, ListenTLSKey: key}, "", true},
		"no token in the file":    {config.Config{Listen: ":0", ListenTokenFile: none}, "holds no token", false},
		"a token of two words":    {config.Config{Listen: ":0", ListenTokenFile: odd}, "odd:2", false},
		"no file of tokens":       {config.Config{Listen: ":0", ListenTokenFile: "nowhere"}, "nowhere", false},
		"a certificate alone":     {config.Config{Listen: ":0", ListenTLSCert: cert}, "want both", false},
		"a key for a certificate": {config.Config{Listen: ":0", ListenTLSCert: key, ListenTLSKey: key}, "--listen-tls-cert", false},
	} {
		h, err := listenHTTP(c.cfg, withHTTP, &credential.Files{})
		if (err == nil) != c.open || err != nil && !strings.Contains(err.Error(), c.wrong) || err != nil && strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%s: %v", name, err)
		}
		if h.Listener != nil {
			_ = h.Listener.Close()
			if host, port, err := net.SplitHostPort(h.Advertise); err != nil || host == "" || host == "::" || port == "0" {
				t.Errorf("%s is advertised as %q", name, h.Advertise)
			}
		}
	}
	if h, err := listenHTTP(config.Config{Listen: ":0", ListenTokenFile: "nowhere"}, &module.Module{}, &credential.Files{}); err != nil || h.Listener != nil {
		t.Errorf("without an HTTP ingress: %+v, %v", h, err)
	}
	h, err := listenHTTP(config.Config{Listen: "127.0.0.1:0", Advertise: "gateway-0:80", ListenTokenFile: tokens}, withHTTP, &credential.Files{})
	if err != nil || h.Advertise != "gateway-0:80" || !h.Allow("Bearer one") || !h.Allow("Bearer two") || h.Allow("Bearer three") {
		t.Errorf("%+v, %v", h, err)
	}
	_ = h.Listener.Close()
}

// TestMembersKnowEachOther: by the certificate that all have, whatever it says; and nobody else.
func TestMembersKnowEachOther(t *testing.T) {
	folder := t.TempDir()
	open := func(name string) (address string, onward *tls.Config) {
		cert, key := writePair(t, folder, name)
		h, err := listenHTTP(config.Config{Listen: "127.0.0.1:0", ListenTLSCert: cert, ListenTLSKey: key}, withHTTP, &credential.Files{})
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: nil}
		t.Cleanup(func() { _ = server.Close() })
		go func() { _ = server.Serve(h.Listener) }()
		return h.Advertise, h.Onward
	}
	a, trustA := open("a")
	b, _ := open("b")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trustA, DisableKeepAlives: true}}
	if resp, err := client.Get("https://" + a); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("to one with the same certificate: %v", err)
	}
	if _, err := client.Get("https://" + b); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("to one with another certificate: %v", err)
	}
}
