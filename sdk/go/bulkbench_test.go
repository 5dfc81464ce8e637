//go:build unix

package stategate

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// counting is the function of the count workload: a state read and written, a record of 100 bytes for Kafka.
var counting = func() Function {
	counter := ValueSpec[int64]{Name: "seen", Type: Long}
	payload := make([]byte, 100)
	return Function{Type: "a.b/st", States: []State{counter}, Call: func(_ context.Context, in *Invocation) error {
		n, _, err := counter.Get(in)
		if err != nil {
			return err
		}
		counter.Set(in, n+1)
		in.SendKafka("a.b/out", KafkaRecord{Topic: "out", Key: []byte(in.Self().ID), Value: payload})
		return nil
	}}
}()

// countingCall is a call of it, for an address of its own.
func countingCall(number int) *protocol.ToFunctions_Call {
	return &protocol.ToFunctions_Call{Number: uint32(number), ToFunction: &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{
		Invocation: &protocol.ToFunction_InvocationBatchRequest{
			Target:      To("a.b/st", fmt.Sprintf("key-%06d", number)).wire(),
			State:       state("seen", Long.Of(int64(number)).wire()),
			Invocations: []*protocol.ToFunction_Invocation{argument(Bytes("a.b/raw").Of(make([]byte, 100)))},
		},
	}}}
}

// rawClient writes requests that are ready on one connection: next to nothing of what is measured is the client's.
type rawClient struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func newRawClient(t testing.TB, h http.Handler) *rawClient {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &rawClient{t, conn, bufio.NewReaderSize(conn, 1<<16)}
}

func rawRequest(contentType string, m proto.Message) []byte {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(fmt.Appendf(nil, "POST /statefun HTTP/1.1\r\nHost: a\r\nStategate-Bulk: 1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(body)), body...)
}

func (c *rawClient) exchange(request []byte) int64 {
	if _, err := c.conn.Write(request); err != nil {
		c.t.Fatal(err)
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK || n == 0 {
		c.t.Fatal(response.Status, n, err)
	}
	return n
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBulk is what a call costs in CPU, by HTTP over loopback: alone, and in bulks. "each" begins with a goroutine for each call.
func BenchmarkBulk(b *testing.B) {
	run := func(name string, calls int, crewSize int64, request []byte) {
		b.Run(name, func(b *testing.B) {
			h := newHandler(b, counting)
			h.bulkCallsMax = 1000
			client := newRawClient(b, h)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			for range b.N {
				if crewSize > 0 {
					h.crewSize.Store(crewSize)
				}
				client.exchange(request)
			}
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N*calls), "cpu-ns/call")
			b.ReportMetric(0, "ns/op")
		})
	}
	run("alone", 1, 0, rawRequest(contentType, countingCall(1).ToFunction))
	for _, n := range []int{1, 2, 10, 100, 256, 1000} {
		var bulk protocol.ToFunctions
		for i := range n {
			bulk.Calls = append(bulk.Calls, countingCall(i+1))
		}
		run(fmt.Sprintf("bulk=%d", n), n, 0, rawRequest(bulkContentType, &bulk))
		run(fmt.Sprintf("bulk=%d,each", n), n, int64(n), rawRequest(bulkContentType, &bulk))
	}
}

// BenchmarkServeBulk is the same without HTTP.
func BenchmarkServeBulk(b *testing.B) {
	var bulk protocol.ToFunctions
	for i := range 100 {
		bulk.Calls = append(bulk.Calls, countingCall(i+1))
	}
	body, err := proto.Marshal(&bulk)
	if err != nil {
		b.Fatal(err)
	}
	h := newHandler(b, counting)
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", bulkContentType)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N*100), "cpu-ns/call")
}
