package endpoint

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/stategate/stategate/internal/certificate"
)

// passwordBytesMax keeps a file that is no password, a device for one, from being read for ever.
const passwordBytesMax = 64 << 10

// config reads the files.
func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TrustCACerts != "" {
		text, err := os.ReadFile(t.TrustCACerts)
		if err != nil {
			return nil, fmt.Errorf("read trusted certificates: %w", err)
		}
		if config.RootCAs, err = certificate.Pool(text); err != nil {
			return nil, fmt.Errorf("read trusted certificates: %s: %w", t.TrustCACerts, err)
		}
	}
	if t.ClientCert != "" {
		pair, err := t.clientPair()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if t.AnyHost {
		config.InsecureSkipVerify = true // what it skips is done here, but for the name
		config.VerifyConnection = verifyChain(config.RootCAs)
	}
	return config, nil
}

// verifyChain verifies all that crypto/tls does but the name of the host.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server has no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
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
	pair, err := certificate.Pair(chain, key, nil)
	if errors.Is(err, certificate.ErrNoPassword) && t.ClientKeyPassword != "" {
		pair, err = t.lockedPair(chain, key)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load client certificate %s with key %s: %w", t.ClientCert, t.ClientKey, err)
	}
	return pair, nil
}

// lockedPair tries the whole content of the password's file, as StateFun does, and then without one line end.
func (t *TLS) lockedPair(chain, key []byte) (tls.Certificate, error) {
	file, err := os.Open(t.ClientKeyPassword)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client key password: %w", err)
	}
	defer file.Close()
	password, err := io.ReadAll(io.LimitReader(file, passwordBytesMax+1))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client key password: %w", err)
	}
	if len(password) == 0 || len(password) > passwordBytesMax {
		return tls.Certificate{}, fmt.Errorf("read client key password: %s has %d bytes, which is no password", t.ClientKeyPassword, len(password))
	}
	pair, err := certificate.Pair(chain, key, password)
	if !errors.Is(err, certificate.ErrPassword) {
		return pair, err
	}
	if line, ended := bytes.CutSuffix(password, []byte("\n")); ended {
		line, _ = bytes.CutSuffix(line, []byte("\r"))
		if pair, err := certificate.Pair(chain, key, line); err == nil {
			return pair, nil
		}
	}
	return tls.Certificate{}, fmt.Errorf("%w (the password is the content of %s)", err, t.ClientKeyPassword)
}
