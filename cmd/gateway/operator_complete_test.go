package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOperatorCompletion(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET /v1/functions?limit=200", `{"items":[{"function":"shop/cart"},{"function":"shop/stock"},{"function":"shop/a b"},{"function":"x/\u001b"},{"function":7},{}],"next":null}`)
	f.says("GET /v1/ingresses?limit=200", `{"items":[{"ingress":"shop/in"}],"next":null}`)
	f.says("GET /v1/egresses?limit=200", `{"items":[{"egress":"shop/out"}],"next":null}`)
	for args, want := range map[string]string{
		"functions ": "shop/cart shop/stock", "functions shop/s": "shop/stock", "functions pause ": "shop/cart shop/stock", "addresses show ": "shop/cart shop/stock", "addresses skip shop/c": "shop/cart",
		"addresses show shop/cart ": "", "state get shop/c": "shop/cart", "ingresses forget ": "shop/in", "egresses decide ": "shop/out", "timers --function ": "shop/cart shop/stock",
		"deadletters --egress ": "shop/out", "egresses decide shop/out --deliver ": "stored new", "log-level ": "debug info warn error", "stuck -o ": "table json", "deadletters replay --ingress s": "shop/in",
	} {
		fields := strings.Split(args, " ")
		code, stdout, _ := call(t, append([]string{"__complete"}, fields...)...)
		var got []string
		for line := range strings.Lines(stdout) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") && strings.Contains(" "+want+" ", " "+word+" ") || word != "" && !strings.HasPrefix(word, ":") && !isVerb(word) {
				got = append(got, word)
			}
		}
		if code != exitDone || strings.Join(got, " ") != want {
			t.Errorf("%q: exit %d, got %q, want %q", args, code, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		must(t, "__complete", "", "completion", shell)
	}
}

// isVerb: what a noun has beside names.
func isVerb(word string) bool { return word == "pause" || word == "resume" }

// Nobody answers, or answers nonsense, or does not end: the shell is told nothing, soon.
func TestOperatorCompletionIsSilent(t *testing.T) {
	f := newFakeAdmin(t)
	ended := make(chan struct{})
	defer close(ended)
	f.handles("GET /v1/egresses", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	f.says("GET /v1/ingresses?limit=200", `<html>`)
	f.refuses("GET /v1/functions?limit=200", http.StatusUnauthorized, "no token", "")
	began := time.Now()
	for _, args := range [][]string{{"egresses", "forget", ""}, {"ingresses", "forget", ""}, {"functions", "pause", ""}, {"functions", "pause", "--url", "http://127.0.0.1:1", ""}, {"functions", "pause", "--url", "x", ""}} {
		code, stdout, stderr := call(t, append([]string{"__complete"}, args...)...)
		if code != exitDone || !strings.HasPrefix(stdout, ":4\n") || strings.Contains(stderr, "gateway:") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if took := time.Since(began); took > 10*completeTimeMax {
		t.Errorf("it took %v", took)
	}
}
