package endpoint

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestInterimAnswers: heads that tell of progress come before each answer, in packets of their own or not, and each call still has its own
// reply, be it empty or not, one after the other on one connection.
func TestInterimAnswers(t *testing.T) {
	const progress, hints = "HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
	replies := []string{"", "the second", "", "the 4th", "the 5th", "", ""}
	for name, packets := range map[string]func(head, body string) []string{
		"each alone":      func(head, body string) []string { return []string{progress, head, body} },
		"two before":      func(head, body string) []string { return []string{progress, hints, head, body} },
		"with the head":   func(head, body string) []string { return []string{progress + head, body} },
		"before the rest": func(head, body string) []string { return []string{progress, head + body} },
		"all in one":      func(head, body string) []string { return []string{progress + hints + head + body} },
		"in the midst of it": func(head, body string) []string {
			return []string{progress[:9], progress[9:] + head[:20], head[20:], body}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, "http://f/", func(s *Spec) { s.HTTP2 = HTTP2Never })
			var answered chan error
			c.carrier.direct.dial = func(context.Context, string, string) (net.Conn, error) {
				if answered != nil {
					t.Error("a second connection")
				}
				ours, theirs := net.Pipe() // of which each write is a packet: it waits until that is read
				t.Cleanup(func() { theirs.Close() })
				answered = make(chan error, 1)
				go func() {
					answered <- answerAll(theirs, replies, packets)
				}()
				return &conn{Conn: ours, gone: func() {}, buffers: &c.pool.buffers}, nil
			}
			for i, want := range replies {
				reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
				if fail != nil || string(reply) != want {
					t.Fatalf("call %d got %q, %v; want %q", i+1, reply, fail, want)
				}
			}
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// answerAll answers one request after the other with those replies.
func answerAll(c net.Conn, replies []string, packets func(head, body string) []string) error {
	requests := bufio.NewReader(c)
	for _, reply := range replies {
		request, err := http.ReadRequest(requests)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return err
		}
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", len(reply))
		all := slices.DeleteFunc(packets(head, reply), func(p string) bool { return p == "" })
		for _, packet := range all {
			if _, err := io.WriteString(c, packet); err != nil {
				return err
			}
		}
	}
	return nil
}
