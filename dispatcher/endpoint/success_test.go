package endpoint

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestAnySuccess: every status from 200 to 299 brings a reply, and none beside them does, whatever stands in the body.
func TestAnySuccess(t *testing.T) {
	for _, status := range []int{199, 200, 201, 202, 206, 226, 299, 300, 399} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c := client(t, speak(t, func(c net.Conn) {
				readBody(c, 1)
				fmt.Fprintf(c, "HTTP/1.1 %d So\r\nContent-Type: %s\r\nContent-Length: 5\r\n\r\nhello", status, contentType)
			}))
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if status/100 == http.StatusOK/100 {
				if fail != nil || string(reply) != "hello" {
					t.Errorf("got %q, %v, want the reply", reply, fail)
				}
			} else if fail == nil {
				t.Errorf("got %q, want a failure", reply)
			}
		})
	}
}
