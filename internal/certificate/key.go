package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/emmansun/gmsm/pkcs"
)

// pemKey reads the first private key of a text. What else stands there, certificates or the parameters of a curve, is passed over.
func pemKey(text, password []byte) (any, error) {
	if len(text) > bytesMax {
		return nil, errTooLarge
	}
	var found string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			found = block.Type
			continue
		}
		der := block.Bytes
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			var err error
			if der, err = openOld(block, password); err != nil {
				return nil, err
			}
		}
		switch block.Type {
		case "PRIVATE KEY":
			return parsePKCS8(der)
		case "ENCRYPTED PRIVATE KEY":
			return openPKCS8(der, password)
		case "RSA PRIVATE KEY":
			return judged(x509.ParsePKCS1PrivateKey(der))
		case "EC PRIVATE KEY":
			return judged(x509.ParseECPrivateKey(der))
		}
		return nil, fmt.Errorf("a %s is not supported: want PKCS#8, which openssl pkcs8 -topk8 makes", printable(block.Type))
	}
	return nil, fmt.Errorf("holds no PEM private key (-----BEGIN PRIVATE KEY-----)%s", instead(text, found))
}

func judged[T any](key T, err error) (any, error) {
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	return key, nil
}

func parsePKCS8(der []byte) (any, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("it is damaged, or of a kind that is not supported (want RSA, ECDSA or Ed25519): %w", err)
	}
	return key, nil
}

// openOld decrypts what OpenSSL before 1.0 wrote. It has no check of the password, so a key that parses is the proof.
func openOld(block *pem.Block, password []byte) ([]byte, error) {
	if len(password) == 0 {
		return nil, ErrNoPassword
	}
	//lint:ignore SA1019 the form is insecure, as its deprecation says; those who have such a key are not made safer by not starting
	der, err := x509.DecryptPEMBlock(block, password)
	switch {
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, ErrPassword
	case err != nil:
		return nil, fmt.Errorf("decrypt: %s; openssl pkcs8 -topk8 turns it into PKCS#8", strings.TrimPrefix(err.Error(), "x509: "))
	}
	if _, err := asn1.Unmarshal(der, new(asn1.RawValue)); err != nil {
		return nil, ErrPassword // about one wrong password in 256 leaves a padding that seems right
	}
	return der, nil
}

// openPKCS8 decrypts an EncryptedPrivateKeyInfo: PBES2, PBES1, and the schemes of PKCS#12, which OpenSSL calls -v1 too.
func openPKCS8(der, password []byte) (any, error) {
	var box encrypted
	if rest, err := asn1.Unmarshal(der, &box); err != nil || len(rest) > 0 {
		return nil, errors.New("it is damaged: not the form of an encrypted PKCS#8 key")
	}
	if len(password) == 0 {
		return nil, ErrNoPassword
	}
	work, err := workOf(box.Algorithm)
	if err != nil {
		return nil, err
	}
	if err := work.check(len(box.Data)); err != nil {
		return nil, err
	}
	if work.scheme == schemePKCS12 {
		return openShrouded(der, string(password))
	}
	plain, err := decrypt(box, work.scheme, password)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		if !isPKCS8(plain) {
			return nil, ErrPassword
		}
		return parsePKCS8(plain)
	}
	return key, nil
}

// isPKCS8 reports whether something is a key of some kind. What a wrong password makes may look like ASN.1 by chance, but not so.
func isPKCS8(plain []byte) bool {
	var key struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	_, err := asn1.Unmarshal(plain, &key)
	return err == nil
}

func decrypt(box encrypted, s scheme, password []byte) (plain []byte, err error) {
	// The library trusts lengths that stand in the file, of the initial vector among others.
	defer func() {
		if recover() != nil {
			plain, err = nil, errors.New("it is damaged: the parameters of its encryption do not fit each other")
		}
	}()
	if s == schemePBES1 {
		plain, _, err = (&pkcs.PBES1{Algorithm: box.Algorithm}).Decrypt(password, box.Data)
	} else {
		var params pkcs.PBES2Params
		if _, err := asn1.Unmarshal(box.Algorithm.Parameters.FullBytes, &params); err != nil {
			return nil, errors.New("it is damaged: the parameters of PBES2 cannot be read")
		}
		plain, _, err = params.Decrypt(password, box.Data)
	}
	if errors.Is(err, pkcs.ErrPBEDecryption) {
		return nil, ErrPassword
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return plain, nil
}
