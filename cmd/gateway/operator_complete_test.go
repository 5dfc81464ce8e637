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
	const ids = `{"items":[{"address":{"namespace":"shop","name":"cart","id":"ada"}},{"address":{"id":"a/d"}},{"address":{"id":"a b"}},{"address":{"id":"-a"}},{"address":{"id":""}},{"address":7},{}],"next":"more"}`
	f.says("GET /v1/addresses?function=shop%2Fcart&limit=100", strings.Replace(ids, `"more"`, "null", 1))
	f.says("GET /v1/addresses?function=shop%2Fcart&limit=100&prefix=a", ids)
	f.says("GET /v1/addresses/shop/cart/ada", `{"state":[{"name":"items"},{"name":"total"},{"name":"a b"}]}`)
	f.says("GET /v1/deadletters?limit=100", `{"items":[{"number":17},{"number":18},{"number":7},{"number":"x"},{}],"next":null}`)
	for args, want := range map[string]string{
		"functions ": "shop/cart shop/stock", "functions shop/s": "shop/stock", "functions pause ": "shop/cart shop/stock", "addresses show ": "shop/cart shop/stock", "addresses skip shop/c": "shop/cart",
		"addresses show shop/cart ": "ada a/d", "addresses show shop/cart a": "ada a/d", "addresses show shop/none ": "", "addresses show shop/cart ada ": "", "state get shop/cart ada ": "items total",
		"state set shop/cart ada t": "total", "state set shop/cart ada items ": "", "deadletters show ": "17 18 7", "deadletters discard 17 1": "18", "stuck ": "", "init ": "go python", "init p": "python",
		"deadletters --reason ": "", "run --log-level ": "debug info warn error", "addresses skip shop/cart ada --message ": "", "dev --listen ": "",
		"state get shop/c": "shop/cart", "ingresses forget ": "shop/in", "egresses decide ": "shop/out", "timers --function ": "shop/cart shop/stock",
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
		if !strings.HasSuffix(stdout, ":4\n") {
			t.Errorf("%q: files are offered, too: %q", args, stdout)
		}
	}
	for args, want := range map[string]string{"init go ": ":16\n", "check ": ":0\n", "run --module ": ":0\n", "stuck --token-file ": ":0\n", "state export -o ": ":0\n", "state import ": ":0\n"} {
		if code, stdout, _ := call(t, append([]string{"__complete"}, strings.Split(args, " ")...)...); code != exitDone || !strings.HasSuffix(stdout, want) {
			t.Errorf("%q: exit %d, files are not offered: %q", args, code, stdout)
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
