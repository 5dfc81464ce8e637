package endpoint

import (
	"bytes"
	"io"
	"testing"
)

// TestHead: what stands before a body is what net/http writes there.
func TestHead(t *testing.T) {
	for _, url := range []string{
		"http://fn", "http://fn:8000/a/b?x=1&y", "http://u:p%40@fn/a%2Fb%20c", "http://[::1]:8000/x", "http://[fe80::1%25eth0]/x", "http+unix:///run/x.sock/fn",
	} {
		c := client(t, url, func(s *Spec) { s.Accept = true })
		for _, one := range []*asking{&c.base, &c.bulk} {
			for _, size := range []int{1, 70_000} {
				body := bytes.Repeat([]byte("x"), size)
				request := one.request.Clone(t.Context())
				request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(size)
				var want bytes.Buffer
				if err := request.Write(&want); err != nil {
					t.Fatal(err)
				}
				if got := append(one.head.append(nil, size), body...); !bytes.Equal(got, want.Bytes()) {
					t.Errorf("%s: got %.400q, want %.400q", url, got, want.Bytes())
				}
			}
		}
	}
}
