package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkBulk is requests of 300 bytes a call and replies of 120, alone and many in one request, sixteen requests at a time. What
// answers is in the same process and does next to nothing; the CPU of all is told, for a machine has neighbours.
func BenchmarkBulk(b *testing.B) {
	const at, request = 16, 300
	b.Run("single", func(b *testing.B) {
		c := client(b, canned(b, contentType, benchedReply), func(s *Spec) { s.PoolTTL = time.Hour })
		body := make([]byte, request)
		measure(b, at, 1, func(ctx context.Context) {
			if _, _, fail := c.Call(ctx, body); fail != nil {
				b.Error(fail.Text)
			}
		})
	})
	for _, calls := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(calls), func(b *testing.B) {
			var answer []byte
			for i := range calls {
				answer = append(answer, replied(i+1, string(benchedReply))...)
			}
			c := client(b, canned(b, bulkContentType, answer), func(s *Spec) { s.PoolTTL = time.Hour })
			body := make([]byte, request*calls)
			measure(b, at, calls, func(ctx context.Context) {
				if rest := c.Bulk(ctx, body, calls, nil, func(int, []Answer) {}); rest != nil {
					b.Error(rest.Text)
				}
			})
		})
	}
}

// measure runs requests side by side, b.N calls in all.
func measure(b *testing.B, at, calls int, request func(context.Context)) {
	b.ReportAllocs()
	before := cpuUsed(b)
	var all sync.WaitGroup
	left := make(chan struct{})
	for range at {
		all.Go(func() {
			for range left {
				ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
				request(ctx)
				cancel()
			}
		})
	}
	n := 0
	for ; n < b.N; n += calls {
		left <- struct{}{}
	}
	close(left)
	all.Wait()
	b.ReportMetric(float64(cpuUsed(b)-before)/float64(n), "cpu-ns/call")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "calls/s")
}

func cpuUsed(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// canned answers each request with the same bytes.
func canned(b *testing.B, kind string, body []byte) (url string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	b.Cleanup(func() { listener.Close(); all.Wait() })
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nStategate-Bulk: 1; calls=1000\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				r := textproto.NewReader(bufio.NewReader(c))
				for {
					length := 0
					for {
						line, err := r.ReadLineBytes()
						if err != nil {
							return
						}
						if len(line) == 0 {
							break
						}
						if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
							length, _ = strconv.Atoi(string(value))
						}
					}
					if _, err := io.CopyN(io.Discard, r.R, int64(length)); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	return "http://" + listener.Addr().String()
}
