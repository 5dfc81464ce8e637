package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// piecesMax and entriesMax bound how much of a file is worked on.
const (
	piecesMax  = 16
	entriesMax = 10_000
)

// PKCS12Pair reads a key and its certificate with those of its authorities, as far as the file holds them. Of several keys the first one
// in the file is taken.
func PKCS12Pair(data []byte, password string) (tls.Certificate, error) {
	s, err := openPKCS12(data, password)
	if err != nil {
		return tls.Certificate{}, err
	}
	if len(s.keys) == 0 {
		return tls.Certificate{}, fmt.Errorf("holds %d certificates and no private key: it is a trust store", len(s.certificates))
	}
	key, err := s.keys[0].open(password)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("private key: a key of type %T cannot sign", key)
	}
	for _, c := range s.certificates {
		if belongs(signer, c) {
			return pairOf(chainFrom(c, s.certificates), key)
		}
	}
	return tls.Certificate{}, errors.New("holds a private key, but not its certificate")
}

// PKCS12Pool reads the certificates to trust: all that are in the file, whether they are marked as trusted, as keytool does, or not, as
// openssl leaves them.
func PKCS12Pool(data []byte, password string) (*x509.CertPool, error) {
	s, err := openPKCS12(data, password)
	if err != nil {
		return nil, err
	}
	return poolOf(s.certificates)
}

// store is what is in a file.
type store struct {
	certificates []*x509.Certificate
	keys         []keyBag
}

// keyBag is a private key that is not looked into yet.
type keyBag struct {
	der      []byte
	shrouded bool
}

func (k keyBag) open(password string) (any, error) {
	if !k.shrouded {
		return parsePKCS8(k.der)
	}
	var box encrypted
	if rest, err := asn1.Unmarshal(k.der, &box); err != nil || len(rest) > 0 {
		return nil, errors.New("it is damaged: not the form of an encrypted PKCS#8 key")
	}
	if password == "" && box.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, ErrNoPassword
	}
	return openPKCS8(k.der, []byte(password))
}

func openPKCS12(data []byte, password string) (store, error) {
	pieces, checked, err := readPKCS12(data, password)
	if err != nil {
		return store{}, err
	}
	var s store
	for _, piece := range pieces {
		switch {
		case piece.Type.Equal(oidData):
			err = s.addData(piece)
		case piece.Type.Equal(oidEncryptedData) && !checked:
			err = errors.New("is encrypted without a check of its password; openssl pkcs12 -export writes one")
		case piece.Type.Equal(oidEncryptedData):
			err = s.addEncrypted(piece, password)
		default:
			err = fmt.Errorf("is encrypted for a public key (%s), which is not supported; openssl pkcs12 -export writes one with a password", piece.Type)
		}
		if err == nil && len(s.certificates) > entriesMax {
			err = fmt.Errorf("holds more than %d certificates", entriesMax)
		}
		if err != nil {
			return store{}, err
		}
	}
	return s, nil
}

// readPKCS12 checks the password and answers the pieces of the file. A file without a check of its password has nothing to fear from a
// wrong one, as long as nothing in it is encrypted.
func readPKCS12(data []byte, password string) (pieces []contentInfo, checked bool, err error) {
	if len(data) > bytesMax {
		return nil, false, errTooLarge
	}
	var file pfx
	var content []byte
	rest, err := asn1.Unmarshal(data, &file)
	if err == nil && file.AuthSafe.Type.Equal(oidData) {
		_, err = asn1.Unmarshal(file.AuthSafe.Content.Bytes, &content)
	}
	if err != nil || len(rest) > 0 {
		return nil, false, fmt.Errorf("is no PKCS#12 file in DER%s", instead12(data))
	}
	if file.Version != 3 || !file.AuthSafe.Type.Equal(oidData) {
		return nil, false, errors.New("is a PKCS#12 file of a kind that is not supported (version 3 with a password is); openssl pkcs12 -export writes one")
	}
	if _, err := asn1.Unmarshal(content, &pieces); err != nil || len(pieces) > piecesMax {
		return nil, false, errors.New("is damaged: its parts cannot be read")
	}
	if len(file.Mac.Mac.Algorithm.Algorithm) == 0 {
		return pieces, false, nil
	}
	if err := checkMac(&file.Mac); err != nil {
		return nil, false, err
	}
	return pieces, true, verifyMac(data, password, pieces)
}

// instead12 says what a file is that is no PKCS#12 file.
func instead12(data []byte) string {
	switch {
	case len(data) == 0:
		return ": it is empty"
	case bytes.HasPrefix(data, jksMagic):
		return ": it is a key store of Java, type JKS"
	case bytes.HasPrefix(data, jceksMagic):
		return ": it is a key store of Java, type JCEKS"
	case bytes.Contains(data[:min(len(data), 4<<10)], []byte("-----BEGIN ")):
		return ": it is PEM"
	case bytes.HasPrefix(data, []byte{0x30, 0x80}):
		return " but in BER; openssl pkcs12 writes it as DER"
	}
	return ", or it is damaged"
}

