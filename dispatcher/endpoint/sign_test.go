package endpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSignatureVectors: what is signed here is what the vectors of all languages have.
func TestSignatureVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "protocol", "signature.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name        string
		SignsWith   []string `json:"signs_with"`
		ContentType string   `json:"content_type"`
		Hex         string
		Now         int64
		Header      string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	written := 0
	for _, v := range vectors {
		if v.SignsWith == nil {
			continue // for readers only
		}
		written++
		body, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		signer := NewSigner("another key")
		signer.Set(v.SignsWith...)
		for range 2 { // the second with hashes that were used before
			if got := signer.header(v.ContentType, body, time.Unix(v.Now, 999)); got != v.Header {
				t.Errorf("%s: got %q, want %q", v.Name, got, v.Header)
			}
		}
	}
	if written < 5 {
		t.Errorf("only %d vectors say how they are signed", written)
	}
}

// signedBy reports whether a request is signed by a key, as the documents say.
func signedBy(key string, r *http.Request, body []byte) bool {
	header := r.Header.Get("Stategate-Signature")
	seconds, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "v1\n%s\n%s\n", seconds, r.Header.Get("Content-Type"))
	mac.Write(body)
	return strings.Contains(header, fmt.Sprintf("v1=%x", mac.Sum(nil)))
}

// TestSigned: ordinary and bulk requests are signed, with the keys of the moment; without a signer none is.
func TestSigned(t *testing.T) {
	seen := make(chan [2]bool, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- [2]bool{signedBy("first", r, body), signedBy("second", r, body)}
		if _, there := r.Header["Stategate-Signature"]; !there {
			<-seen
			seen <- [2]bool{}
		}
		if r.Header.Get("Content-Type") == bulkContentType {
			startBulk(w)
			w.Write(replied(1, ""))
			return
		}
		w.Header().Set("Content-Type", contentType)
	}
	bothVersions(t, handler, func(t *testing.T, c *Client) {
		want := func(first, second bool) {
			t.Helper()
			if _, _, fail := c.Call(within(t, 10*time.Second), []byte("one call")); fail != nil {
				t.Fatal(fail.Text)
			}
			if got := <-seen; got != [2]bool{first, second} {
				t.Errorf("a call is signed %v, want %v, %v", got, first, second)
			}
			if _, _, fail := c.Call(within(t, 10*time.Second), make([]byte, 100_000)); fail != nil {
				t.Fatal(fail.Text)
			}
			if got := <-seen; got != [2]bool{first, second} {
				t.Errorf("a large call is signed %v, want %v, %v", got, first, second)
			}
			g := gather(t)
			wantRest(t, c.Bulk(within(t, 10*time.Second), []byte("many calls"), 1, g.sent, g.told), 0, "")
			if got := <-seen; got != [2]bool{first, second} {
				t.Errorf("a bulk is signed %v, want %v, %v", got, first, second)
			}
		}
		want(false, false)
		signer := NewSigner("first")
		c.pool.SignWith(signer)
		want(true, false)
		signer.Set("second", "first")
		want(true, true)
		signer.Set("second")
		want(false, true)
		if len(c.base.request.Header["Stategate-Signature"])+len(c.bulk.request.Header["Stategate-Signature"]) > 0 {
			t.Error("a signature is kept for the next request")
		}
	})
}

// TestRefusedSignature: a function that does not take the signature takes no call at all: it is the endpoint's failure, and says what to do.
// Any other 401 is the call's.
func TestRefusedSignature(t *testing.T) {
	for challenge, c := range map[string]struct {
		kind Kind
		text string
	}{
		"Stategate-Signature":                   {Overloaded, "(requests are not signed; give the gateway a signingKeyFile)"},
		"stategate-signature realm=\"x\"":       {Overloaded, "signingKeyFile"},
		"":                                      {Status, ""},
		"Bearer":                                {Status, ""},
		"Bearer realm=\"Stategate-Signature\"":  {Status, ""},
		"Stategate-Signatures":                  {Status, ""},
		"Stategate-Signature with another code": {Status, ""},
	} {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			status := http.StatusUnauthorized
			if strings.HasSuffix(challenge, "another code") {
				status = http.StatusForbidden
			}
			http.Error(w, "who are you?", status)
		})
		_, _, fail := client.Call(within(t, 10*time.Second), []byte("x"))
		if fail == nil || fail.Kind != c.kind || !strings.Contains(fail.Text, "who are you?") || !strings.Contains(fail.Outcome(), c.text) {
			t.Errorf("%q: got %+v", challenge, fail)
		}
		client.pool.SignWith(NewSigner("key"))
		if _, _, fail = client.Call(within(t, 10*time.Second), []byte("x")); fail == nil || fail.Kind != c.kind || c.kind == Overloaded && !strings.Contains(fail.Outcome(), "give the function a key") {
			t.Errorf("%q, signed: got %+v", challenge, fail)
		}
		g := gather(t)
		if rest := client.Bulk(within(t, 10*time.Second), []byte("x"), 2, g.sent, g.told); rest == nil || rest.Kind != NoBulk && rest.Kind != Unanswered {
			t.Errorf("%q, as a bulk: got %+v", challenge, rest) // each is called again alone, and told as above
		}
	}
}

// BenchmarkSign is what a signature costs beside the call.
func BenchmarkSign(b *testing.B) {
	for _, size := range []int{200, 4 << 10, 512 << 10} {
		for _, keys := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d/keys=%d", size, keys), func(b *testing.B) {
				signer := NewSigner([]string{strings.Repeat("a", 64), strings.Repeat("b", 64)}[:keys]...)
				headers := http.Header{"Content-Type": {contentType}, "User-Agent": {"statefun"}, "Accept-Encoding": {"gzip,deflate"}, "Idempotency-Key": nil, bulkHeader: {bulkVersion}}
				body := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					_ = signer.signed(headers, body)
				}
			})
		}
	}
}
