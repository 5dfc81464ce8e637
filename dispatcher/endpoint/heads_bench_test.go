package endpoint

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkHead is the reading of one answer, its head remembered or not.
func BenchmarkHead(b *testing.B) {
	const text = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nStategate-Bulk: 1; calls=256\r\nDate: Thu, 26 Nov 2026 20:11:00 GMT\r\nContent-Length: 120\r\n\r\n"
	for name, forget := range map[string]bool{"remembered": false, "read": true} {
		b.Run(name, func(b *testing.B) {
			say := text + strings.Repeat("x", 120)
			source := strings.NewReader(say)
			a := &attempt{base: &asking{request: http.Request{Method: http.MethodPost}}}
			x := &exchange{home: &direct{}, reader: bufio.NewReader(source)}
			body := make([]byte, 121)
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(say)
				x.reader.Reset(source)
				x.body = nil
				if forget {
					clear(x.home.heads.known)
				}
				response, err := x.head(a)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.ReadFull(response.Body, body); n != 120 || err == nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
