package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const statePath = "/v1/addresses/shop/cart/ada/state/items"

// A state is changed from what was seen, or as the flags say.
func TestOperatorStateSet(t *testing.T) {
	const seen = `{"name":"items","typeName":"io.statefun.types/int","bytes":4,"encoding":"json","value":3,"version":"00ff","expires":null}`
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("\x00\xff@"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		set    string // the state as it is; "": not set
		header string
		query  string
		body   string
	}{
		{[]string{"4"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"io.statefun.types/int","value":4}`},
		{[]string{"--", "-4"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"io.statefun.types/int","value":-4}`},
		{[]string{"4"}, "", `If-None-Match *`, "", `{"encoding":"json","typeName":"io.statefun.types/long","value":4}`},
		{[]string{"4", "--if-version", "abcd"}, seen, `If-Match "abcd"`, "", `{"encoding":"json","typeName":"io.statefun.types/int","value":4}`},
		{[]string{"4", "--if-unset"}, seen, `If-None-Match *`, "", `{"encoding":"json","typeName":"io.statefun.types/int","value":4}`},
		{[]string{"4", "--force"}, seen, ``, "?force=true", `{"encoding":"json","typeName":"io.statefun.types/int","value":4}`},
		{[]string{"a b", "--type", "io.statefun.types/string"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"io.statefun.types/string","value":"a b"}`},
		{[]string{"true", "--type", "io.statefun.types/bool"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"io.statefun.types/bool","value":true}`},
		{[]string{"NaN", "--type", "io.statefun.types/double"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"io.statefun.types/double","value":"NaN"}`},
		{[]string{"1e3", "--type", "io.statefun.types/float"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"io.statefun.types/float","value":1e3}`},
		{[]string{"@" + file, "--type", "x/y"}, seen, `If-Match "00ff"`, "", `{"encoding":"base64","typeName":"x/y","value":"AP9A"}`},
		{[]string{"-", "--type", "x/y"}, seen, `If-Match "00ff"`, "", `{"encoding":"base64","typeName":"x/y","value":"c3RkaW4="}`},
		{[]string{`{"a": [1]}`, "--type", "x/y", "--json"}, seen, `If-Match "00ff"`, "", `{"encoding":"json","typeName":"x/y","value":{"a":[1]}}`},
		{[]string{"AP9A", "--base64", "--type", "x/y"}, seen, `If-Match "00ff"`, "", `{"encoding":"base64","typeName":"x/y","value":"AP9A"}`},
		{[]string{"abc", "--bytes"}, seen, `If-Match "00ff"`, "", `{"encoding":"base64","typeName":"io.statefun.types/int","value":"YWJj"}`},
	} {
		f := newFakeAdmin(t)
		f.says("GET /v1/functions/shop/cart", `{"function":"shop/cart","states":[{"name":"other","typeName":"x"},{"name":"items","typeName":"io.statefun.types/long"}]}`)
		if c.set != "" {
			f.says("GET "+statePath, c.set)
		}
		f.answer("PUT "+statePath+c.query, fakeAnswer{header: map[string]string{"ETag": `"0101"`}, body: `{"version":"0101"}`})
		code, stdout, stderr := callWith(t, strings.NewReader("stdin"), append([]string{"state", "set", "shop/cart", "ada", "items"}, c.args...)...)
		var header string
		for _, a := range f.asked {
			for _, name := range []string{"If-Match", "If-None-Match"} {
				if v := a.header.Get(name); v != "" {
					header = name + " " + v
				}
			}
		}
		wantTold := "it was version 00ff, io.statefun.types/int of 4B: 3\n"
		if c.set == "" {
			wantTold = "it was not set\n"
		}
		if got := f.changes(); code != exitDone || !slices.Equal(got, []string{"PUT " + statePath + c.query + " " + c.body}) || header != c.header || stderr != wantTold || stdout != "state items of shop/cart ada is set: version 0101\n" {
			t.Errorf("%q: exit %d, asked %q with %q, stdout %q, stderr %q", c.args, code, got, header, stdout, stderr)
		}
	}
}

