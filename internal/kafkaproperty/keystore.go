package kafkaproperty

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/stategate/stategate/internal/certificate"
)

// form is how a file holds certificates.
type form uint8

const (
	formUnknown form = iota
	formPEM
	formPKCS12
	formJKS
)

// formOf looks at the bytes. keytool writes PKCS#12 under any name since Java 9, and Java reads both whatever the type says.
func formOf(data []byte) form {
	switch {
	case bytes.HasPrefix(data, []byte{0xFE, 0xED, 0xFE, 0xED}), bytes.HasPrefix(data, []byte{0xCE, 0xCE, 0xCE, 0xCE}):
		return formJKS
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return formPEM
	case len(data) > 0 && data[0] == 0x30:
		return formPKCS12
	}
	return formUnknown
}

// storeBytesMax bounds a file; all authorities of the world are some 300 KiB.
const storeBytesMax = 16 << 20

// open reads the file of a store and says what form it has. A fault is told at the property; ok is false then, and when nothing is given.
func (r *tlsReader) open(kind string) (data []byte, f form, ok bool) {
	location, typeName := "ssl."+kind+".location", "ssl."+kind+".type"
	path, given := r.given[location]
	written := strings.ToUpper(r.given[typeName])
	switch written {
	case "", "PEM", "JKS", "PKCS12":
	default:
		r.wrong(typeName, "want JKS, PKCS12 or PEM")
		return nil, 0, false
	}
	if !given {
		return nil, 0, false
	}
	if path == "" {
		r.wrong(location, "want the name of a file")
		return nil, 0, false
	}
	if strings.ContainsAny(path, "\r\n") || strings.Contains(path, "-----BEGIN") {
		r.wrong(location, "want the name of a file, not what is in it")
		return nil, 0, false
	}
	data, err := readFile(path)
	if err != nil {
		r.wrong(location, err.Error())
		return nil, 0, false
	}
	f = formOf(data)
	switch {
	case f == formUnknown:
		r.wrong(location, path+" is neither a JKS nor a PKCS12 nor a PEM file")
		return nil, 0, false
	case written == "PEM" && f != formPEM:
		r.wrong(typeName, path+" is no PEM file")
		return nil, 0, false
	case written != "" && written != "PEM" && f == formPEM:
		r.wrong(typeName, path+" is a PEM file: want type PEM")
		return nil, 0, false
	}
	return data, f, true
}

