package certificate

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// The PKCS#12 library has the cryptography, and a narrow view of files: one key with its chain, or marked certificates and nothing
// else. Files of Java's keytool hold several entries. So a file is taken apart here, and each piece is handed to the library inside
// a small file made for it, which has one key and one certificate of no meaning where the piece lacks them.

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

type pfx struct {
	Version  int
	AuthSafe contentInfo
	Mac      macData `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type macData struct {
	Mac struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

type encryptedData struct {
	Version int
	Info    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Content   []byte `asn1:"tag:0,optional"`
	}
}

type bag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue   `asn1:"tag:0,explicit"`
	Attributes []asn1.RawValue `asn1:"set,optional"`
}

type certBag struct {
	ID   asn1.ObjectIdentifier
	Data []byte `asn1:"tag:0,explicit"`
}

// filler is a key of no meaning and its certificate, both as bags.
var filler = sync.OnceValues(func() (f struct{ key, cert bag }, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return f, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "filler"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return f, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return f, err
	}
	inner, err := asn1.Marshal(certBag{ID: oidX509, Data: cert})
	f.key, f.cert = makeBag(oidKeyBag, key), makeBag(oidCertBag, inner)
	return f, err
})

func makeBag(id asn1.ObjectIdentifier, der []byte) bag {
	return bag{ID: id, Value: explicit(der)}
}

func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// dataOf is a piece of a file that holds bags in the clear.
func dataOf(bags ...bag) (contentInfo, error) {
	der, err := asn1.Marshal(bags)
	if err != nil {
		return contentInfo{}, err
	}
	octets, err := asn1.Marshal(der)
	return contentInfo{Type: oidData, Content: explicit(octets)}, err
}

// openShrouded decrypts a key by one of the schemes of PKCS#12.
func openShrouded(der []byte, password string) (any, error) {
	f, err := filler()
	if err != nil {
		return nil, err
	}
	piece, err := dataOf(makeBag(oidShroudedBag, der), f.cert)
	if err != nil {
		return nil, err
	}
	key, _, _, err := decodePieces(password, piece)
	if err != nil {
		// The library has one text for each way in which a wrong password shows.
		return nil, ErrPassword
	}
	return key, nil
}

// openCertificates decrypts a piece that holds certificates. The key of no meaning stands before it: a hostile key inside of the
// piece, whose work cannot be seen from outside, is then one too many, and refused before it is touched.
func openCertificates(piece contentInfo, password string) ([]*x509.Certificate, error) {
	f, err := filler()
	if err != nil {
		return nil, err
	}
	// The certificate stands before it as well, for the piece may have none.
	first, err := dataOf(f.key, f.cert)
	if err != nil {
		return nil, err
	}
	_, _, all, err := decodePieces(password, first, piece)
	if err != nil {
		return nil, fmt.Errorf("open its certificates: %w", err)
	}
	return all, nil
}

func decodePieces(password string, pieces ...contentInfo) (key any, first *x509.Certificate, rest []*x509.Certificate, err error) {
	file, err := seal(password, pieces)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if recover() != nil {
			err = errors.New("it is damaged")
		}
	}()
	return pkcs12.DecodeChain(file, password)
}

type pbmac1Params struct {
	KDF, Mac pkix.AlgorithmIdentifier
}

// seal makes a file of pieces, with the check of its password that the library insists on.
func seal(password string, pieces []contentInfo) ([]byte, error) {
	content, err := asn1.Marshal(pieces)
	if err != nil {
		return nil, err
	}
	octets, err := asn1.Marshal(content)
	if err != nil {
		return nil, err
	}
	const size = sha256.Size
	salt := []byte("stategate")
	saltDER, err := asn1.Marshal(salt)
	if err != nil {
		return nil, err
	}
	kdf, err := asn1.Marshal(pbkdf2Params{
		Salt: asn1.RawValue{FullBytes: saltDER}, Iterations: 1, KeyLength: size, PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(pbmac1Params{
		KDF: pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		Mac: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(sha256.New, password, salt, 1, size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	file := pfx{Version: 3, AuthSafe: contentInfo{Type: oidData, Content: explicit(octets)}, Mac: macData{Salt: salt, Iterations: 1}}
	file.Mac.Mac.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidPBMAC1, Parameters: asn1.RawValue{FullBytes: params}}
	file.Mac.Mac.Digest = mac.Sum(nil)
	return asn1.Marshal(file)
}
