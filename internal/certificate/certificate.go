// Package certificate reads certificates and private keys out of the forms that operators have them in: PEM with plain and encrypted
// keys, PKCS#12 and the key stores of Java. It is told bytes and passwords and answers what crypto/tls takes. It opens no file, keeps
// nothing, and says neither a password nor a key in any error.
package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// bytesMax bounds what is read at all. The certificates of all public authorities together take about 200 KiB.
const bytesMax = 16 << 20

// ErrPassword says that a password does not fit, as far as that can be known: most forms show a wrong password and a damaged key in the
// same way. Who has another password to try, tries it.
var ErrPassword = errors.New("the password does not fit, or the file is damaged")

// ErrNoPassword says that a key is encrypted and no password was given. Who knows where one is, fetches it.
var ErrNoPassword = errors.New("it is encrypted: its password must be given")

var errTooLarge = fmt.Errorf("more than %d bytes, which no file of certificates needs", bytesMax)

// Pool reads the certificates to trust from PEM. What is no certificate is passed over.
func Pool(pemText []byte) (*x509.CertPool, error) {
	chain, err := pemCertificates(pemText)
	if err != nil {
		return nil, err
	}
	return poolOf(chain)
}

// Pair reads a certificate, followed by those of its authorities, and its private key from PEM; both may be in the same file. The key is
// PKCS#8, PKCS#1 or SEC1, plain or encrypted; the password is used for an encrypted one only.
func Pair(chainPEM, keyPEM, password []byte) (tls.Certificate, error) {
	chain, err := pemCertificates(chainPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, err := pemKey(keyPEM, password)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private key: %w", err)
	}
	return pairOf(chain, key)
}

func pemCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > bytesMax {
		return nil, errTooLarge
	}
	var all []*x509.Certificate
	var found string // what there is instead
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			found = block.Type
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate number %d is damaged: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, fmt.Errorf("holds no PEM certificate (-----BEGIN CERTIFICATE-----)%s", instead(text, found))
}

// instead says what a text without the wanted PEM block is.
func instead(text []byte, found string) string {
	switch {
	case found != "":
		return fmt.Sprintf(" but a %s", printable(found))
	case len(bytes.TrimSpace(text)) == 0:
		return ": it is empty"
	case bytes.HasPrefix(text, jksMagic):
		return ": it is a key store of Java"
	case text[0] == 0x30:
		return ": it looks like DER or PKCS#12, which openssl turns into PEM"
	}
	return ""
}

// printable keeps names out of files fit for a log line.
func printable(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return fmt.Sprintf("%q", name)
}

func poolOf(all []*x509.Certificate) (*x509.CertPool, error) {
	if len(all) == 0 {
		return nil, errors.New("holds no certificate to trust")
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}

// pairOf makes sure that key and certificate belong together, for else only the handshake would tell, and not clearly.
func pairOf(chain []*x509.Certificate, key any) (tls.Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("private key: a key of type %T cannot sign", key)
	}
	for i, c := range chain {
		if !belongs(signer, c) {
			continue
		}
		if i > 0 {
			return tls.Certificate{}, fmt.Errorf("the private key belongs to certificate number %d: its certificate must be the first", i+1)
		}
		pair := tls.Certificate{PrivateKey: key, Leaf: c}
		for _, c := range chain {
			pair.Certificate = append(pair.Certificate, c.Raw)
		}
		return pair, nil
	}
	return tls.Certificate{}, fmt.Errorf("the private key does not match the certificate of %s", printable(chain[0].Subject.String()))
}

func belongs(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}
