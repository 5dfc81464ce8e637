package endpoint

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkCall is one call after the other, the function in the same process: its allocations are counted too.
// BenchmarkPlainCall is the same with http.Client alone, to subtract.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{300, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := serve(b, benched, func(s *Spec) { s.PoolTTL = time.Hour; s.Accept = true })
			body := make([]byte, size)
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if _, _, fail := c.Call(ctx, body); fail != nil {
					b.Fatal(fail.Text)
				}
				cancel()
			}
		})
	}
}

func BenchmarkCallParallel(b *testing.B) {
	c := serve(b, benched, func(s *Spec) { s.PoolTTL = time.Hour; s.Accept = true })
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		body := make([]byte, 300)
		for pb.Next() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if _, _, fail := c.Call(ctx, body); fail != nil {
				b.Error(fail.Text)
			}
			cancel()
		}
	})
}

// BenchmarkSharedParallel is BenchmarkCallParallel over HTTP/2 in the clear.
func BenchmarkSharedParallel(b *testing.B) {
	c := serve2(b, "http", 0, benched).client(b, func(s *Spec) { s.PoolTTL = time.Hour; s.Accept = true })
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		body := make([]byte, 300)
		for pb.Next() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if _, _, fail := c.Call(ctx, body); fail != nil {
				b.Error(fail.Text)
			}
			cancel()
		}
	})
}

func BenchmarkPlainCall(b *testing.B) {
	for _, size := range []int{300, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(benched))
			defer server.Close()
			plain := &http.Client{Transport: &http.Transport{}}
			defer plain.CloseIdleConnections()
			body := make([]byte, size)
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				reader := &loanReader{loan: &loan{data: body}}
				request, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, reader)
				request.ContentLength = int64(size)
				request.Header.Set("Content-Type", contentType)
				response, err := plain.Do(request)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAll(response.Body); err != nil {
					b.Fatal(err)
				}
				response.Body.Close()
				cancel()
			}
		})
	}
}

var benchedReply = make([]byte, 120)

func benched(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", contentType)
	w.Write(benchedReply)
}
