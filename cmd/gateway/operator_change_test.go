package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each command that changes something, with what it asks for.
func TestOperatorChanges(t *testing.T) {
	for _, c := range []struct{ args, asked, want string }{
		{"functions pause shop/cart", "POST /v1/functions/shop/cart/pause", "function shop/cart is paused\n"},
		{"functions resume shop/cart", "POST /v1/functions/shop/cart/resume", "function shop/cart is resumed\n"},
		{"ingresses pause shop/in", "POST /v1/ingresses/shop/in/pause", "ingress shop/in is paused\n"},
		{"ingresses resume shop/in", "POST /v1/ingresses/shop/in/resume", "ingress shop/in is resumed\n"},
		{"ingresses forget shop/in --yes", "POST /v1/ingresses/shop/in/forget", "ingress shop/in is forgotten\n"},
		{"egresses forget shop/out --yes", "POST /v1/egresses/shop/out/forget", "egress shop/out is forgotten\n"},
		{"egresses decide shop/out --deliver stored --yes", `POST /v1/egresses/shop/out/lanes/0/decide {"deliver":"stored"}`, "lane 0 of shop/out goes on\n"},
		{"egresses decide shop/out --lane 3 --deliver new --yes", `POST /v1/egresses/shop/out/lanes/3/decide {"deliver":"new"}`, "lane 3 of shop/out goes on\n"},
		{"egresses decide shop/out --deliver 4711 --yes", `POST /v1/egresses/shop/out/lanes/0/decide {"deliver":4711}`, "lane 0 of shop/out goes on\n"},
		{"addresses retry shop/cart a/b", "POST /v1/addresses/shop/cart/a%2Fb/retry", "shop/cart a/b is tried now\n"},
		{"addresses pause shop/cart ..", "POST /v1/addresses/shop/cart/pause?id=..", "shop/cart .. is paused\n"},
		{"addresses resume shop/cart ada", "POST /v1/addresses/shop/cart/ada/resume", "shop/cart ada is resumed\n"},
		{"addresses retry shop/cart -- -x", "POST /v1/addresses/shop/cart/-x/retry", "shop/cart -x is tried now\n"},
		{"addresses skip shop/cart ada --message 17", `POST /v1/addresses/shop/cart/ada/skip {"message":17}`, "message 17 of shop/cart ada is set aside; gateway deadletters shows it\n"},
		{"log-level debug", `PUT /v1/log-level {"level":"debug"}`, "debug\n"},
		{"deadletters replay 17", "POST /v1/deadletters/17/replay", "dead letter 17 is replayed\n"},
		{"deadletters replay 17 --to shop/cart/a/b", `POST /v1/deadletters/17/replay {"to":{"id":"a/b","name":"cart","namespace":"shop"}}`, "dead letter 17 is replayed\n"},
		{"deadletters discard 17 --yes", "DELETE /v1/deadletters/17", "dead letter 17 is discarded\n"},
	} {
		f := newFakeAdmin(t)
		what := strings.Join(strings.Fields(c.asked)[:2], " ")
		f.says(what, `{"level":"debug"}`)
		code, stdout, stderr := call(t, strings.Fields(c.args)...)
		if got := f.changes(); code != exitDone || stdout != c.want || stderr != "" || !slices.Equal(got, []string{c.asked}) {
			t.Errorf("%s: exit %d, asked %q, stdout %q, stderr %q", c.args, code, got, stdout, stderr)
		}
		f.refuses(what, http.StatusConflict, "it cannot be done", "do something else")
		code, stdout, stderr = call(t, strings.Fields(c.args)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "it cannot be done") || !strings.Contains(stderr, "do something else") || !strings.HasPrefix(stderr, "gateway: ") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", c.args, code, stdout, stderr)
		}
	}
}

