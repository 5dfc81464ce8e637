package certificate

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pairCase is a file with a key, which stands beside the certificates that belong to it.
type pairCase struct {
	name     string
	read     func(file func(string) []byte, password string) (tls.Certificate, error)
	password string // the right one; "": the key is plain
	subject  string // of the certificate
	chain    int    // how many certificates
	refused  string // the text, if the file is of a kind that is not supported
}

func pemPair(chain, key string) func(func(string) []byte, string) (tls.Certificate, error) {
	return func(file func(string) []byte, password string) (tls.Certificate, error) {
		return Pair(file(chain), file(key), []byte(password))
	}
}

func p12Pair(name string) func(func(string) []byte, string) (tls.Certificate, error) {
	return func(file func(string) []byte, password string) (tls.Certificate, error) {
		return PKCS12Pair(file(name), password)
	}
}

func jksPair(name string) func(func(string) []byte, string) (tls.Certificate, error) {
	return func(file func(string) []byte, password string) (tls.Certificate, error) {
		return JKSPair(file(name), password, "")
	}
}

func pairCases() []pairCase {
	all := []pairCase{
		{"PKCS#8, ECDSA", pemPair("ec.pem", "ec.pkcs8.key"), "", "ec", 1, ""},
		{"PKCS#8, RSA", pemPair("rsa.pem", "rsa.pkcs8.key"), "", "rsa", 1, ""},
		{"PKCS#8, Ed25519", pemPair("ed25519.pem", "ed25519.pkcs8.key"), "", "ed25519", 1, ""},
		{"PKCS#1", pemPair("rsa.pem", "rsa.pkcs1.key"), "", "rsa", 1, ""},
		{"SEC1", pemPair("ec.pem", "ec.sec1.key"), "", "ec", 1, ""},
		{"SEC1 behind its parameters", pemPair("ec.pem", "ec.parameters.key"), "", "ec", 1, ""},
		{"chain", pemPair("ec.chain.pem", "ec.pkcs8.key"), "", "ec", 2, ""},
		{"all in one file", pemPair("ec.all.pem", "ec.all.pem"), "", "ec", 2, ""},
		{"RSA in PBES2", pemPair("rsa.pem", "rsa.pbes2.key"), "secret", "rsa", 1, ""},
		{"RSA in PBE-SHA1-3DES", pemPair("rsa.pem", "rsa.PBE-SHA1-3DES.key"), "secret", "rsa", 1, ""},
		{"old PEM, AES-256", pemPair("rsa.pem", "rsa.old-aes256.key"), "secret", "rsa", 1, ""},
		{"old PEM, 3DES", pemPair("rsa.pem", "rsa.old-des3.key"), "secret", "rsa", 1, ""},
		{"old PEM, AES-128, SEC1", pemPair("ec.pem", "ec.old-aes128.key"), "secret", "ec", 1, ""},
		{"password of more than ASCII", pemPair("ec.pem", "ec.umlaut.key"), "pässwörd", "ec", 1, ""},
		{"PKCS#12 of openssl", p12Pair("pair.p12"), "secret", "ec", 2, ""},
		{"PKCS#12 of old openssl", p12Pair("pair-old.p12"), "secret", "rsa", 2, ""},
		{"PKCS#12 in 3DES", p12Pair("pair-des.p12"), "secret", "ec", 1, ""},
		{"PKCS#12 with certificates in the clear", p12Pair("pair-open.p12"), "secret", "ec", 1, ""},
		{"PKCS#12 all in the clear", p12Pair("pair-plain.p12"), "", "ec", 1, ""},
		{"PKCS#12 of keytool, several entries", p12Pair("keys.pkcs12"), "secretsecret", "ec", 2, ""},
		{"JKS, several entries", jksPair("keys.jks"), "secretsecret", "ec", 2, ""},
	}
	for _, scheme := range []string{"PBE-MD5-DES", "PBE-SHA1-DES", "PBE-SHA1-RC2-64", "PBE-MD5-RC2-64", "PBE-SHA1-3DES", "PBE-SHA1-RC2-128",
		"PBE-SHA1-RC2-40", "pbes2-aes-128-cbc", "pbes2-aes-192-cbc", "pbes2-aes-256-cbc", "pbes2-des3", "pbes2-hmacWithSHA1",
		"pbes2-hmacWithSHA224", "pbes2-hmacWithSHA384", "pbes2-hmacWithSHA512", "pbes2-scrypt"} {
		all = append(all, pairCase{scheme, pemPair("ec.pem", "ec."+scheme+".key"), "secret", "ec", 1, ""})
	}
	for _, scheme := range []string{"PBE-SHA1-RC4-128", "PBE-SHA1-2DES"} {
		all = append(all, pairCase{scheme, pemPair("ec.pem", "ec."+scheme+".key"), "secret", "ec", 1, "not supported"})
	}
	return all
}

