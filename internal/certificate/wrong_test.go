package certificate

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
)

func connected(t *testing.T) (near, far net.Conn) {
	near, far = net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// What is wrong is said, with what to do about it.
func TestWrongFiles(t *testing.T) {
	file := files(t, made)
	pool := func(name string) error { _, err := Pool(file(name)); return err }
	pair := func(chain, key []byte) error { _, err := Pair(chain, key, nil); return err }
	p12 := func(data []byte) error { _, err := PKCS12Pair(data, "secret"); return err }
	jks := func(data []byte) error { _, err := JKSPair(data, "secretsecret", ""); return err }
	ec, key := file("ec.pem"), file("ec.pkcs8.key")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"pool of a key":             {pool("ec.pkcs8.key"), `no PEM certificate (-----BEGIN CERTIFICATE-----) but a "PRIVATE KEY"`},
		"pool of PKCS#12":           {pool("trust.pkcs12"), "looks like DER or PKCS#12"},
		"pool of JKS":               {pool("trust.jks"), "is a key store of Java"},
		"pair without certificate":  {pair(nil, key), "it is empty"},
		"pair without key":          {pair(ec, ec), `private key: holds no PEM private key (-----BEGIN PRIVATE KEY-----) but a "CERTIFICATE"`},
		"pair with another key":     {pair(ec, file("rsa.pkcs8.key")), `does not match the certificate of "CN=ec"`},
		"chain in the wrong order":  {pair(file("ec.reversed.pem"), key), "belongs to certificate number 2"},
		"key cut short":             {pair(ec, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30, 0x03}})), "damaged"},
		"certificate cut short":     {pair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0x03}}), key), "certificate number 1 is damaged"},
		"key of DSA":                {pair(ec, pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: []byte{0x30, 0x00}})), "openssl pkcs8 -topk8"},
		"encrypted key":             {pair(ec, file("ec.pbes2-aes-256-cbc.key")), "its password must be given"},
		"old encrypted key":         {pair(ec, file("ec.old-aes128.key")), "its password must be given"},
		"pair from a trust store":   {p12(file("trust-openssl.p12")), "holds 2 certificates and no private key"},
		"PKCS#12 that is PEM":       {p12(ec), "it is PEM"},
		"PKCS#12 that is JKS":       {p12(file("keys.jks")), "type JKS"},
		"PKCS#12 that is JCEKS":     {p12(file("trust.jceks")), "type JCEKS"},
		"PKCS#12 that is empty":     {p12(nil), "it is empty"},
		"PKCS#12 in BER":            {p12([]byte{0x30, 0x80, 0x02, 0x01, 0x03, 0, 0}), "BER"},
		"PKCS#12 cut short":         {p12(file("pair.p12")[:500]), "no PKCS#12 file"},
		"JKS that is PKCS#12":       {jks(file("keys.pkcs12")), "it is PKCS#12"},
		"JKS that is PEM":           {jks(ec), "it is PEM"},
		"JKS that is JCEKS":         {jks(file("trust.jceks")), "keytool -importkeystore"},
		"JKS cut short":             {jks(file("keys.jks")[:700]), "damaged"},
		"pair from a JKS of trust":  {jks(file("trust.jks")), "holds 2 certificates and no private key"},
		"more than any file":        {pair(make([]byte, bytesMax+1), key), "more than"},
		"JKS of too many":           {jks(append(append([]byte{}, jksMagic...), 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff)), "damaged"},
		"password beyond PKCS#12":   {second(PKCS12Pair(file("pair.p12"), "\U0001F511")), "such characters"},
		"password beyond Latin-1":   {second(JKSPair(file("keys.jks"), "пароль", "")), "Latin-1"},
		"MAC-less but encrypted":    {p12(without(t, file("pair.p12"))), "without a check of its password"},
		"plain, with any password":  {p12(file("pair-plain.p12")), ""},
		"trust store is no pair":    {second(JKSPair(file("one.jks"), "secretsecret", "")), "it is a trust store"},
		"a key that cannot sign":    {pair(ec, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: x25519})), "cannot sign"},
		"JKS with a bad key length": {jks(shortKey(t, file("keys.jks"))), "not the form of a key"},
		"JKS with a long chain":     {jks(longChain()), "a chain of 101 certificates"},
		"key that is half a block":  {second(Pair(ec, halfBlock(t), []byte("secret"))), "cut short"},
	} {
		switch {
		case tc.want == "" && tc.err != nil:
			t.Errorf("%s: %v", name, tc.err)
		case tc.want != "" && (tc.err == nil || !strings.Contains(tc.err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", name, tc.err, tc.want)
		}
	}
}

// x25519 is a key in PKCS#8 with which one can agree on secrets only.
var x25519 = append([]byte{0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20}, bytes.Repeat([]byte{7}, 32)...)

func second[T any](_ T, err error) error { return err }

// without takes the check of the password out of a PKCS#12 file.
func without(t *testing.T, data []byte) []byte {
	var file pfx
	if _, err := asn1.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	out, err := asn1.Marshal(struct {
		Version  int
		AuthSafe contentInfo
	}{3, contentInfo{Type: file.AuthSafe.Type, Content: explicit(file.AuthSafe.Content.Bytes)}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shortKey makes an encrypted key of a JKS shorter than its salt.
func shortKey(t *testing.T, data []byte) []byte {
	entries, err := readJKS(data)
	if err != nil {
		t.Fatal(err)
	}
	key, err := asn1.Marshal(encrypted{Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 42, 2, 17, 1, 1}}, Data: []byte("short")})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.isKey {
			var from, to []byte
			from = append(binary.BigEndian.AppendUint32(from, uint32(len(e.key))), e.key...)
			to = append(binary.BigEndian.AppendUint32(to, uint32(len(key))), key...)
			data = bytes.Replace(data, from, to, 1)
		}
	}
	return signed(data[:len(data)-jksDigestBytes], "secretsecret")
}

// signed puts the check of its password behind a JKS.
func signed(data []byte, password string) []byte {
	h := sha1.New()
	for _, b := range []byte(password) {
		h.Write([]byte{0, b})
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(data)
	return h.Sum(bytes.Clone(data))
}

// longChain is a JKS of a key with certificates of a kind that nobody knows.
func longChain() []byte {
	data := append(append([]byte{}, jksMagic...), 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, jksKeyTag, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	data = append(data, 0, 0, 0, chainMax+1)
	return signed(append(data, make([]byte, (chainMax+1)*6)...), "secretsecret")
}

// halfBlock is an encrypted key of which the last bytes are missing.
func halfBlock(t *testing.T) []byte {
	block, _ := pem.Decode(files(t, made)("ec.PBE-MD5-DES.key"))
	var box encrypted
	if _, err := asn1.Unmarshal(block.Bytes, &box); err != nil {
		t.Fatal(err)
	}
	box.Data = box.Data[:len(box.Data)-4]
	block.Bytes = full(t, box).FullBytes
	return pem.EncodeToMemory(block)
}

// Of thousands of authorities of one name only so many are tried.
func TestSearchForAnIssuerIsBounded(t *testing.T) {
	issue := func(name string, parent *x509.Certificate, by ed25519.PrivateKey) (*x509.Certificate, ed25519.PrivateKey) {
		public, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		if parent == nil {
			parent, by = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	root, key := issue("authority", nil, nil)
	leaf, _ := issue("leaf", root, key)
	other, _ := issue("authority", nil, nil)
	for others, want := range map[int]int{signaturesMax - 1: 2, signaturesMax: 1} {
		all := append(slices.Repeat([]*x509.Certificate{other}, others), root)
		if got := len(chainFrom(leaf, all)); got != want {
			t.Errorf("behind %d others: a chain of %d, want %d", others, got, want)
		}
	}
}

// A file that asks for billions of rounds is refused before the first.
func TestHostileWork(t *testing.T) {
	const many = 1<<31 - 1
	ec := files(t, made)("ec.pem")
	octets := func(b string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagOctetString, Bytes: []byte(b)} }
	pbkdf2 := func(n int) pkix.AlgorithmIdentifier {
		return pbes2(t, oidPBKDF2, pbkdf2Params{Salt: octets("saltsalt"), Iterations: n})
	}
	for name, a := range map[string]pkix.AlgorithmIdentifier{
		"PBKDF2":           pbkdf2(many),
		"PBKDF2, none":     pbkdf2(0),
		"PBKDF2, negative": pbkdf2(-1),
		"PBES1":            {Algorithm: append(append(asn1.ObjectIdentifier{}, oidsPBES1...), 3), Parameters: full(t, pbeParams{[]byte("saltsalt"), many})},
		"PKCS#12":          {Algorithm: append(append(asn1.ObjectIdentifier{}, oidsPKCS12...), 3), Parameters: full(t, pbeParams{[]byte("saltsalt"), many})},
		"scrypt, N":        pbes2(t, oidScrypt, scryptParams{Salt: []byte("salt"), N: 1 << 30, R: 8, P: 1}),
		"scrypt, memory":   pbes2(t, oidScrypt, scryptParams{Salt: []byte("salt"), N: 1 << 18, R: 8, P: 1}),
		"scrypt, overflow": pbes2(t, oidScrypt, scryptParams{Salt: []byte("salt"), N: many, R: many, P: many}),
		"scrypt, p":        pbes2(t, oidScrypt, scryptParams{Salt: []byte("salt"), N: 1 << 14, R: 8, P: 1 << 16}),
		"scrypt, nothing":  pbes2(t, oidScrypt, scryptParams{Salt: []byte("salt")}),
	} {
		der, err := asn1.Marshal(encrypted{Algorithm: a, Data: make([]byte, 64)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Pair(ec, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), []byte("secret"))
		if err == nil || errors.Is(err, ErrPassword) || !strings.Contains(err.Error(), "want 1 to") && !strings.Contains(err.Error(), "more than is allowed") {
			t.Errorf("%s: got %v", name, err)
		}
		shrouded, err := dataOf(makeBag(oidShroudedBag, der))
		if err != nil {
			t.Fatal(err)
		}
		inner := encryptedData{}
		inner.Info.Type, inner.Info.Algorithm, inner.Info.Content = oidData, a, make([]byte, 64)
		for kind, piece := range map[string]contentInfo{
			"key":          shrouded,
			"certificates": {Type: oidEncryptedData, Content: explicit(full(t, inner).FullBytes)},
		} {
			file, err := seal("secret", []contentInfo{piece})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := PKCS12Pair(file, "secret"); err == nil || errors.Is(err, ErrPassword) {
				t.Errorf("%s, %s of PKCS#12: got %v", name, kind, err)
			}
		}
	}
}

// A key inside of an encrypted part, whose rounds cannot be seen from outside, is never opened.
func TestHostileWorkWithin(t *testing.T) {
	const many = 1<<31 - 1
	hidden := full(t, encrypted{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: append(append(asn1.ObjectIdentifier{}, oidsPKCS12...), 3), Parameters: full(t, pbeParams{[]byte("saltsalt"), many})},
		Data:      make([]byte, 64),
	})
	bags := full(t, []bag{makeBag(oidShroudedBag, hidden.FullBytes)})
	// The part itself is in the clear: what the library is given is the same.
	octets := full(t, bags.FullBytes)
	if all, err := openCertificates(contentInfo{Type: oidData, Content: explicit(octets.FullBytes)}, "secret"); err == nil || !strings.Contains(err.Error(), "one key") {
		t.Errorf("got %d certificates, %v", len(all), err)
	}
}

func TestHostileMac(t *testing.T) {
	piece, err := dataOf()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal("secret", []contentInfo{piece})
	if err != nil {
		t.Fatal(err)
	}
	var file pfx
	if _, err := asn1.Unmarshal(sealed, &file); err != nil {
		t.Fatal(err)
	}
	file.Mac.Iterations = 1<<31 - 1
	file.Mac.Mac.Algorithm = pkix.AlgorithmIdentifier{Algorithm: macNames[1]}
	file.AuthSafe.Content = explicit(file.AuthSafe.Content.Bytes)
	if _, err := PKCS12Pool(full(t, file).FullBytes, "secret"); err == nil || !strings.Contains(err.Error(), "want 1 to") {
		t.Errorf("got %v", err)
	}
	kdf := full(t, pbkdf2Params{Salt: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: []byte("salt")}, Iterations: 1<<31 - 1, KeyLength: 32})
	file.Mac.Mac.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidPBMAC1, Parameters: full(t, pbmac1Params{
		KDF: pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: kdf}, Mac: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})}
	if _, err := PKCS12Pool(full(t, file).FullBytes, "secret"); err == nil || !strings.Contains(err.Error(), "want 1 to") {
		t.Errorf("got %v", err)
	}
	file.Mac.Mac.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 3}}
	if _, err := PKCS12Pool(full(t, file).FullBytes, "secret"); err == nil || !strings.Contains(err.Error(), "not supported (1.2.3)") {
		t.Errorf("got %v", err)
	}
}

func full(t *testing.T, v any) asn1.RawValue {
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: der}
}

func pbes2(t *testing.T, kdf asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
	aes := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: full(t, make([]byte, 16))}
	return pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: full(t, pbes2Params{
		KDF: pkix.AlgorithmIdentifier{Algorithm: kdf, Parameters: full(t, params)}, Encryption: aes,
	})}
}