func readFile(path string) ([]byte, error) {
	data, err := func() ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return io.ReadAll(io.LimitReader(f, storeBytesMax+1))
	}()
	if err == nil && len(data) > storeBytesMax {
		err = fmt.Errorf("is larger than %d bytes", storeBytesMax)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// trust is whom to trust: nil is the system's authorities.
func (r *tlsReader) trust() *x509.CertPool {
	const inline, location, password = "ssl.truststore.certificates", "ssl.truststore.location", "ssl.truststore.password"
	if text, ok := r.given[inline]; ok {
		if _, both := r.given[location]; both {
			r.wrong(inline, "it cannot stand beside ssl.truststore.location")
			return nil
		}
		if kind := strings.ToUpper(r.given["ssl.truststore.type"]); kind != "" && kind != "PEM" {
			r.wrong("ssl.truststore.type", "with ssl.truststore.certificates it must be PEM")
		}
		pool, err := certificate.Pool(inlinePEM(text))
		if err != nil {
			r.wrong(inline, r.told(err))
		}
		return pool
	}
	data, f, ok := r.open("truststore")
	if !ok {
		if _, given := r.given[location]; !given {
			r.alone(password, location)
		}
		return nil
	}
	secret, protected := r.given[password]
	var pool *x509.CertPool
	var err error
	switch f {
	case formPEM:
		if protected {
			r.wrong(password, "a PEM truststore has none")
			return nil
		}
		pool, err = certificate.Pool(data)
	case formPKCS12:
		pool, err = certificate.PKCS12Pool(data, secret)
	default:
		if protected && secret == "" { // of a variable that is set to nothing, say: the file's integrity would go unchecked without a word
			r.wrong(password, "it is empty, which no JKS file's is: leave it out if nobody is to check whether the file was changed")
			return nil
		}
		pool, err = certificate.JKSPool(data, secret)
	}
	if err != nil {
		r.wrong(location, r.given[location]+": "+r.told(err))
		return nil
	}
	return pool
}

// own is the client's certificate; nil: it has none.
func (r *tlsReader) own() *tls.Certificate {
	const location, password, chain = "ssl.keystore.location", "ssl.keystore.password", "ssl.keystore.certificate.chain"
	_, inlineChain := r.given[chain]
	_, inlineKey := r.given["ssl.keystore.key"]
	if inlineChain || inlineKey {
		return r.inlinePair()
	}
	data, f, ok := r.open("keystore")
	if !ok {
		if _, given := r.given[location]; !given {
			r.alone(password, location)
			r.alone("ssl.key.password", location)
		}
		return nil
	}
	secret, protected := r.given[password]
	key, keyGiven := r.given["ssl.key.password"]
	var pair tls.Certificate
	var err error
	switch f {
	case formPEM:
		if protected {
			r.wrong(password, "a PEM keystore has none: ssl.key.password is that of its key")
			return nil
		}
		pair, err = certificate.Pair(data, data, []byte(key))
	case formPKCS12:
		if keyGiven && key != secret {
			r.wrong("ssl.key.password", "it differs from ssl.keystore.password, which is that of the key, too, in a PKCS12 keystore: leave it out, or write the same")
			return nil
		}
		pair, err = certificate.PKCS12Pair(data, secret)
	default:
		pair, err = certificate.JKSPair(data, secret, key)
	}
	if err != nil {
		r.wrong(location, r.given[location]+": "+r.told(err))
		return nil
	}
	r.expired(location, &pair)
	return &pair
}

func (r *tlsReader) inlinePair() *tls.Certificate {
	const chain, key, location = "ssl.keystore.certificate.chain", "ssl.keystore.key", "ssl.keystore.location"
	certificates, hasChain := r.given[chain]
	secret, hasKey := r.given[key]
	kind := strings.ToUpper(r.given["ssl.keystore.type"])
	_, hasFile := r.given[location]
	switch {
	case !hasChain:
		r.wrong(key, "want ssl.keystore.certificate.chain beside it")
		return nil
	case !hasKey:
		r.wrong(chain, "want ssl.keystore.key beside it")
		return nil
	case hasFile:
		r.wrong(chain, "it cannot stand beside ssl.keystore.location")
		return nil
	case kind != "" && kind != "PEM":
		r.wrong("ssl.keystore.type", "with ssl.keystore.certificate.chain it must be PEM")
		return nil
	}
	if _, given := r.given["ssl.keystore.password"]; given {
		r.wrong("ssl.keystore.password", "a PEM keystore has none: ssl.key.password is that of its key")
		return nil
	}
	pair, err := certificate.Pair(inlinePEM(certificates), inlinePEM(secret), []byte(r.given["ssl.key.password"]))
	if err != nil {
		r.wrong(chain, "with ssl.keystore.key: "+r.told(err))
		return nil
	}
	r.expired(chain, &pair)
	return &pair
}

// alone warns of a password of nothing.
func (r *tlsReader) alone(name, of string) {
	if _, given := r.given[name]; given {
		r.warn(name, "it has no effect without "+of)
	}
}

// told is an error without any of the secrets that were at work.
func (r *tlsReader) told(err error) string {
	text := err.Error()
	for _, name := range []string{"ssl.truststore.password", "ssl.keystore.password", "ssl.key.password"} {
		if secret := r.given[name]; len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	return text
}

// inlinePEM gives a PEM text its line ends back, which YAML folds into blanks where it is not told otherwise: a block without them
// would not be found. Java reads it with blanks, too.
func inlinePEM(text string) []byte {
	if strings.Contains(text, "\n") {
		return []byte(text)
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		begin := strings.Index(rest, "-----BEGIN ")
		if begin < 0 {
			break
		}
		rest = rest[begin:]
		headEnd := strings.Index(rest[len("-----BEGIN "):], "-----")
		if headEnd < 0 {
			break
		}
		headEnd += len("-----BEGIN ") + len("-----")
		end := strings.Index(rest, "-----END ")
		if end < headEnd {
			break
		}
		tailEnd := strings.Index(rest[end+len("-----END "):], "-----")
		if tailEnd < 0 {
			break
		}
		tailEnd += end + len("-----END ") + len("-----")
		b.WriteString(rest[:headEnd] + "\n" + strings.Join(strings.Fields(rest[headEnd:end]), "\n") + "\n" + rest[end:tailEnd] + "\n")
		rest = rest[tailEnd:]
	}
	return []byte(b.String())
}