// An address whose function is paused is not called when its own pause ends, and not tried: the command that helps is named.
func TestOperatorOfAPausedFunction(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("POST /v1/addresses/shop/cart/ada/resume", `{"paused":{"of":"function","since":"2026-01-02T03:04:05.000Z","by":"ann"},"remedy":"POST /v1/functions/shop/cart/resume"}`)
	must(t, "shop/cart ada is resumed, but its function is paused: gateway functions resume shop/cart\n", "", "addresses", "resume", "shop/cart", "ada")
	for _, answer := range []string{`{"paused":null,"remedy":null}`, `{}`, `[]`, `{"paused":false}`} {
		f.says("POST /v1/addresses/shop/cart/ada/resume", answer)
		code, stdout, stderr := call(t, "addresses", "resume", "shop/cart", "ada")
		if code != exitDone || stdout != "shop/cart ada is resumed\n" || stderr != "" {
			t.Errorf("%s: exit %d, %q, %q", answer, code, stdout, stderr)
		}
	}
	f.says("POST /v1/addresses/shop/cart/ada/resume", `{"changed":false,"near":{"namespace":"shop","name":"cart","id":"adda"},"paused":{"of":"function","since":"x","by":"ann"},"remedy":"x"}`)
	must(t, "shop/cart ada is not paused itself, but its function is: gateway functions resume shop/cart\n", "", "addresses", "resume", "shop/cart", "ada")
	f.says("GET /v1/addresses/shop/cart/ada", `{"address":{"namespace":"shop","name":"cart","id":"ada"},"declared":true,"paused":{"of":"function","since":"2026-01-02T03:04:05.000Z","by":"ann"},"mailbox":{"messages":1}}`)
	code, stdout, _ := call(t, "addresses", "show", "shop/cart", "ada")
	if code != exitDone || !strings.Contains(stdout, "since 2026-01-02T03:04:05Z by ann, with its function: gateway functions resume shop/cart\n") {
		t.Errorf("exit %d, %q", code, stdout)
	}
	for _, c := range []struct{ id, path, detail, want string }{
		{"ada", "ada", "function shop/cart is paused", "gateway functions resume shop/cart"},
		{"a b", "a%20b", "address shop/cart/a b is paused", "gateway addresses resume shop/cart 'a b'"},
		{"-x", "-x", "address shop/cart/-x is paused", "gateway addresses resume -- shop/cart -x"},
	} {
		f.refuses("POST /v1/addresses/shop/cart/"+c.path+"/retry", http.StatusConflict, c.detail, "resume it")
		code, stdout, stderr := call(t, "addresses", "retry", "shop/cart", "--", c.id)
		if code != exitFailed || stdout != "" || stderr != "gateway: "+c.detail+"\ngateway: "+c.want+"\n" {
			t.Errorf("%s: exit %d, %q, %q", c.id, code, stdout, stderr)
		}
	}
}

// What is not paused cannot be resumed: that is no failure, but nobody is told that it was done.
func TestOperatorResumesWhatIsNotPaused(t *testing.T) {
	const nothing = " is not paused; there is nothing to resume"
	for _, c := range []struct{ path, args, of, near, meant string }{
		{"functions/app/visit", "functions resume app/visit", "function app/visit", `"app/visits"`, "app/visits"},
		{"ingresses/app/inn", "ingresses resume app/inn", "ingress app/inn", `"a\u001bpp/i\nn"`, `$'a\033pp/i\012n'`},
		{"addresses/app/visits/adda", "addresses resume app/visits adda", "app/visits adda", `{"namespace":"app","name":"visits","id":"a da"}`, "app/visits 'a da'"},
	} {
		f := newFakeAdmin(t)
		for answer, want := range map[string]string{
			`{"changed":true,"near":null}`:               c.of + " is resumed\n",
			`{"changed":false,"near":null}`:              c.of + nothing + "\n",
			`{"changed":false,"near":` + c.near + `}`:    c.of + nothing + "; did you mean " + c.meant + "?\n",
			`{"changed":"no"}`:                           c.of + " is resumed\n", // is not what a gateway says
			`null`:                                       c.of + " is resumed\n",
			`{"changed":false,"near":[],"paused":false}`: c.of + " is resumed\n",
		} {
			f.says("POST /v1/"+c.path+"/resume", answer)
			code, stdout, stderr := call(t, strings.Fields(c.args)...)
			if code != exitDone || stdout != want || stderr != "" {
				t.Errorf("%s: exit %d, %q, %q", answer, code, stdout, stderr)
			}
		}
	}
}

// A function of which nothing is known is paused, and whoever has mistyped its name is told.
func TestOperatorPausesWhatNobodyKnows(t *testing.T) {
	f := newFakeAdmin(t)
	for answer, want := range map[string]string{
		`{"known":false}`: "no message has come for function app/nope since the gateway began to work, and nothing is kept for it: is the name right?\n",
		`{"known":true}`:  "", "": "", "[]": "", `{"known":"no"}`: "",
	} {
		f.says("POST /v1/functions/app/nope/pause", answer)
		code, stdout, stderr := call(t, "functions", "pause", "app/nope")
		if code != exitDone || stdout != "function app/nope is paused\n" || stderr != want {
			t.Errorf("%s: exit %d, %q, %q", answer, code, stdout, stderr)
		}
	}
}