func files(t testing.TB, dir string) func(string) []byte {
	return func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

// made is the folder with the files that are checked in.
const made = "testdata/made"

// toolsFolder holds the same files, made now by this machine's openssl and keytool.
func toolsFolder(t *testing.T) string {
	for _, tool := range []string{"openssl", "keytool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here; the files that are checked in stand for it", tool)
		}
	}
	if testing.Short() {
		t.Skip("-short: starts keytool some fifteen times")
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "testdata/make.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("make.sh: %v\n%s", err, out)
	}
	return dir
}

func TestFiles(t *testing.T) { testFolder(t, made) }

// Of the machine's own tools, so that what newer ones write is seen when it comes.
func TestFilesOfThisMachinesTools(t *testing.T) { testFolder(t, toolsFolder(t)) }

func testFolder(t *testing.T, dir string) {
	file := files(t, dir)
	roots, err := Pool(file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range pairCases() {
		t.Run(tc.name, func(t *testing.T) { testPair(t, file, tc, roots) })
	}
	for _, tc := range poolCases() {
		t.Run("pool/"+tc.name, func(t *testing.T) { testPool(t, file, tc) })
	}
}

func testPair(t *testing.T, file func(string) []byte, tc pairCase, roots *x509.CertPool) {
	pair, err := tc.read(file, tc.password)
	if tc.refused != "" {
		if err == nil || !strings.Contains(err.Error(), tc.refused) || errors.Is(err, ErrPassword) {
			t.Fatalf("got %v, want %q", err, tc.refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := pair.Leaf.Subject.CommonName; got != tc.subject || len(pair.Certificate) != tc.chain {
		t.Errorf("got %s with %d certificates, want %s with %d", got, len(pair.Certificate), tc.subject, tc.chain)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	if !belongs(pair.PrivateKey.(crypto.Signer), pair.Leaf) {
		t.Error("the key is another's")
	}
	if tc.password == "" {
		return
	}
	for _, wrong := range []string{tc.password + "\n", "wrong", ""} {
		_, err := tc.read(file, wrong)
		if err == nil {
			t.Fatalf("password %q opens it", wrong)
		}
		if wrong != "" && !errors.Is(err, ErrPassword) {
			t.Errorf("password %q: got %v, want %v", wrong, err, ErrPassword)
		}
		if !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), tc.password) {
			t.Errorf("password %q: got %v", wrong, err)
		}
	}
}

// poolCase is a file of certificates to trust.
type poolCase struct {
	name     string
	read     func(file func(string) []byte, password string) (*x509.CertPool, error)
	password string
	trusts   string // certificates, by their file
	not      string
}

func p12Pool(name string) func(func(string) []byte, string) (*x509.CertPool, error) {
	return func(file func(string) []byte, password string) (*x509.CertPool, error) {
		return PKCS12Pool(file(name), password)
	}
}

func jksPool(name string) func(func(string) []byte, string) (*x509.CertPool, error) {
	return func(file func(string) []byte, password string) (*x509.CertPool, error) {
		return JKSPool(file(name), password)
	}
}

func poolCases() []poolCase {
	pemPool := func(name string) func(func(string) []byte, string) (*x509.CertPool, error) {
		return func(file func(string) []byte, _ string) (*x509.CertPool, error) { return Pool(file(name)) }
	}
	const one, both = "ca.pem", "ca.pem other.pem"
	return []poolCase{
		{"PEM of one", pemPool("ca.pem"), "", one, "other.pem"},
		{"PEM of two", pemPool("both.pem"), "", both, ""},
		{"PEM with a key", pemPool("ec.all.pem"), "", one, "other.pem"},
		{"PKCS#12 of keytool", p12Pool("trust.pkcs12"), "secretsecret", both, ""},
		{"PKCS#12 of keytool, one", p12Pool("one.pkcs12"), "secretsecret", one, "other.pem"},
		{"PKCS#12 of old keytool", p12Pool("trust-old.pkcs12"), "secretsecret", one, "other.pem"},
		{"PKCS#12 of openssl", p12Pool("trust-openssl.p12"), "secret", both, ""},
		{"PKCS#12 of openssl, one", p12Pool("one-openssl.p12"), "secret", one, "other.pem"},
		{"PKCS#12 with keys", p12Pool("keys.pkcs12"), "secretsecret", both, ""},
		{"PKCS#12 with a key of old openssl", p12Pool("pair-old.p12"), "secret", one, "other.pem"},
		{"JKS", jksPool("trust.jks"), "secretsecret", both, ""},
		{"JKS of one", jksPool("one.jks"), "secretsecret", one, "other.pem"},
		{"JKS with keys", jksPool("keys.jks"), "secretsecret", "other.pem", "ca.pem"},
	}
}

func testPool(t *testing.T, file func(string) []byte, tc poolCase) {
	pool, err := tc.read(file, tc.password)
	if err != nil {
		t.Fatal(err)
	}
	trusted := func(name string) bool {
		all, err := pemCertificates(file(name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = all[0].Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err == nil
	}
	for name := range strings.FieldsSeq(tc.trusts) {
		if !trusted(name) {
			t.Errorf("%s is not trusted", name)
		}
	}
	if tc.not != "" && trusted(tc.not) {
		t.Errorf("%s is trusted", tc.not)
	}
	if tc.password == "" {
		return
	}
	if _, err := tc.read(file, "wrong"); !errors.Is(err, ErrPassword) {
		t.Errorf("got %v, want %v", err, ErrPassword)
	}
}

// A handshake with each kind of key, for a pair that merely looks right is of no use.
func TestPairSigns(t *testing.T) {
	file := files(t, made)
	roots, err := Pool(file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range pairCases() {
		if tc.refused != "" {
			continue
		}
		pair, err := tc.read(file, tc.password)
		if err != nil {
			t.Fatal(err)
		}
		near, far := connected(t)
		server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots})
		client := tls.Client(near, &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true})
		done := make(chan error, 1)
		go func() { done <- server.Handshake() }()
		if err := client.Handshake(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestJKSKeyPassword(t *testing.T) {
	data := files(t, made)("keypass.jks")
	if _, err := JKSPair(data, "secretsecret", "otherother"); err != nil {
		t.Error(err)
	}
	if _, err := JKSPair(data, "secretsecret", ""); !errors.Is(err, ErrPassword) || !strings.Contains(err.Error(), "private key") {
		t.Errorf("got %v: the key has a password of its own", err)
	}
	if _, err := JKSPair(data, "otherother", "otherother"); !errors.Is(err, ErrPassword) || strings.Contains(err.Error(), "private key") {
		t.Errorf("got %v: the store has another password", err)
	}
}

// Java reads a trust store without its password, and then nobody sees that it was changed.
func TestJKSPoolWithoutPassword(t *testing.T) {
	data := files(t, made)("trust.jks")
	if _, err := JKSPool(data, ""); err != nil {
		t.Error(err)
	}
	data[len(data)-1]++
	if _, err := JKSPool(data, "secretsecret"); !errors.Is(err, ErrPassword) {
		t.Errorf("a changed file: got %v", err)
	}
}