var macNames = []asn1.ObjectIdentifier{
	{1, 3, 14, 3, 2, 26},             // SHA-1
	{2, 16, 840, 1, 101, 3, 4, 2, 1}, // SHA-256
	{2, 16, 840, 1, 101, 3, 4, 2, 3}, // SHA-512
}

// checkMac refuses what the library cannot check, or would take too long for.
func checkMac(m *macData) error {
	a := m.Mac.Algorithm
	if a.Algorithm.Equal(oidPBMAC1) {
		var p pbmac1Params
		var k pbkdf2Params
		if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return errParameters
		}
		if _, err := asn1.Unmarshal(p.KDF.Parameters.FullBytes, &k); err != nil {
			return errParameters
		}
		return checkIterations(k.Iterations)
	}
	for _, name := range macNames {
		if a.Algorithm.Equal(name) {
			return checkIterations(m.Iterations)
		}
	}
	return fmt.Errorf("has a check of its password that is not supported (%s); openssl pkcs12 -export writes one that is", a.Algorithm)
}

// verifyMac lets the library check the password. It does that before anything else; its later complaints, of a file that is no trust
// store, do not matter here.
func verifyMac(data []byte, password string, pieces []contentInfo) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("is damaged")
		}
	}()
	if strings.ContainsFunc(password, func(r rune) bool { return r > 0xFFFF }) {
		return fmt.Errorf("%w: PKCS#12 has no passwords with such characters", ErrPassword)
	}
	for _, piece := range pieces {
		if err := checkPiece(piece); err != nil {
			return err
		}
	}
	_, err = pkcs12.DecodeTrustStore(data, password)
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		if password == "" {
			return fmt.Errorf("%w: none was given", ErrPassword)
		}
		return ErrPassword
	}
	return nil
}

// checkPiece refuses an encrypted piece that would take too long.
func checkPiece(piece contentInfo) error {
	if !piece.Type.Equal(oidEncryptedData) {
		return nil
	}
	var e encryptedData
	if _, err := asn1.Unmarshal(piece.Content.Bytes, &e); err != nil {
		return errors.New("is damaged: an encrypted part cannot be read")
	}
	return checkAlgorithm(e.Info.Algorithm, len(e.Info.Content))
}

func checkAlgorithm(a pkix.AlgorithmIdentifier, bytes int) error {
	w, err := workOf(a)
	if err != nil {
		return err
	}
	return w.check(bytes)
}

// addData takes what stands in the clear: certificates, and keys, which are encrypted one by one.
func (s *store) addData(piece contentInfo) error {
	var der []byte
	var bags []bag
	_, err := asn1.Unmarshal(piece.Content.Bytes, &der)
	if err == nil {
		_, err = asn1.Unmarshal(der, &bags)
	}
	if err != nil {
		return errors.New("is damaged: a part cannot be read")
	}
	for _, b := range bags {
		switch {
		case b.ID.Equal(oidKeyBag), b.ID.Equal(oidShroudedBag):
			s.keys = append(s.keys, keyBag{der: b.Value.Bytes, shrouded: b.ID.Equal(oidShroudedBag)})
		case b.ID.Equal(oidCertBag):
			var inner certBag
			if _, err := asn1.Unmarshal(b.Value.Bytes, &inner); err != nil {
				return errors.New("is damaged: a certificate cannot be read")
			}
			if !inner.ID.Equal(oidX509) {
				continue
			}
			c, err := x509.ParseCertificate(inner.Data)
			if err != nil {
				return fmt.Errorf("certificate number %d is damaged: %w", len(s.certificates)+1, err)
			}
			s.certificates = append(s.certificates, c)
		}
	}
	return nil
}

func (s *store) addEncrypted(piece contentInfo, password string) error {
	if err := checkPiece(piece); err != nil {
		return err
	}
	all, err := openCertificates(piece, password)
	s.certificates = append(s.certificates, all...)
	return err
}

// signaturesMax bounds the search for issuers, for a file may hold thousands of certificates of one name.
const signaturesMax = 1000

// chainFrom follows the issuers of a certificate through all that there are, up to one that signed itself.
func chainFrom(leaf *x509.Certificate, all []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	tried := 0
	for last := leaf; !bytes.Equal(last.RawIssuer, last.RawSubject); last = chain[len(chain)-1] {
		i := slices.IndexFunc(all, func(other *x509.Certificate) bool {
			if tried >= signaturesMax || !bytes.Equal(last.RawIssuer, other.RawSubject) {
				return false
			}
			tried++
			return last.CheckSignatureFrom(other) == nil
		})
		if i < 0 || len(chain) == chainMax {
			break
		}
		chain = append(chain, all[i])
	}
	return chain
}
