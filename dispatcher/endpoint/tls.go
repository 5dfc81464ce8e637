package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// config reads the files. The host's name is always verified.
func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TrustCACerts != "" {
		text, err := os.ReadFile(t.TrustCACerts)
		if err != nil {
			return nil, fmt.Errorf("read trusted certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read trusted certificates: %s holds no PEM certificate", t.TrustCACerts)
		}
	}
	if t.ClientCert != "" {
		pair, err := t.clientPair()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (t *TLS) clientPair() (tls.Certificate, error) {
	chain, err := os.ReadFile(t.ClientCert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client certificate: %w", err)
	}
	key, err := os.ReadFile(t.ClientKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client key: %w", err)
	}
	if encrypted(key) {
		return tls.Certificate{}, fmt.Errorf(
			"read client key: %s is encrypted, which is not supported; give it unencrypted (openssl pkcs8 -topk8 -nocrypt)", t.ClientKey)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load client certificate %s with key %s: %w", t.ClientCert, t.ClientKey, err)
	}
	return pair, nil
}

func encrypted(key []byte) bool {
	for block, rest := pem.Decode(key); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
	return false
}