// A function may have an empty namespace; most often it was forgotten, and where nothing is found that is said.
func TestOperatorOfAnEmptyNamespace(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET /v1/addresses?function=%2Fvisits&limit=200", `{"items":[],"next":null}`)
	code, stdout, stderr := call(t, "addresses", "/visits")
	if code != exitDone || strings.Contains(stdout, "visits") || !strings.HasSuffix(stderr, "\nbefore the slash of /visits the namespace is missing: is that meant?\n") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	f.says("GET /v1/addresses?function=%2Fvisits&limit=200", `{"items":[{"address":{"namespace":"","name":"visits","id":"ada"},"messages":1}],"next":null}`)
	if code, stdout, stderr := call(t, "addresses", "/visits/"); code != exitDone || !strings.Contains(stdout, "ada") || stderr != "" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// Whoever asks is named, and has the token that was given.
func TestOperatorWho(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("POST /v1/functions/shop/cart/pause", "")
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte("secret-of-mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "is paused", "", "functions", "pause", "shop/cart", "--token-file", name)
	t.Setenv(tokenVariable, name)
	t.Setenv("SUDO_USER", "ann")
	must(t, "is paused", "", "functions", "pause", "shop/cart")
	host, _ := os.Hostname()
	for i, a := range f.asked {
		if a.header.Get("Authorization") != "Bearer secret-of-mine" || i == 1 && a.header.Get("Stategate-Operator") != "ann@"+host {
			t.Errorf("asked with %q", a.header)
		}
	}
	t.Setenv(tokenVariable, name+".none")
	refused(t, exitFailed, "no such file", "stuck")
}

// What is wrong with a command line is said before anybody is asked.
func TestOperatorUsage(t *testing.T) {
	f := newFakeAdmin(t)
	for _, c := range []struct{ args, want string }{
		{"stuck x", "takes no arguments"},
		{"stuck -o yaml", "flag --output: want table or json"},
		{"stuck --limit -1", "flag --limit"},
		{"stuck --watch=1ms", "flag --watch: want at least"},
		{"stuck --watch -o json", "want it without -o json"},
		{"stuck --url gate", "the URL of the admin side is like"},
		{"functions pause a/b -o json", "functions pause has no -o: it is for commands that list or show something, as in gateway stuck -o json"},
		{"addresses retry a/b c --output json", "addresses retry has no -o"},
		{"check -o json", "check has no -o"},
		{"stuck -x", "flags begin with two dashes"},
		{"stuck --ulr x", "unknown flag --ulr: did you mean --url?"},
		{"statu", "unknown command statu: did you mean status?"},
		{"functions puase shop/cart", "unknown command functions puase: did you mean pause?"},
		{"stuck --watch 1s", "flag --watch: want its value as in --watch=5s"},
		{"stuck --watch=x", "flag --watch: want a time such as 2s or 1m"},
		{"stuck --limit x", "flag --limit: want a number"},
		{"state set a/b c d -5", "put -- before a value that begins with a dash"},
		{"functions shop", "unknown command functions shop: want a name as NAMESPACE/NAME, or one of pause, resume"},
		{"functions a/b c/d", "functions wants at most one name, as NAMESPACE/NAME; got 2 arguments"},
		{"functions a/b/c", "want a name as NAMESPACE/NAME"},
		{"addresses app/", "want a name as NAMESPACE/NAME: behind the slash the name is missing"},
		{"addresses /", "want a name as NAMESPACE/NAME: behind the slash the name is missing"},
		{"functions pause app//", "want a name as NAMESPACE/NAME: behind the slash the name is missing"},
		{"functions pause", "functions pause wants the name of one function, as NAMESPACE/NAME; got 0 arguments"},
		{"functions pause cart", "want a name as NAMESPACE/NAME"},
		{"addresses", "addresses wants the name of a function"},
		{"addresses shwo a/b c", "unknown command addresses shwo: did you mean show?"},
		{"addresses show a/b", "addresses show wants a function and an id: NAMESPACE/NAME ID; got 1 argument"},
		{"addresses show a/b " + strings.Repeat("x", 70_000), "the address"},
		{"addresses skip a/b c --message x", "flag --message: want the number"},
		{"addresses skip a/b c --message -1", "flag --message: want the number"},
		{"addresses skip a/b c", "addresses skip needs --message NUMBER where nobody can be asked"},
		{"state gett", "unknown command state gett: did you mean get?"},
		{"state get a/b", "state get wants"},
		{"state get a/b c --raw", "--raw writes the bytes of one state"},
		{"state set a/b c d e --force --if-unset", "want one of --if-version, --if-unset and --force"},
		{"state set a/b c d e --json --base64", "want one of --json, --base64 and --bytes"},
		{"state set a/b c d e --if-version \"", "flag --if-version: want a version"},
		{"timers --function x", "flag --function: want NAMESPACE/NAME"},
		{"egresses decide a/b", "flag --deliver: want stored, new or the number"},
		{"egresses decide a/b --deliver old", "flag --deliver: want stored, new or the number"},
		{"deadletters shwo", "unknown command deadletters shwo: did you mean show?"},
		{"deadletters --function a/b --egress c/d", "want one of --function, --ingress, --egress and --all"},
		{"deadletters --function a", "flag --function: want NAMESPACE/NAME"},
		{"deadletters show x", "want numbers of dead letters"},
		{"deadletters show 0", "want numbers of dead letters"},
		{"deadletters replay", "deadletters replay wants numbers, or one of"},
		{"deadletters replay 1 x", "want numbers of dead letters"},
		{"deadletters replay 1 --all", "not both"},
		{"deadletters replay --all --function a/b", "want one of --function"},
		{"deadletters replay 1 --reason x", "--reason is for"},
		{"deadletters replay 1 2 --to a/b/c", "--to is for one dead letter; got 2 numbers"},
		{"deadletters replay 1 --to a/b", "flag --to: want NAMESPACE/NAME/ID"},
		{"deadletters replay --all --to a/b/c", "--to is for one dead letter"},
		{"log-level debg", "unknown level debg: did you mean debug?"},
		{"log-level info info", "log-level wants at most one level"},
	} {
		code, stdout, stderr := call(t, strings.Fields(c.args)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%.60s: exit %d, stdout %q, stderr %q, want %q", c.args, code, stdout, stderr, c.want)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("somebody was asked: %v", f.asked[0].what)
	}
	refused(t, exitUsage, "the URL of the admin side has no user", "stuck", "--url", "http://u:hunter2@h")
	if _, _, stderr := call(t, "stuck", "--url", "http://u:hunter2@h"); strings.Contains(stderr, "hunter2") {
		t.Errorf("a password is said again: %s", stderr)
	}
	for _, url := range []string{"http://127.0.0.1:1", "http://[::1]:1"} {
		refused(t, exitFailed, "--url or STATEGATE_URL names another", "stuck", "--url", url)
	}
}

// What would be refused anyhow is refused before anybody is asked whether it is meant, and else it is said what it is about.
func TestOperatorRefusesBeforeItAsks(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET /v1/ingresses/a/declared", `{"ingress":"a/declared","declared":true,"partitions":3}`)
	f.says("GET /v1/ingresses/a/b", `{"ingress":"a/b","declared":false,"partitions":3}`)
	f.says("GET /v1/egresses/a/declared", `{"egress":"a/declared","declared":true,"lanes":[{"slot":0,"next":3,"halted":null},{"slot":1,"next":3,"halted":"cursor lost"}]}`)
	f.says("GET /v1/egresses/a/b", `{"egress":"a/b","declared":false,"outbox":{"outputs":1,"bytes":2048}}`)
	f.says("GET /v1/deadletters/17", `{"number":17,"kind":"message","from":"nobody/home","origin":{"kind":"function","name":"a/f"},"reason":"unknown function"}`)
	f.refuses("GET /v1/deadletters/18", http.StatusNotFound, "there is no dead letter 18", "GET /v1/deadletters lists them")
	f.refuses("GET /v1/egresses/a/standby", http.StatusConflict, "this gateway waits, another one works", "ask the one that works")
	for args, want := range map[string]string{
		"ingresses forget a/declared":                       "1 the module declares ingress a/declared: nothing is forgotten",
		"egresses forget a/declared":                        "1 the module declares egress a/declared: nothing is forgotten",
		"ingresses forget a/none":                           "1 the fake knows no",
		"egresses forget a/standby":                         "1 this gateway waits",
		"ingresses forget a/b":                              "2 ingresses forget needs --yes where nobody can be asked: Where the 3 partitions of ingress a/b have been is forgotten",
		"egresses forget a/b":                               "2 egresses forget needs --yes where nobody can be asked: What waits for egress a/b is dropped and never delivered: 1 output, 2.0KiB",
		"egresses decide a/declared --deliver new":          "1 lane 0 of egress a/declared does not stand still",
		"egresses decide a/declared --lane 7 --deliver new": "1 lane 7 of egress a/declared does not stand still",
		"egresses decide a/declared --lane 1 --deliver new": "2 egresses decide needs --yes where nobody can be asked: What is stored of lane 1 of a/declared is never delivered",
		"egresses decide a/standby --deliver stored":        "1 this gateway waits",
		"deadletters discard 17":                            "2 deadletters discard needs --yes where nobody can be asked: Discard dead letter 17 for good: message from function a/f, unknown function",
		"deadletters discard 18":                            "1 there is no dead letter 18",
		"deadletters discard 17 18":                         "2 deadletters discard needs --yes where nobody can be asked: Discard 2 dead letters for good",
	} {
		code, stdout, stderr := call(t, strings.Fields(args)...)
		if said := fmt.Sprintf("%d %s", code, strings.TrimPrefix(stderr, "gateway: ")); stdout != "" || !strings.HasPrefix(said, want) {
			t.Errorf("%s: %s, stdout %q, want %s", args, said, stdout, want)
		}
	}
	if got := f.changes(); len(got) > 0 {
		t.Errorf("asked %q", got)
	}
}

// Of several dead letters those that can be replayed are, and the others are named.
func TestOperatorSeveralLetters(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("POST /v1/deadletters/1/replay", `{"replayed":1}`)
	f.refuses("POST /v1/deadletters/2/replay", http.StatusNotFound, "there is no dead letter 2", "list them")
	f.says("POST /v1/deadletters/3/replay", `{"replayed":1}`)
	code, stdout, stderr := call(t, "deadletters", "replay", "1", "2", "3")
	if code != exitFailed || stdout != "dead letter 1 is replayed\ndead letter 3 is replayed\n" || stderr != "gateway: dead letter 2: there is no dead letter 2; list them\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	f.refuses("POST /v1/deadletters/2/replay", http.StatusForbidden, "only operators may do this", "use a token")
	f.changes()
	code, _, stderr = call(t, "deadletters", "replay", "1", "2", "3")
	if got := f.changes(); code != exitFailed || len(got) != 2 || !strings.Contains(stderr, "dead letter 2, after 1 of 3: only operators may do this") {
		t.Errorf("exit %d, asked %q, stderr %q", code, got, stderr)
	}
}

const fewTotals = `{"items":[{"origin":{"kind":"function","name":"shop/cart"},"letters":700,"bytes":17},{"origin":{"kind":"ingress","name":"shop/in"},"letters":50,"bytes":17}],"next":null}`

// bulkServer answers batches: so many, each of batchLetters, one letter of the second refused.
func bulkServer(f *fakeAdmin, what string, letters int) http.HandlerFunc {
	f.says("GET "+totalsPath, fewTotals)
	f.says("GET "+newestPath, `{"number":8000}`)
	done := 0
	h := func(w http.ResponseWriter, r *http.Request) {
		n := min(batchLetters, letters-done)
		done += n
		next, refused := "null", ""
		if done < letters {
			next = fmt.Sprintf(`"%d"`, done)
		} else if n > 1 {
			refused, n = `{"number":777,"why":"no\u001b room"}`, n-1
		}
		fmt.Fprintf(w, `{"done":%d,"refused":[%s],"next":%s,"through":9000}`, n, refused, next)
	}
	f.handles(what, h)
	return h
}

func TestOperatorBulk(t *testing.T) {
	f := newFakeAdmin(t)
	bulkServer(f, "POST /v1/deadletters/replay", 170)
	code, stdout, stderr := call(t, "deadletters", "replay", "--function", "shop/cart", "--yes")
	want := []string{`POST /v1/deadletters/replay {"function":"shop/cart","limit":100}`, `POST /v1/deadletters/replay {"after":"100","function":"shop/cart","limit":100,"through":9000}`}
	if got := f.changes(); !slices.Equal(got, want) {
		t.Errorf("asked %q", got)
	}
	if code != exitFailed || !strings.HasPrefix(stdout, "replayed 169 dead letters in ") || stderr != "gateway: dead letter 777 is left: no\\x1b room\ngateway: 1 dead letter is left; gateway deadletters shows them\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	bulkServer(f, "POST /v1/deadletters/discard", 1)
	code, stdout, _ = call(t, "deadletters", "discard", "--ingress", "shop/in", "--reason", "null key", "--yes")
	if got := f.changes(); code != exitDone || !strings.HasPrefix(stdout, "discarded 1 dead letter in ") || !slices.Equal(got, []string{`POST /v1/deadletters/discard {"ingress":"shop/in","limit":100,"reason":"null key"}`}) {
		t.Errorf("exit %d, asked %q, stdout %q", code, got, stdout)
	}
	refused(t, exitUsage, "deadletters discard needs --yes where nobody can be asked: Discard for good 50 dead letters of ingress shop/in", "deadletters", "discard", "--ingress", "shop/in")
	refused(t, exitUsage, "deadletters replay needs --yes where nobody can be asked: Replay 750 dead letters of every origin", "deadletters", "replay", "--all")
	refused(t, exitUsage, "deadletters replay needs --yes where nobody can be asked: Replay 700 dead letters of function shop/cart", "deadletters", "replay", "--function", "shop/cart")
	if got := f.changes(); len(got) > 0 {
		t.Errorf("asked %q", got)
	}
	must(t, "", "there are no such dead letters\n", "deadletters", "discard", "--egress", "shop/out")
	must(t, "", "there are no such dead letters\n", "deadletters", "replay", "--function", "shop/none")
	if got := f.changes(); len(got) > 0 {
		t.Errorf("asked %q", got)
	}
	bulkServer(f, "POST /v1/deadletters/discard", 1)
	must(t, "discarded 1 dead letter", "", "deadletters", "discard", "--all", "--yes")
	if got := f.changes(); !slices.Equal(got, []string{`POST /v1/deadletters/discard {"all":true,"limit":100}`}) {
		t.Errorf("asked %q", got)
	}
}

// What stops many says how far it came.
func TestOperatorBulkStops(t *testing.T) {
	f := newFakeAdmin(t)
	first := bulkServer(f, "POST /v1/deadletters/replay", 5000)
	ctx, interrupt := contextOf(t)
	f.handles("POST /v1/deadletters/replay", func(w http.ResponseWriter, r *http.Request) { interrupt(); first(w, r) })
	code, stdout, stderr := callIn(ctx, "deadletters", "replay", "--function", "shop/cart", "--yes")
	if got := f.changes(); code != exitFailed || len(got) != 1 || stdout != "" || !strings.HasPrefix(stderr, "gateway: interrupted: 100 dead letters are replayed; what is left can be replayed by the same command\n") {
		t.Errorf("exit %d, asked %q, stdout %q, stderr %q", code, got, stdout, stderr)
	}
	first = bulkServer(f, "POST /v1/deadletters/replay", 5000)
	n := 0
	f.handles("POST /v1/deadletters/replay", func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 2 {
			panic(http.ErrAbortHandler)
		}
		first(w, r)
	})
	code, _, stderr = call(t, "deadletters", "replay", "--function", "shop/cart", "--yes")
	if code != exitFailed || !strings.Contains(stderr, "it is not known whether it was done") || !strings.Contains(stderr, "100 dead letters are replayed") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	f.handles("POST /v1/deadletters/replay", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"done":0,"refused":[],"next":"7"}`) })
	code, _, stderr = call(t, "deadletters", "replay", "--function", "shop/cart", "--yes")
	if code != exitFailed || !strings.Contains(stderr, "goes on where it has been") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

// Elsewhere than on a terminal how far it is comes as a line each few seconds.
func TestOperatorProgress(t *testing.T) {
	var b strings.Builder
	p := newBulkProgress(&b, "replayed", 1000)
	p.add(500)
	p.told = p.told.Add(-bulkToldEvery)
	p.began = p.began.Add(-time.Second)
	p.add(100)
	p.clear()
	if got := b.String(); !strings.HasPrefix(got, "replayed 600 of 1000, ") || !strings.HasSuffix(got, "/s\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}
