package credential

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// logged are Files whose log can be read.
func logged() (*Files, *bytes.Buffer) {
	var log bytes.Buffer
	return &Files{Log: slog.New(slog.NewTextHandler(&log, nil))}, &log
}

func TestKnown(t *testing.T) {
	tokens := NewTokens("first", "second")
	for given, want := range map[string]bool{
		"": false, "Bearer": false, "Bearer ": false, "Bearer third": false, "Basic first": false, "first": false, "Bearer first ": false, "Bearer  first": false,
		"bearer second": true, "Bearer first": true, "BEARER first": true, "Bearer firs": false, "Bearer first,second": false, "Bearer FIRST": false, "Bearer first\x00": false,
	} {
		if got := tokens.Known(given); got != want {
			t.Errorf("%q: %v", given, got)
		}
	}
	if (*Tokens)(nil).Known("Bearer ") || NewTokens().Known("Bearer ") {
		t.Error("none knows one")
	}
}

func TestBadTokens(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tokens")
	for text, want := range map[string]string{
		"": "holds no token", "\n \r\n": "holds no token", "one\nhunter 2": ":2: a token is", "hünter2": ":1: a token is", strings.Repeat("hunter2\n", 200_000): "larger than 1048576 bytes",
	} {
		write(t, name, text)
		_, err := (&Files{}).Tokens("--token-file", name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--token-file: ") || strings.Contains(err.Error(), "unter") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestTokensChange: they count when two looks have found the same, and what cannot be used leaves what there was.
func TestTokensChange(t *testing.T) {
	files, log := logged()
	name := filepath.Join(t.TempDir(), "tokens")
	write(t, name, "hunter-old\n")
	tokens, err := files.Tokens("--token-file", name)
	if err != nil {
		t.Fatal(err)
	}
	want := func(when string, old, young bool, troubles int) {
		t.Helper()
		if tokens.Known("Bearer hunter-old") != old || tokens.Known("Bearer hunter-young") != young || len(files.Troubles()) != troubles {
			t.Errorf("%s: old %v, young %v, %q", when, !old, !young, files.Troubles())
		}
	}
	files.look()
	want("unchanged", true, false, 0)
	write(t, name, "hunter-young\n")
	files.look()
	want("seen once", true, false, 0)
	write(t, name, "hunter-young\nhunter-old\n")
	files.look()
	want("changed again", true, false, 0)
	files.look()
	want("seen twice", true, true, 0)
	write(t, name, "hunter-young\n")
	files.look()
	files.look()
	want("the old one is gone", false, true, 0)
	lines := strings.Count(log.String(), "read again")

	for what, spoil := range map[string]func(){
		"empty":      func() { write(t, name, "") },
		"two words":  func() { write(t, name, "hunter 3") },
		"not there":  func() { _ = os.Remove(name) },
		"a folder":   func() { _ = os.Remove(name); _ = os.Mkdir(name, 0o700) },
		"a pipe":     func() { _ = os.Remove(name); _ = syscall.Mkfifo(name, 0o600) },
		"very large": func() { write(t, name, strings.Repeat("x", fileBytesMax+1)) },
	} {
		log.Reset()
		_ = os.Remove(name)
		spoil()
		for range 4 {
			files.look()
		}
		want(what, false, true, 1)
		if n := strings.Count(log.String(), "cannot be used"); n != 1 || strings.Contains(log.String(), "hunter") {
			t.Errorf("%s is said %d times:\n%s", what, n, log)
		}
		_ = os.Remove(name)
		write(t, name, "hunter-young\n")
		files.look()
		want(what+" is over", false, true, 0)
	}
	if lines != 2 {
		t.Errorf("it was read again %d times", lines)
	}
}

// TestPipe: what cannot be read twice is read once.
func TestPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("secret\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	name := "/dev/fd/" + big.NewInt(int64(r.Fd())).String()
	if _, err := os.Stat(name); err != nil {
		t.Skip("there is no /dev/fd here")
	}
	files := &Files{}
	tokens, err := files.Tokens("--token-file", name)
	if err != nil || !tokens.Known("Bearer secret") {
		t.Fatal(err)
	}
	files.look()
	if !tokens.Known("Bearer secret") || len(files.Troubles()) != 0 {
		t.Errorf("%q", files.Troubles())
	}
}

// TestRun: looking ends with its context.
func TestRun(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); (&Files{}).Run(ctx) }()
	end()
	<-ended
}

func makePair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// TestPairChanges: certificate and key change together; members know each other by the one before for a while.
func TestPairChanges(t *testing.T) {
	files, _ := logged()
	folder := t.TempDir()
	certName, keyName := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	oldCert, oldKey := makePair(t)
	cert, key := makePair(t)
	strange, _ := makePair(t)
	write(t, certName, oldCert)
	write(t, keyName, oldKey)
	pair, err := files.Pair("--tls", certName, keyName)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(text string) []byte { b, _ := pem.Decode([]byte(text)); return b.Bytes }
	serves := func() []byte {
		c, err := pair.Server().GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Certificate[0]
	}
	write(t, certName, cert) // and not yet its key
	files.look()
	files.look()
	if !bytes.Equal(serves(), leaf(oldCert)) || len(files.Troubles()) != 1 {
		t.Errorf("a certificate without its key counts, %q", files.Troubles())
	}
	write(t, keyName, key)
	files.look()
	if !bytes.Equal(serves(), leaf(oldCert)) {
		t.Error("one look is enough")
	}
	files.look()
	if !bytes.Equal(serves(), leaf(cert)) || len(files.Troubles()) != 0 {
		t.Errorf("the new one does not count, %q", files.Troubles())
	}
	now := time.Now()
	for what, c := range map[string]struct {
		leaf []byte
		at   time.Time
		want bool
	}{
		"the new one": {leaf(cert), now, true}, "the old one": {leaf(oldCert), now, true}, "another one": {leaf(strange), now, false},
		"the new one, later": {leaf(cert), now.Add(2 * formerFor), true}, "the old one, later": {leaf(oldCert), now.Add(2 * formerFor), false},
	} {
		if got := pair.isOurs(c.leaf, c.at); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
	if err := pair.Member().VerifyConnection(tls.ConnectionState{}); err == nil {
		t.Error("a member without a certificate is trusted")
	}
	if _, err := files.Pair("--a and --b", certName, certName); err == nil || !strings.HasPrefix(err.Error(), "--a and --b: ") {
		t.Errorf("a certificate for a key: %v", err)
	}
}

// TestKeys: what is too short to be a secret is no key; those that count are handed over when they change.
func TestKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	good := strings.Repeat("hunter2-", 4)
	var got []string
	set := func(keys ...string) { got = keys }
	for text, want := range map[string]string{
		"": "holds no key", good + "\nhunter2": ":2: a key has at least 32 characters", strings.Repeat(good+"\n", 5): "holds 5 keys: want at most 4", good + " " + good: ":1: a key is letters",
	} {
		write(t, name, text)
		if err := (&Files{}).Keys("--key-file", name, set); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || got != nil {
			t.Errorf("%q: %v, %q", text, err, got)
		}
	}
	files, log := logged()
	write(t, name, good+"\r\n")
	if err := files.Keys("--key-file", name, set); err != nil || len(got) != 1 || got[0] != good {
		t.Errorf("%v, %q", err, got)
	}
	write(t, name, good+"x\n\n"+good+"\n")
	files.look()
	files.look()
	if len(got) != 2 || got[0] != good+"x" || got[1] != good || strings.Contains(log.String(), "hunter2") {
		t.Errorf("%q, %s", got, log)
	}
}