func TestOperatorStateSetRefuses(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET "+statePath, `{"name":"items","typeName":"io.statefun.types/int","bytes":4,"encoding":"json","value":3,"version":"00ff"}`)
	for want, args := range map[string][]string{
		"the value is no int": {"x"}, "the value is no bool": {"1", "--type", "io.statefun.types/bool"}, "the value is no double": {"inf", "--type", "io.statefun.types/double"},
		"the value is not JSON": {"{", "--json"}, "the value is not base64": {"%", "--base64"}, "the value is not UTF-8": {"\xff", "--type", "io.statefun.types/string"},
	} {
		refused(t, exitUsage, want, append([]string{"state", "set", "shop/cart", "ada", "items"}, args...)...)
	}
	for want, args := range map[string][]string{
		"the value is no long": {"1.0", "--type", "io.statefun.types/long"}, "outside of what the type int holds": {"2147483648"}, "outside of what the type long holds": {"9223372036854775808", "--type", "io.statefun.types/long"},
		"the value is outside of what the type int holds": {strings.Repeat("1", 5000)}, "outside of what the type float holds": {"1e39", "--type", "io.statefun.types/float"}, "outside of what the type double holds": {"1e999", "--type", "io.statefun.types/double"},
	} {
		refused(t, exitUsage, want+"; nothing has happened", append([]string{"state", "set", "shop/cart", "ada", "items"}, args...)...)
	}
	for _, number := range []string{"seven", "1.5", "1.0", "1e2", "", "1 2", "+1", "[1]", "\"1\"", "0x1", "null", "1_000"} {
		refused(t, exitUsage, "the value is no int; nothing has happened", "state", "set", "shop/cart", "ada", "items", number)
	}
	refused(t, exitFailed, "no such file", "state", "set", "shop/cart", "ada", "items", "@/none/x")
	f.refuses("PUT "+statePath, http.StatusPreconditionFailed, "the state has changed meanwhile", "look at it again")
	f.refuses("DELETE "+statePath, http.StatusPreconditionFailed, "the state has changed meanwhile", "look at it again")
	refused(t, exitFailed, "the state has changed while it was looked at: nothing is changed\ngateway: gateway state get shows it", "state", "set", "shop/cart", "ada", "items", "4")
	refused(t, exitFailed, "the state is set, and --if-unset wants it not to be: nothing is changed", "state", "set", "shop/cart", "ada", "items", "4", "--if-unset")
	refused(t, exitFailed, "the state does not have the version of --if-version", "state", "set", "shop/cart", "ada", "items", "4", "--if-version", "1")
	refused(t, exitFailed, "the state does not have the version of --if-version", "state", "delete", "shop/cart", "ada", "items", "--if-version", "1")
	f.refuses("GET "+statePath, http.StatusNotFound, "not set", "")
	f.says("GET /v1/functions/shop/cart", `{"function":"shop/cart","states":[]}`)
	refused(t, exitUsage, "the type of state items is not known: give it with --type", "state", "set", "shop/cart", "ada", "items", "4")
	f.refuses("GET "+statePath, http.StatusServiceUnavailable, "the store does not answer", "")
	f.changes()
	refused(t, exitFailed, "the store does not answer", "state", "set", "shop/cart", "ada", "items", "4", "--type", "x/y")
	if got := f.changes(); len(got) > 0 {
		t.Errorf("asked %q", got)
	}
}

func TestOperatorStateGetAndDelete(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET "+statePath, `{"name":"items","typeName":"x/y","bytes":2,"encoding":"base64","value":"AAE=","version":"00ff","expires":null,"committed":false}`)
	f.says("GET "+statePath+"?raw=true", `{"name":"items","typeName":"x/y","bytes":2,"encoding":"base64","value":"AAE=","version":"00ff"}`)
	f.says("DELETE "+statePath, "")
	f.says("DELETE "+statePath+"?force=true", "")
	_, stdout, _ := call(t, "state", "get", "shop/cart", "ada", "items")
	sameLines(t, stdout, []string{"state items", "type x/y", "version 00ff", "bytes 2", "expires never", "committed not yet; stored is nothing", "value base64 AAE="})
	if stdout := must(t, "", "", "state", "get", "shop/cart", "ada", "items", "--raw"); stdout != "\x00\x01" {
		t.Errorf("got %q", stdout)
	}
	f.changes()
	must(t, "state items of shop/cart ada is removed\n", "it was version 00ff", "state", "delete", "shop/cart", "ada", "items")
	if got := f.asked[len(f.asked)-1].header.Get("If-Match"); got != `"00ff"` {
		t.Errorf("If-Match %q", got)
	}
	must(t, "is removed\n", "", "state", "delete", "shop/cart", "ada", "items", "--if-version", "1")
	if got := f.asked[len(f.asked)-1].header.Get("If-Match"); got != `"1"` {
		t.Errorf("If-Match %q", got)
	}
	must(t, "is removed\n", "", "state", "delete", "shop/cart", "ada", "items", "--force")
	if got := f.changes(); !slices.Equal(got, []string{"DELETE " + statePath, "DELETE " + statePath, "DELETE " + statePath + "?force=true"}) {
		t.Errorf("asked %q", got)
	}
	f.refuses("GET "+statePath, http.StatusNotFound, "the state is not set", "")
	refused(t, exitFailed, "the state is not set", "state", "delete", "shop/cart", "ada", "items")
	refused(t, exitFailed, "the state is not set", "state", "get", "shop/cart", "ada", "items")
}
