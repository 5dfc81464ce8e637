package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"
)

// Whatever stands in a file, reading it ends, soon, with a pair that is whole or with an error that tells no secret.
func FuzzFile(f *testing.F) {
	entries, err := os.ReadDir(made)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		password := "secretsecret"
		if strings.HasPrefix(e.Name(), "ec.") || strings.HasPrefix(e.Name(), "rsa.") || strings.HasSuffix(e.Name(), ".p12") {
			password = "secret"
		}
		f.Add(files(f, made)(e.Name()), password)
	}
	chain := files(f, made)("ec.pem")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		start := time.Now()
		for _, read := range []func() (tls.Certificate, error){
			func() (tls.Certificate, error) { return Pair(chain, data, []byte(password)) },
			func() (tls.Certificate, error) { return Pair(data, data, []byte(password)) },
			func() (tls.Certificate, error) { return PKCS12Pair(data, password) },
			func() (tls.Certificate, error) { return JKSPair(data, password, "") },
		} {
			pair, err := read()
			if err == nil && (pair.PrivateKey == nil || pair.Leaf == nil || len(pair.Certificate) == 0) {
				t.Errorf("half a pair: %v", pair)
			}
			judgeError(t, err, password)
		}
		for _, read := range []func() (*x509.CertPool, error){
			func() (*x509.CertPool, error) { return Pool(data) },
			func() (*x509.CertPool, error) { return PKCS12Pool(data, password) },
			func() (*x509.CertPool, error) { return JKSPool(data, password) },
		} {
			pool, err := read()
			if (pool == nil) != (err != nil) {
				t.Errorf("got %v and %v", pool, err)
			}
			judgeError(t, err, password)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func judgeError(t *testing.T, err error, password string) {
	if err == nil {
		return
	}
	if len(err.Error()) > 4<<10 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if len(password) > 12 && strings.Contains(err.Error(), password) {
		t.Errorf("the error tells the password: %v", err)
	}
}
