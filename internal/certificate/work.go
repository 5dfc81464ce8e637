package certificate

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// encrypted is the EncryptedPrivateKeyInfo of PKCS#8.
type encrypted struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// scheme is a family of ways to make a key out of a password.
type scheme int

const (
	schemePBES1 scheme = iota + 1
	schemePBES2
	schemePKCS12
)

// iterationsMax is Java's own bound for key stores. A file with more would keep the program busy for minutes, or for ever.
const iterationsMax = 5_000_000

// scryptBytesMax and scryptWorkMax bound what scrypt takes; OpenSSL's default is 16 MiB and 2^17.
const (
	scryptBytesMax = 128 << 20
	scryptWorkMax  = 1 << 21
)

var (
	oidPBES2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidsPBES1  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5}
	oidsPKCS12 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1}
)

// pbes1Names and pkcs12Names have the last number of the schemes that the libraries read.
var (
	pbes1Names  = map[int]string{1: "MD2-DES", 3: "MD5-DES", 4: "MD2-RC2-64", 6: "MD5-RC2-64", 10: "SHA1-DES", 11: "SHA1-RC2-64"}
	pkcs12Names = map[int]string{3: "SHA1-3DES", 5: "SHA1-RC2-128", 6: "SHA1-RC2-40"}
)

// work is what it takes to make a key out of a password.
type work struct {
	scheme     scheme
	iterations int
	block      int // of the cipher, in bytes; 0: not known
}

type pbeParams struct {
	Salt       []byte
	Iterations int
}

type pbes2Params struct {
	KDF, Encryption pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       asn1.RawValue
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt            []byte
	N, R, P         int
	KeyLengthUnused int `asn1:"optional"`
}

var errParameters = errors.New("it is damaged: the parameters of its encryption cannot be read")

// workOf reads the parameters of an encryption, without doing it.
func workOf(a pkix.AlgorithmIdentifier) (work, error) {
	if a.Algorithm.Equal(oidPBES2) {
		return workOfPBES2(a)
	}
	last := 0
	if n := len(a.Algorithm); n > 0 {
		last = a.Algorithm[n-1]
	}
	w := work{block: 8}
	switch {
	case isUnder(a.Algorithm, oidsPBES1) && pbes1Names[last] != "":
		w.scheme = schemePBES1
	case isUnder(a.Algorithm, oidsPKCS12) && pkcs12Names[last] != "":
		w.scheme = schemePKCS12
	default:
		return work{}, fmt.Errorf("it is encrypted in a way that is not supported (%s): openssl pkcs8 -topk8 -v2 aes-256-cbc writes one that is", a.Algorithm)
	}
	var p pbeParams
	if rest, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil || len(rest) > 0 {
		return work{}, errParameters
	}
	w.iterations = p.Iterations
	return w, nil
}

func isUnder(oid, parent asn1.ObjectIdentifier) bool {
	return len(oid) == len(parent)+1 && oid[:len(parent)].Equal(parent)
}

func workOfPBES2(a pkix.AlgorithmIdentifier) (work, error) {
	var p pbes2Params
	if rest, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil || len(rest) > 0 {
		return work{}, errParameters
	}
	w := work{scheme: schemePBES2}
	switch {
	case p.KDF.Algorithm.Equal(oidPBKDF2):
		var k pbkdf2Params
		if rest, err := asn1.Unmarshal(p.KDF.Parameters.FullBytes, &k); err != nil || len(rest) > 0 {
			return work{}, errParameters
		}
		w.iterations = k.Iterations
		return w, nil
	case p.KDF.Algorithm.Equal(oidScrypt):
		var k scryptParams
		if rest, err := asn1.Unmarshal(p.KDF.Parameters.FullBytes, &k); err != nil || len(rest) > 0 {
			return work{}, errParameters
		}
		const each = 1 << 20 // so that nothing overflows below
		if k.N < 1 || k.R < 1 || k.P < 1 || k.N > each || k.R > each || k.P > each ||
			int64(k.N)*int64(k.R)*128 > scryptBytesMax || int64(k.N)*int64(k.R)*int64(k.P) > scryptWorkMax {
			return work{}, fmt.Errorf("scrypt with N %d, r %d, p %d takes more than is allowed (%d bytes)", k.N, k.R, k.P, scryptBytesMax)
		}
		w.iterations = 1
		return w, nil
	}
	return work{}, fmt.Errorf("its key is derived in a way that is not supported (%s): openssl pkcs8 -topk8 -v2 aes-256-cbc writes one that is", p.KDF.Algorithm)
}

// check refuses what would take too long, or cannot be a ciphertext.
func (w work) check(bytes int) error {
	if err := checkIterations(w.iterations); err != nil {
		return err
	}
	if bytes == 0 || w.block > 0 && bytes%w.block != 0 {
		return errors.New("it is damaged: what is encrypted is cut short")
	}
	return nil
}

func checkIterations(n int) error {
	if n < 1 || n > iterationsMax {
		return fmt.Errorf("its password is hashed %d times: want 1 to %d", n, iterationsMax)
	}
	return nil
}
