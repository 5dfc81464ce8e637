//go:build unix

package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Authority signs certificates for tests.
type Authority struct {
	PEM         []byte // its own certificate
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Subject is whom a certificate is for.
type Subject struct {
	Name      string
	Addresses []net.IP  // of a server
	NotAfter  time.Time // default: in an hour
}

// NewAuthority is an authority that nobody knows yet.
func NewAuthority(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}
	if a.Certificate, err = a.sign(template, key); err != nil {
		return nil, err
	}
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
	return a, nil
}

// Issue makes a certificate and its key, both as PEM; the key is PKCS#8.
func (a *Authority) Issue(s Subject) (certificate, key []byte, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if s.NotAfter.IsZero() {
		s.NotAfter = time.Now().Add(time.Hour)
	}
	signed, err := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: s.Name}, IPAddresses: s.Addresses, KeyUsage: x509.KeyUsageDigitalSignature, NotAfter: s.NotAfter}, own)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (a *Authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore = time.Now().Add(-2 * time.Hour)
	parent := a.Certificate
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Truststore writes the authority's certificate into a file of a kind (JKS, PKCS12) in dir, with Java's own keytool.
func (a *Authority) Truststore(dir, kind, password string) (file string, err error) {
	certificate, file := filepath.Join(dir, "authority.pem"), filepath.Join(dir, "truststore."+strings.ToLower(kind))
	if err := os.WriteFile(certificate, a.PEM, 0o600); err != nil {
		return "", err
	}
	tool := "keytool"
	if jdk := os.Getenv("JAVA_HOME"); jdk != "" {
		tool = filepath.Join(jdk, "bin", tool)
	}
	c := exec.Command(tool, "-importcert", "-noprompt", "-alias", "authority", "-file", certificate, "-keystore", file, "-storetype", kind, "-storepass", password)
	if said, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("keytool: %w: %s", err, said)
	}
	return file, nil
}
