package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
)

var (
	jksMagic   = []byte{0xFE, 0xED, 0xFE, 0xED}
	jceksMagic = []byte{0xCE, 0xCE, 0xCE, 0xCE}
)

const (
	jksKeyTag         = 1
	jksCertificateTag = 2
	jksDigestBytes    = 20
	// jksKeyBytesMin is a salt and a digest, which stand around an encrypted key.
	jksKeyBytesMin = 40
	// chainMax bounds the certificates of one key.
	chainMax = 100
)

// JKSPair reads a key and its certificate chain from a key store of Java, type JKS. Without a key password the store's password is used,
// as Java does. Of several keys that of the first alias is taken.
func JKSPair(data []byte, storePassword, keyPassword string) (tls.Certificate, error) {
	entries, err := readJKS(data)
	if err != nil {
		return tls.Certificate{}, err
	}
	loaded, err := loadJKS(data, storePassword)
	if err != nil {
		return tls.Certificate{}, err
	}
	i := slices.IndexFunc(entries, func(e jksEntry) bool { return e.isKey })
	if i < 0 {
		return tls.Certificate{}, fmt.Errorf("holds %d certificates and no private key: it is a trust store", len(entries))
	}
	if keyPassword == "" {
		keyPassword = storePassword
	}
	der, err := openJKSKey(loaded, entries[i], keyPassword)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private key: %w", err)
	}
	key, err := parsePKCS8(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private key: %w", err)
	}
	if len(entries[i].chain) == 0 {
		return tls.Certificate{}, errors.New("holds a private key, but not its certificate")
	}
	return pairOf(entries[i].chain, key)
}

// JKSPool reads the certificates to trust from a key store of Java, type JKS: those entered as trusted, and the own certificate of each
// key, as Java does. Without a password nothing tells whether the file was changed; Java reads it then, and so is it here.
func JKSPool(data []byte, storePassword string) (*x509.CertPool, error) {
	entries, err := readJKS(data)
	if err != nil {
		return nil, err
	}
	if storePassword != "" {
		if _, err := loadJKS(data, storePassword); err != nil {
			return nil, err
		}
	}
	var all []*x509.Certificate
	for _, e := range entries {
		all = append(all, e.chain[:min(len(e.chain), 1)]...)
	}
	return poolOf(all)
}

// jksEntry is one alias.
type jksEntry struct {
	alias string
	isKey bool
	key   []byte // encrypted
	chain []*x509.Certificate
}

// readJKS reads the file without its passwords, in the order of its aliases. The library believes every length that stands in a file;
// what passes here may be handed to it.
func readJKS(data []byte) ([]jksEntry, error) {
	switch {
	case len(data) > bytesMax:
		return nil, errTooLarge
	case bytes.HasPrefix(data, jceksMagic):
		return nil, errors.New("is a key store of Java, type JCEKS, which is not supported: keytool -importkeystore -deststoretype PKCS12 turns it into one that is")
	case !bytes.HasPrefix(data, jksMagic):
		return nil, fmt.Errorf("is no key store of Java, type JKS%s", insteadJKS(data))
	}
	r := &jksReader{rest: data[len(jksMagic):]}
	version := r.number()
	if version != 1 && version != 2 {
		return nil, fmt.Errorf("is a key store of Java of version %d, which is not known", version)
	}
	count := r.number()
	var entries []jksEntry
	for range count {
		if len(entries) == entriesMax {
			return nil, fmt.Errorf("holds more than %d entries", entriesMax)
		}
		e := r.entry(version)
		if r.err != nil {
			return nil, fmt.Errorf("entry number %d: %w", len(entries)+1, r.err)
		}
		entries = append(entries, e)
	}
	if r.err == nil && len(r.rest) != jksDigestBytes {
		r.err = errCut
	}
	slices.SortStableFunc(entries, func(a, b jksEntry) int { return strings.Compare(a.alias, b.alias) })
	return entries, r.err
}

func insteadJKS(data []byte) string {
	switch {
	case len(data) == 0:
		return ": it is empty"
	case data[0] == 0x30:
		return ": it is PKCS#12, as keytool writes it since Java 9"
	case bytes.Contains(data[:min(len(data), 4<<10)], []byte("-----BEGIN ")):
		return ": it is PEM"
	}
	return ""
}

var errCut = errors.New("is damaged: a length in it does not fit the file")

// jksReader reads numbers and pieces until the first one that is not there.
type jksReader struct {
	rest []byte
	err  error
}

func (r *jksReader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.rest) {
		r.err = errCut
		return nil
	}
	piece := r.rest[:n]
	r.rest = r.rest[n:]
	return piece
}

func (r *jksReader) number() int {
	if b := r.take(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *jksReader) text() string {
	if b := r.take(2); b != nil {
		return string(r.take(int(binary.BigEndian.Uint16(b))))
	}
	return ""
}

func (r *jksReader) entry(version int) jksEntry {
	tag := r.number()
	e := jksEntry{alias: r.text(), isKey: tag == jksKeyTag}
	r.take(8) // when it was made
	certificates := 1
	switch {
	case r.err != nil:
		return e
	case e.isKey:
		e.key = r.take(r.number())
		if certificates = r.number(); certificates > chainMax {
			r.err = fmt.Errorf("is damaged: a chain of %d certificates", certificates)
			return e
		}
	case tag != jksCertificateTag:
		r.err = fmt.Errorf("is damaged: an entry of kind %d", tag)
		return e
	}
	for range certificates {
		kind := "X.509"
		if version == 2 {
			kind = r.text()
		}
		der := r.take(r.number())
		if r.err != nil {
			return e
		}
		if kind != "X.509" && kind != "X509" {
			continue
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			r.err = fmt.Errorf("its certificate is damaged: %w", err)
			return e
		}
		e.chain = append(e.chain, c)
	}
	return e
}

// loadJKS checks the store's password over the whole file.
func loadJKS(data []byte, password string) (loaded keystore.KeyStore, err error) {
	secret, err := latin1(password)
	if err != nil {
		return loaded, err
	}
	loaded = keystore.New(keystore.WithCaseExactAliases())
	if err := loaded.Load(bytes.NewReader(data), secret); err != nil {
		return loaded, ErrPassword // all lengths are good, so it is the digest
	}
	return loaded, nil
}

// openJKSKey decrypts a key, with the check of its password that Java's own form has. Newer keystores of other tools may hold another.
func openJKSKey(loaded keystore.KeyStore, e jksEntry, password string) ([]byte, error) {
	var box encrypted
	if rest, err := asn1.Unmarshal(e.key, &box); err != nil || len(rest) > 0 || len(box.Data) < jksKeyBytesMin {
		return nil, errors.New("it is damaged: not the form of a key in a key store of Java")
	}
	secret, err := latin1(password)
	if err != nil {
		return nil, err
	}
	entry, err := loaded.GetPrivateKeyEntry(e.alias, secret)
	if err != nil {
		if strings.Contains(err.Error(), "unsupported") {
			return nil, fmt.Errorf("it is encrypted in a way that is not supported (%s)", box.Algorithm.Algorithm)
		}
		return nil, ErrPassword
	}
	return entry.PrivateKey, nil
}

// latin1 writes a password in the one byte a character that the library makes Java's two of.
func latin1(password string) ([]byte, error) {
	out := make([]byte, 0, len(password))
	for _, r := range password {
		if r > 0xFF {
			return nil, errors.New("its password has characters beyond Latin-1, which is not supported: keytool -storepasswd changes it")
		}
		out = append(out, byte(r))
	}
	return out, nil
}
