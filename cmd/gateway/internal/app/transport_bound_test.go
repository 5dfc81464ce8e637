package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/dispatcher/endpoint"
)

// What bounds a call: its time as a whole, in each place where it can be written.
func TestTransportCall(t *testing.T) {
	vars, _ := listen(t, hang)
	for name, text := range map[string]string{
		"async":              v2("call: 100ms"),
		"async, old writing": v2("call: 1h, timeouts: {call: 100ms}"),
		"okhttp":             okhttp("timeouts: {call: 100ms}"),
		"endpoints v1":       v1("timeouts: {call: 100ms}"),
		"legacy":             legacy("timeouts: {call: 100ms}"),
	} {
		t.Run(name, func(t *testing.T) {
			f, c := served(t, poolOf(t), text, vars)
			if f.Budget != 100 {
				t.Errorf("got a call of %d ms, want 100", f.Budget)
			}
			fails(t, f, c, []byte("x"), endpoint.Timeout, "")
		})
	}
}

// connect bounds the handshake as well, and that can be shown without a network that swallows packets.
func TestTransportConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	vars := map[string]string{"URL": "https://" + listener.Addr().String()}
	for name, text := range map[string]string{
		"async":              v2("connect: 100ms"),
		"async, old writing": v2("connect: 1h, timeouts: {connect: 100ms}"),
		"okhttp":             okhttp("timeouts: {connect: 100ms}"),
		"endpoints v1":       v1("timeouts: {connect: 100ms}"),
		"over HTTP/1.1":      v2("connect: 100ms, http2: never"),
	} {
		t.Run(name, func(t *testing.T) {
			f, c := served(t, poolOf(t), text, vars)
			if f.Spec.Connect != 100*time.Millisecond {
				t.Errorf("got %s, want 100ms", f.Spec.Connect)
			}
			fails(t, f, c, []byte("x"), endpoint.Unreachable, "handshake timeout")
		})
	}
}

// read bounds the silence of the function; the async transport has no such bound.
func TestTransportRead(t *testing.T) {
	silent, _ := listen(t, func(w http.ResponseWriter, r *http.Request) {
		answers(w, noEffects[:1])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	hanging, _ := listen(t, hang)
	for name, text := range map[string]string{
		"okhttp":       okhttp("timeouts: {read: 100ms}"),
		"endpoints v1": v1("timeouts: {read: 100ms}"),
	} {
		t.Run(name, func(t *testing.T) {
			f, c := served(t, poolOf(t), text, hanging)
			fails(t, f, c, []byte("x"), endpoint.Timeout, "no reply in time")
			f, c = served(t, poolOf(t), text, silent)
			fails(t, f, c, []byte("x"), endpoint.Timeout, "no piece of the reply within 100ms")
		})
	}
	if f := resolved(t, v2("timeouts: {read: 100ms}"), hanging); f.Spec.Read != 0 {
		t.Errorf("async: got a read time-out of %s, want none", f.Spec.Read)
	}
}

// write bounds the time in which the function takes nothing of the request.
func TestTransportWrite(t *testing.T) {
	done := make(chan struct{})
	vars, _ := listen(t, func(http.ResponseWriter, *http.Request) { <-done }) // reads nothing, so it sees no hang-up either
	defer close(done)
	for name, text := range map[string]string{
		"okhttp":       okhttp("timeouts: {write: 100ms}"),
		"endpoints v1": v1("timeouts: {write: 100ms}"),
	} {
		t.Run(name, func(t *testing.T) {
			f, c := served(t, poolOf(t), text, vars)
			fails(t, f, c, make([]byte, 64<<20), endpoint.Timeout, "no reply in time")
		})
	}
}

func TestTransportPayloadMaxBytes(t *testing.T) {
	vars, _ := listen(t, func(w http.ResponseWriter, r *http.Request) { answers(w, make([]byte, 1000)) })
	f, c := served(t, poolOf(t), v2("payload_max_bytes: 1000"), vars)
	if got := len(succeeds(t, f, c)); got != 1000 {
		t.Errorf("got %d bytes, want 1000", got)
	}
	f, c = served(t, poolOf(t), v2("payload_max_bytes: 999"), vars)
	fails(t, f, c, []byte("x"), endpoint.BadReply, "larger than the bound of 999 bytes")
	if f := resolved(t, v2(""), vars); f.Spec.ReplyBytesMax != 32<<20 {
		t.Errorf("got a bound of %d bytes, want StateFun's 32 MiB", f.Spec.ReplyBytesMax)
	}
}

// A connection of which the time is over carries no further call.
func TestTransportPoolTTL(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) { answers(w, noEffects) }
	brief, openedBrief := listen(t, echo)
	long, openedLong := listen(t, echo)
	pool := poolOf(t)
	fBrief, cBrief := served(t, pool, v2("pool_ttl: 50ms"), brief)
	fLong, cLong := served(t, pool, v2("pool_ttl: 1h"), long)
	for end := time.Now().Add(patience); openedBrief.Load() < 4; {
		succeeds(t, fBrief, cBrief)
		succeeds(t, fLong, cLong)
		if time.Now().After(end) {
			t.Fatalf("%d connections after %v", openedBrief.Load(), patience)
		}
	}
	if got := openedLong.Load(); got != 1 {
		t.Errorf("pool_ttl of an hour: %d connections, want 1", got)
	}
}

// So many connections are kept for the next calls; what was opened beyond them is closed.
func TestTransportPoolSize(t *testing.T) {
	for size, want := range map[int]int32{1: 5, 3: 3} {
		var all sync.WaitGroup
		vars, opened := listen(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			all.Done()
			all.Wait()
			answers(w, noEffects)
		})
		f, c := served(t, poolOf(t), v2(fmt.Sprint("pool_size: ", size)), vars)
		for range 2 { // three calls at a time, twice
			all.Add(3)
			var done sync.WaitGroup
			for range 3 {
				done.Go(func() {
					if _, fail := attempt(t, f, c, []byte("x")); fail != nil {
						t.Error(fail.Text)
					}
				})
			}
			done.Wait()
		}
		if got := opened.Load(); got != want {
			t.Errorf("pool_size %d: %d connections, want %d", size, got, want)
		}
	}
}

// All functions of an endpoint share its connections, and endpoints of one host and the same settings too.
func TestTransportSharesConnections(t *testing.T) {
	vars, opened := listen(t, func(w http.ResponseWriter, r *http.Request) { answers(w, noEffects) })
	pool := poolOf(t)
	for _, text := range []string{v2(""), strings.Replace(v2(""), "test/*", "test/fn", 1), strings.Replace(v2("call: 7s"), "${URL}", "${URL}/other", 1)} {
		f, c := served(t, pool, text, vars)
		succeeds(t, f, c)
	}
	if got := opened.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
	f, c := served(t, pool, v2("connect: 7s"), vars)
	succeeds(t, f, c)
	if got := opened.Load(); got != 2 {
		t.Errorf("other settings: %d connections, want 2", got)
	}
}
