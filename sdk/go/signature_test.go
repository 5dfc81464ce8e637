package stategate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// signatureVector is a row of signature.json.
type signatureVector struct {
	Name        string
	Keys        []string
	ContentType string `json:"content_type"`
	Hex         string
	Now         int64
	Header      string
	Valid       bool
}

func signatureVectors(t testing.TB) (all []signatureVector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "protocol", "signature.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) < 20 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	return all
}

func TestSignatureVectors(t *testing.T) {
	for _, v := range signatureVectors(t) {
		body, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSignatures(v.Keys)
		if err != nil {
			t.Fatal(err)
		}
		err = s.check([]string{v.Header}, v.ContentType, body, time.Unix(v.Now, 0))
		if (err == nil) != v.Valid {
			t.Errorf("%s: %v", v.Name, err)
		}
		if err != nil && strings.Contains(err.Error(), v.Keys[0]) {
			t.Errorf("%s: %v shows a key", v.Name, err)
		}
	}
}

const signingKey = "a-key-of-the-gateway-0123456789abcdef"

// sign is what a gateway writes.
func sign(key, media string, body []byte, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "v1\n%d\n%s\n%s", at.Unix(), media, body)
	return fmt.Sprintf("t=%d, v1=%x", at.Unix(), mac.Sum(nil))
}

// TestOnlySignedRequestsRun: of others no user code runs, be they ordinary or bulk, and the refusal says so to the gateway.
func TestOnlySignedRequestsRun(t *testing.T) {
	var ran atomic.Int32
	h, err := NewHandler(Config{SigningKeys: []string{signingKey}, Functions: []Function{{Type: "a.b/st", Call: func(context.Context, *Invocation) error { ran.Add(1); return nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	alone := encoded(callOf("a.b/st", "k"))
	now := time.Now()
	for media, body := range map[string][]byte{contentType: alone, bulkContentType: bulkRequest("a", "b")} {
		for name, c := range map[string]struct {
			headers []string
			sent    string // the content type, as it was written
			status  int
		}{
			"signed":                      {[]string{sign(signingKey, media, body, now)}, media, 200},
			"signed, with a parameter":    {[]string{sign(signingKey, media, body, now)}, media + "; charset=x", 200},
			"with two times":              {[]string{"t=1", sign(signingKey, media, body, now)}, media, 401},
			"not signed":                  {nil, media, 401},
			"empty":                       {[]string{""}, media, 401},
			"with another key":            {[]string{sign("somebody-elses-key-0123456789abcdefg", media, body, now)}, media, 401},
			"of another body":             {[]string{sign(signingKey, media, append([]byte("x"), body...), now)}, media, 401},
			"of the other kind":           {[]string{sign(signingKey, "other/kind", body, now)}, media, 401},
			"an hour ago":                 {[]string{sign(signingKey, media, body, now.Add(-time.Hour))}, media, 401},
			"in an hour":                  {[]string{sign(signingKey, media, body, now.Add(time.Hour))}, media, 401},
			"huge":                        {[]string{strings.Repeat("v1=00,", 100_000)}, media, 401},
			"two, of which one is signed": {[]string{"v1=" + strings.Repeat("00", 32), sign(signingKey, media, body, now)}, media, 200},
		} {
			ran.Store(0)
			r := httptest.NewRequest(http.MethodPost, "/statefun", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", c.sent)
			for _, line := range c.headers {
				r.Header.Add("Stategate-Signature", line)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			refused := w.Code == http.StatusUnauthorized
			if w.Code != c.status || refused != (ran.Load() == 0) || refused != (w.Header().Get("WWW-Authenticate") == "Stategate-Signature") || refused && w.Header().Get(bulkHeader) != "" {
				t.Errorf("%s, %s: got %d, %d ran, %v %s", media, name, w.Code, ran.Load(), w.Header(), w.Body)
			}
		}
	}
	if err := h.CheckSignature(sign(signingKey, contentType, alone, now), alone); err != nil {
		t.Errorf("a front is told %v", err)
	}
	if err := h.CheckSignature("", alone); err == nil {
		t.Error("a front is not told that the request is not signed")
	}
	if _, err := NewHandler(Config{SigningKeys: []string{signingKey, "hunter2"}}); err == nil || !strings.Contains(err.Error(), "SigningKeys[1]") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a short key: %v", err)
	}
}

// FuzzSignature: no header without the key passes, whatever it is.
func FuzzSignature(f *testing.F) {
	for _, v := range signatureVectors(f) {
		f.Add(v.Header)
	}
	s, err := newSignatures([]string{"a key that no vector has 0123456789abcdef"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if s.check([]string{header}, contentType, []byte(header), time.Unix(1764187979, 0)) == nil {
			t.Errorf("%q passes", header)
		}
	})
}

// BenchmarkCheckSignature is what a signature costs a function beside the call.
func BenchmarkCheckSignature(b *testing.B) {
	s, err := newSignatures([]string{signingKey})
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{200, 4 << 10, 512 << 10} {
		body := make([]byte, size)
		now := time.Now()
		header := []string{sign(signingKey, contentType, body, now)}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.check(header, contentType, body, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
