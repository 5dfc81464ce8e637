package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Looked at again and again, a gateway may be away for a while; Ctrl-C is the good end.
func TestOperatorWatch(t *testing.T) {
	f := newFakeAdmin(t)
	ctx, interrupt := contextOf(t)
	looks := 0
	f.handles("GET /v1/stuck", func(w http.ResponseWriter, r *http.Request) {
		switch looks++; looks {
		case 1:
			fmt.Fprint(w, `{"items":[{"cause":"poisoned","forSeconds":9,"on":{"kind":"function","name":"shop/cart"},"count":3,"text":"x"}],"next":null}`)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"detail":"the store does not answer","remedy":"ask again"}`)
		default:
			fmt.Fprint(w, `{"items":[],"next":null}`)
			interrupt()
		}
	})
	code, stdout, stderr := callIn(ctx, "stuck", "--watch=200ms")
	first, rest, _ := strings.Cut(stdout, "gateway: the store does not answer\\nask again\n")
	if code != exitDone || stderr != "" || !strings.Contains(first, "poisoned") || !strings.Contains(first, f.url+", each 200ms") || strings.Contains(rest, "poisoned") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	ctx, interrupt = contextOf(t)
	interrupt()
	code, _, stderr = callIn(ctx, "stuck")
	if code != exitFailed || !strings.HasPrefix(stderr, "gateway: interrupted") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}
