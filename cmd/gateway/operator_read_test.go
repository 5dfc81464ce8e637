package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// operatorReads are commands that ask, each with what the API answers and what people see of it.
var operatorReads = map[string]struct {
	args    []string
	asked   string
	answer  string
	want    []string // lines, in order; spaces between columns count as one
	wantErr string
}{
	"stuck": {[]string{"stuck"}, "GET /v1/stuck", `{"items":[
			{"cause":"endpoint_down","since":"x","forSeconds":192,"on":{"kind":"endpoint","name":"http://cart:8000","address":{"namespace":"shop","name":"cart","id":"a b"}},"count":42,"text":"refuses connections","lastError":"connection refused","remedy":"mend it"},
			{"cause":"poisoned","forSeconds":61,"on":{"kind":"address","name":"shop/cart","address":{"namespace":"shop","name":"cart","id":"bo\u001bb"}},"count":1,"text":"answers 500","lastError":"500\n\u001b[2J","remedy":"gateway addresses skip shop/cart 'bo' --message 17","look":"gateway addresses show shop/cart 'bo'"},
			{"cause":"store_slow","forSeconds":2.5,"on":{"kind":"store","name":""},"count":0,"text":"t"}],"next":null}`,
		[]string{
			`FOR CAUSE ON COUNT WHY`,
			`3m12s endpoint_down http://cart:8000 42 refuses connections; the oldest is shop/cart 'a b': connection refused`, `-> mend it`,
			`1m1s poisoned shop/cart $'bo\033b' 1 answers 500: 500\n\x1b[2J`, `gateway addresses show shop/cart 'bo'`, "mend its function first: it is tried again by itself; set aside only what can never succeed", `-> gateway addresses skip shop/cart 'bo' --message 17`,
			`2.5s store_slow store 1 t`,
		}, ""},
	"nothing": {[]string{"stuck"}, "GET /v1/stuck", `{"items":[],"next":null}`, nil, "nothing is stuck\n"},
	"functions": {[]string{"functions"}, "GET /v1/functions?limit=200", `{"items":[
			{"function":"shop/cart","declared":true,"endpoint":"http://x","endpoints":[{"endpoint":"http://x","open":true}],"waiting":{"messages":7,"oldestSeconds":3,"failing":2,"stuck":1},"paused":{"since":"2026-01-02T03:04:05.000Z","by":"ann"},"deadLetters":4},
			{"function":"shop/gone","declared":false,"endpoint":null,"endpoints":null,"waiting":null,"paused":null,"deadLetters":null}],"next":null}`,
		[]string{"FUNCTION MESSAGES OLDEST FAILING STUCK DEAD NOTES", "shop/cart 7 3s 2 1 4 paused, down: http://x", "shop/gone - - - - - not declared"}, ""},
	"function": {[]string{"functions", "shop/cart"}, "GET /v1/functions/shop/cart",
		`{"function":"shop/cart","declared":true,"endpoint":"http://x","endpoints":[{"endpoint":"http://x","open":false,"calls":2,"queued":1}],"onFailure":"retry","states":[{"name":"items","typeName":"io.statefun.types/int","expiration":"after-write","ttlSeconds":3600}],
			"waiting":{"messages":7,"bytes":2048,"oldestSeconds":3,"failing":2,"stuck":1},"paused":{"since":"2026-01-02T03:04:05.000Z","by":"ann@x"},"deadLetters":4}`,
		[]string{"function shop/cart", "declared yes", "paused since 2026-01-02T03:04:05Z by ann@x", "endpoint http://x", "onFailure retry", "messages 7, 2.0KiB", "oldest 3s", "failing 2 addresses, 1 of them for longer than their budget; for up to 0s and 0 attempts", "oldest call -",
			"dead letters 4", "calls 2 are out to http://x, which is not known to be down; 1 address queues", "state items io.statefun.types/int expires 1h after-write"}, ""},
	"failing addresses": {[]string{"addresses", "shop/cart", "--failing"}, "GET /v1/addresses?failing=true&function=shop%2Fcart&limit=200", `{"items":[],"next":null}`,
		nil, "no such address fails\n"},
	"addresses": {[]string{"addresses", "shop/cart", "--prefix", "a b", "--limit", "2"}, "GET /v1/addresses?function=shop%2Fcart&limit=2&prefix=a+b", `{"items":[
			{"address":{"namespace":"shop","name":"cart","id":"a b1"},"shard":3,"inMemory":true,"phase":"waiting","messages":3,"stored":1,"failing":true,"attempts":2,"lastError":"no\nway","paused":true},
			{"address":{"namespace":"shop","name":"cart","id":"a b2"},"shard":3,"inMemory":false,"messages":null,"stored":0,"failing":false,"attempts":0,"lastError":null,"paused":false}],"next":"x"}`,
		[]string{"ID MESSAGES STORED PHASE FAILING PAUSED LAST ERROR", `'a b1' 3 1 waiting 2 attempts paused no\nway`, `'a b2' ? - - - - -`}, "there are more than 2: --limit N shows more, -o json all\n"},
	"timers": {[]string{"timers", "--function", "shop/cart"}, "GET /v1/timers?function=shop%2Fcart&limit=200", `{"items":[
			{"due":"2001-01-01T00:00:00.000Z","number":9,"sender":{"namespace":"shop","name":"clock","id":"1"},"target":{"namespace":"shop","name":"cart","id":"ada"},"token":"t 1","typeName":"x/y","bytes":12}],"next":null}`,
		[]string{"DUE IN NUMBER TARGET SENDER TOKEN TYPE BYTES", `now 9 shop/cart ada shop/clock 1 't 1' x/y 12`}, ""},
	"ingresses": {[]string{"ingresses"}, "GET /v1/ingresses?limit=200", `{"items":[
			{"ingress":"shop/in","kind":"kafka","declared":true,"paused":null,"partitions":4,"waiting":{"kept":2,"dead_letters":1},"lag":120,"oldestSeconds":5,"conditions":["topic does not exist"]},
			{"ingress":"shop/http","kind":"http","declared":true,"paused":{"since":"x"},"partitions":0,"waiting":{},"lag":null,"oldestSeconds":0,"conditions":[]}],"next":null}`,
		[]string{"INGRESS KIND PARTITIONS LAG OLDEST WAITING NOTES", "shop/in kafka 4 120 5s 1 dead_letters, 2 kept topic does not exist", "shop/http http - - - - paused"}, ""},
	"ingress": {[]string{"ingresses", "shop/in"}, "GET /v1/ingresses/shop/in", `{"ingress":"shop/in","kind":"kafka","declared":true,"paused":null,"partitions":1,"lag":120,"oldestSeconds":5,"conditions":[],
			"sources":[{"topic":"orders","partition":3,"position":17,"finished":2,"lag":120,"oldestSeconds":5,"waitsFor":"kept"}]}`,
		[]string{"ingress shop/in", "kind kafka", "declared yes", "lag 120", "oldest 5s", "TOPIC PARTITION POSITION FINISHED LAG OLDEST WAITS FOR", "orders 3 17 2 120 5s kept"}, ""},
	"egresses": {[]string{"egresses"}, "GET /v1/egresses?limit=200", `{"items":[{"egress":"shop/out","kind":"kafka","delivery":"exactly-once","declared":true,"outbox":{"outputs":5,"bytes":4096,"oldestSeconds":61},"conditions":[],
			"lanes":[{"slot":0,"next":9,"delivered":4,"storedFrom":4,"started":true,"halted":"cursor lost"}]}],"next":null}`,
		[]string{"EGRESS KIND DELIVERY OUTPUTS BYTES OLDEST NOTES", "shop/out kafka exactly-once 5 4.0KiB 1m1s cursor lost"}, ""},
	"egress": {[]string{"egresses", "shop/out"}, "GET /v1/egresses/shop/out", `{"egress":"shop/out","kind":"kafka","delivery":"exactly-once","declared":true,"outbox":{"outputs":5,"bytes":4096,"oldestSeconds":61},"conditions":[{"name":"x","text":"cursor lost","since":null}],
			"lanes":[{"slot":0,"next":9,"delivered":4,"storedFrom":4,"started":true,"halted":null},{"slot":1,"next":9,"delivered":4,"storedFrom":4,"started":false,"halted":"cursor lost"}]}`,
		[]string{"egress shop/out", "kind kafka", "delivery exactly-once", "declared yes", "outbox 5 outputs, 4.0KiB, the oldest for 1m1s", "conditions cursor lost", "LANE NEXT DELIVERED STORED FROM STARTED HALTED", "0 9 4 4 yes -", "1 9 4 4 no stands still"}, ""},
	"deadletters": {[]string{"deadletters", "--function", "shop/cart", "--reason", "function keeps failing"}, "GET /v1/deadletters?function=shop%2Fcart&limit=200&reason=function+keeps+failing",
		`{"items":[{"number":17,"kind":"message","from":"shop/cart","target":"no/one","origin":{"kind":"function","name":"shop/cart"},"reason":"unknown function","detail":"says no","at":"2001-01-01T00:00:00.000Z","address":{"namespace":"shop","name":"cart","id":"ada"},"caller":null,"typeName":"a/b","bytes":3}],"next":null}`,
		[]string{"NUMBER AGE KIND FROM REASON ADDRESS BYTES DETAIL", "17 * message function shop/cart unknown function shop/cart ada 3 says no"}, ""},
	"deadletter": {[]string{"deadletters", "show", "17"}, "GET /v1/deadletters/17",
		`{"number":17,"kind":"record","from":"shop/in","target":"shop/$(x)","reason":"null key","detail":"d","at":"2001-01-01T00:00:00.000Z","source":{"ingress":"shop/in","topic":"t","partition":1,"offset":2},"address":null,"caller":null,"typeName":"io.statefun.types/string","key":"YQ==","bytes":3,"encoding":"json","value":"pen \u001b[2J","headers":[{"key":"h","value":null}]}`,
		[]string{"number 17", "at 2001-01-01T00:00:00Z", "kind record", "from shop/in", "reason null key", "detail d", "address -", "caller -", "for 'shop/$(x)'", "source shop/in t/1 offset 2", "key base64 YQ==", "header h -",
			"type io.statefun.types/string", "bytes 3", `value "pen \u001b[2J"`}, ""},
	"totals": {[]string{"deadletters", "totals"}, "GET /v1/deadletters/totals", `{"items":[{"origin":{"kind":"function","name":"shop/cart"},"letters":3,"bytes":17}],"next":null}`,
		[]string{"KIND NAME LETTERS BYTES", "function shop/cart 3 17B"}, ""},
	"members": {[]string{"members"}, "GET /v1/members", `{"items":[{"id":"m1","host":"a","pid":7,"admin":"127.0.0.1:8081","events":"","started":"2001-01-01T00:00:00.000Z","role":"active","epoch":3,"leaseUntil":"2001-01-01T00:00:00.000Z"}],"next":null}`,
		[]string{"ROLE HOST PID ADMIN EVENTS RUNS FOR EPOCH LEASE ID", "active a 7 127.0.0.1:8081 - * 3 over for * m1"}, ""},
	"module": {[]string{"module"}, "GET /v1/module", `{"files":["module.yaml"],"items":[{"kind":"endpoint","id":"shop/*","at":"module.yaml:12","settings":[{"path":"spec.transport.timeouts.call","value":"1m","from":"default"}]}],
			"changes":[{"kind":"endpoint","id":"shop/*","path":"x","was":null,"is":"2"}],"compared":true,"moreChanges":3,"since":"2026-01-02T03:04:05.000Z","changed":"2026-01-03T03:04:05.000Z","next":null}`,
		[]string{"COMPONENT SETTING VALUE FROM", "endpoint shop/* module.yaml:12", "endpoint shop/* spec.transport.timeouts.call 1m default", "COMPONENT SETTING WAS IS", "endpoint shop/* x - 2"},
		"4 settings have changed from the module before, last started 2026-01-02T03:04:05Z; this one since 2026-01-03T03:04:05Z\n"},
	"settings": {[]string{"settings"}, "GET /v1/settings?limit=200", `{"items":[{"name":"lease","value":"3s","from":"default"},{"name":"slots","value":1024,"from":"--slots"}],"next":null}`,
		[]string{"SETTING VALUE FROM", "lease 3s default", "slots 1024 --slots"}, ""},
	"audit": {[]string{"audit", "--limit", "1"}, "GET /v1/audit?limit=1", `{"items":[{"number":4,"at":"2026-01-02T03:04:05.678Z","by":"ann@x","what":"skip","on":"shop/cart/ada","detail":"message 17"}],"next":null}`,
		[]string{"AT NUMBER WHAT ON BY DETAIL", "2026-01-02T03:04:05Z 4 skip shop/cart/ada ann@x message 17"}, ""},
	"log level": {[]string{"log-level"}, "GET /v1/log-level", `{"level":"info"}`, []string{"info"}, ""},
}

func TestOperatorTables(t *testing.T) {
	for name, c := range operatorReads {
		t.Run(name, func(t *testing.T) {
			f := newFakeAdmin(t)
			f.says(c.asked, c.answer)
			code, stdout, stderr := call(t, c.args...)
			if code != exitDone || stderr != c.wantErr {
				t.Errorf("exit %d, stderr %q, want %q", code, stderr, c.wantErr)
			}
			sameLines(t, stdout, c.want)
			if strings.ContainsAny(stdout+stderr, "\x1b\x07") {
				t.Errorf("a terminal obeys what is in %q", stdout+stderr)
			}
			if name == "nothing" {
				return
			}
			code, stdout, _ = call(t, append(c.args, "-o", "json")...)
			var got any
			if err := json.Unmarshal([]byte(stdout), &got); code != exitDone || err != nil || strings.Contains(stdout, "\x1b") {
				t.Errorf("-o json: exit %d, %v in\n%s", code, err, stdout)
			}
			var all struct{ Items []json.RawMessage }
			if items, isList := got.([]any); isList && (json.Unmarshal([]byte(c.answer), &all) != nil || len(items) != len(all.Items)) {
				t.Errorf("-o json has %d items of %d", len(items), len(all.Items))
			}
		})
	}
}

// sameLines compares lines without the widths of columns; * is any word, and empty lines do not count.
func sameLines(t *testing.T, got string, want []string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(got) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	same := len(lines) == len(want)
	for i := 0; same && i < len(want); i++ {
		g, w := strings.Fields(lines[i]), strings.Fields(want[i])
		same = len(g) == len(w)
		for j := 0; same && j < len(w); j++ {
			same = w[j] == "*" || g[j] == w[j]
		}
	}
	if !same {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestOperatorAddress(t *testing.T) {
	f := newFakeAdmin(t)
	const view = `{"address":{"namespace":"shop","name":"cart","id":"ada"},"shard":7,"role":"active","declared":true,"inMemory":true,"phase":"waiting","paused":null,
		"state":[{"name":"items","typeName":"io.statefun.types/int","bytes":4,"encoding":"json","value":3,"version":"00ff","touched":"x","expires":null,"committed":false},
			{"name":"blob","typeName":"x/y","bytes":2,"encoding":"base64","value":"AAE=","version":"0a","expires":"2001-01-01T00:00:00.000Z","committed":true},
			{"name":"huge","typeName":"x/y","bytes":99999999,"encoding":"base64","value":null,"omitted":true,"version":"0b"}],
		"mailbox":{"messages":3,"stored":1,"front":{"number":17,"caller":{"namespace":"shop","name":"in","id":"1"},"typeName":"x/y","bytes":12,"since":"2026-01-02T03:04:05.000Z"}},
		"call":{"since":"x","runningSeconds":1.5,"attempt":2},"failure":{"failedForSeconds":61,"attempts":5,"nextAttempt":"2001-01-01T00:00:00.000Z","budgetIsUsed":true},"lastError":"says\nno",
		"timers":[{"due":"2001-01-01T00:00:00.000Z","number":9,"sender":{"namespace":"shop","name":"cart","id":"ada"},"target":{"namespace":"shop","name":"cart","id":"bob"},"token":"","typeName":"x/y","bytes":12}]}`
	f.says("GET /v1/addresses/shop/cart/ada", view)
	code, stdout, stderr := call(t, "addresses", "show", "shop/cart", "ada")
	if code != exitDone || stderr != "" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	sameLines(t, stdout, []string{
		"address shop/cart ada", "phase waiting", "messages 3, 1 of them in the store alone", "front message 17: x/y of 12B from shop/in 1, since 2026-01-02T03:04:05Z",
		"call out for 1.5s, attempt 2", "failing for 1m1s, 5 attempts, the next in now; longer than its budget", `last error says\nno`, "shard 7",
		"STATE TYPE BYTES VERSION EXPIRES VALUE", "items io.statefun.types/int 4 00ff - 3 (not committed yet; stored is nothing)", "blob x/y 2 0a in now base64 AAE=",
		"huge x/y 99999999 0b - (left out: -o json of it alone has it)",
		"DUE IN NUMBER TARGET SENDER TOKEN TYPE BYTES", "now 9 shop/cart bob shop/cart ada - x/y 12",
	})
	f.says("GET /v1/addresses/shop/cart?id=..", `{"address":{"namespace":"shop","name":"cart","id":".."},"role":"standby","declared":false,"state":[],"mailbox":{"messages":null,"stored":2}}`)
	_, stdout, _ = call(t, "addresses", "show", "shop/cart", "..")
	sameLines(t, stdout, []string{"address shop/cart ..", "declared no: the module says of no endpoint that serves the function", "messages 2 that are stored by address; those that wait in memory, and are stored too, the gateway that works can tell", "shard 0",
		"role standby: what waits in memory is known to the gateway that works"})
	f.says("GET /v1/addresses/shop/cart/late", `{"address":{"namespace":"shop","name":"cart","id":"late"},"role":"active","declared":false,"state":[],"mailbox":{"messages":null,"stored":0}}`)
	_, stdout, _ = call(t, "addresses", "show", "shop/cart", "late")
	sameLines(t, stdout, []string{"address shop/cart late", "declared no: the module says of no endpoint that serves the function",
		"messages 0 that are stored by address; whether others wait is not known: the function is not declared, and has too many addresses", "shard 0"})
	f.says("GET /v1/addresses/shop/cart/none", `{"address":{"namespace":"shop","name":"cart","id":"none"},"role":"active","declared":true,"state":[],"mailbox":{"messages":0,"stored":0,"front":null}}`)
	_, stdout, _ = call(t, "addresses", "show", "shop/cart", "none")
	sameLines(t, stdout, []string{"address shop/cart none", "messages 0", "shard 0", "known nothing: it has no state, no message and no timer, now"})
	if stdout := must(t, "", "", "state", "get", "shop/cart", "none", "-o", "json"); stdout != "[]\n" {
		t.Errorf("no states are %q", stdout)
	}
	code, stdout, _ = call(t, "state", "get", "shop/cart", "ada")
	if code != exitDone || !strings.Contains(stdout, "VERSION") || strings.Contains(stdout, "messages") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}

// A gateway that has taken the question and says nothing is not waited for long, and it is said what that may be.
func TestOperatorStatusOfSilence(t *testing.T) {
	f := newFakeAdmin(t)
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	f.handles("GET /readyz", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	began := time.Now()
	code, stdout, stderr := call(t, "status")
	if took := time.Since(began); took > 3*readyTimeMax {
		t.Errorf("it took %v", took)
	}
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "does not answer in time") || !strings.Contains(stderr, "gateway: its process may be frozen") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// A status of a gateway that is well, of one that is not ready, of one that waits, and of none.
func TestOperatorStatus(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET /readyz", `{"status":"degraded","role":"active","reasons":[{"kind":"endpoint","text":"cart \u001b refuses"}]}`)
	f.says("GET /v1/version", `{"version":"0.1","commit":"abc","store":"sqlite:x"}`)
	f.says("GET /v1/members", `{"items":[{"role":"active","host":"a","pid":7,"admin":"127.0.0.1:8081"}],"next":null}`)
	f.says("GET /v1/stuck", `{"items":[{"cause":"endpoint_down","forSeconds":192,"count":42},{"cause":"poisoned","forSeconds":9,"count":1}],"next":null}`)
	f.says("GET /v1/ingresses?limit=200", `{"items":[{"ingress":"shop/in","lag":120,"oldestSeconds":5,"paused":{"since":"x"}}],"next":null}`)
	f.says("GET /v1/egresses?limit=200", `{"items":[{"egress":"shop/out","outbox":{"outputs":5,"bytes":4096,"oldestSeconds":61},"lanes":[{"halted":"x"}]}],"next":null}`)
	f.says("GET /v1/deadletters/totals", `{"items":[{"origin":{"kind":"function","name":"a/b"},"letters":3,"bytes":17}],"next":null}`)
	code, stdout, stderr := call(t, "status")
	if code != exitDone || stderr != "" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	sameLines(t, stdout, []string{"gateway " + f.url, "status degraded, active", `reason endpoint: cart \x1b refuses`, "version 0.1 commit abc, store sqlite:x", "members active 127.0.0.1:8081 (7 on a)",
		"stuck 42 endpoint_down, 1 poisoned; the oldest for 3m12s", "ingresses 1, 120 records behind, the oldest for 5s, 1 paused", "outbox 5 outputs, 4.0KiB, the oldest for 1m1s; stands still: shop/out",
		"dead letters 3, 17B, of 1 origin", "gateway stuck tells more, and what to do."})
	_, stdout, _ = call(t, "status", "-o", "json")
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || len(all) != 7 {
		t.Errorf("got %d parts, %v:\n%s", len(all), err, stdout)
	}
	f.answer("GET /readyz", fakeAnswer{status: http.StatusServiceUnavailable, body: `{"status":"unready","role":"standby","reasons":[{"kind":"unready","text":"starting"}]}`})
	f.refuses("GET /v1/stuck", http.StatusConflict, "this gateway waits, another one works", "ask 127.0.0.1:9")
	f.refuses("GET /v1/deadletters/totals", http.StatusConflict, "this gateway waits, another one works", "ask 127.0.0.1:9")
	code, stdout, stderr = call(t, "status")
	if !strings.Contains(stdout, "not counted here: gateway deadletters lists them, of this gateway, too") {
		t.Errorf("the dead letters of one that waits:\n%s", stdout)
	}
	if code != exitFailed || stderr != "" || !strings.Contains(stdout, "unready, standby") || !strings.Contains(stdout, "not known: this gateway waits, another one works") {
		t.Errorf("exit %d, %q:\n%s", code, stderr, stdout)
	}
	code, stdout, _ = call(t, "status", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != exitFailed || !strings.Contains(string(all["errors"]), "another one works") {
		t.Errorf("exit %d, %v:\n%s", code, err, stdout)
	}
	f.says("GET /readyz", `{"hello":"world"}`)
	refused(t, exitFailed, "is no admin side of a gateway", "status")
}

// A long list is written whole as JSON, and in a table as far as a person reads.
func TestOperatorLongLists(t *testing.T) {
	f := newFakeAdmin(t)
	const pages, each = 7, 200
	for p := range pages {
		what, next := "GET /v1/deadletters?limit=200", fmt.Sprintf(`"%d"`, p)
		if p > 0 {
			what = fmt.Sprintf("GET /v1/deadletters?after=%d&limit=200", p-1)
		}
		if p == pages-1 {
			next = "null"
		}
		items := make([]string, each)
		for i := range items {
			items[i] = fmt.Sprintf(`{"number":%d}`, p*each+i+1)
		}
		f.says(what, `{"items":[`+strings.Join(items, ",")+`],"next":`+next+`}`)
	}
	code, stdout, stderr := call(t, "deadletters")
	if code != exitDone || strings.Count(stdout, "\n") != tableRows+1 || !strings.Contains(stderr, "there are more than 1000") {
		t.Errorf("exit %d, %d lines, %q", code, strings.Count(stdout, "\n"), stderr)
	}
	code, stdout, stderr = call(t, "deadletters", "-o", "json")
	var all []struct{ Number int }
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != exitDone || stderr != "" || len(all) != pages*each || all[len(all)-1].Number != pages*each {
		t.Errorf("exit %d, %d items, %v, %q", code, len(all), err, stderr)
	}
	f.refuses("GET /v1/deadletters?after=3&limit=200", http.StatusServiceUnavailable, "the store does not answer", "ask again")
	code, stdout, stderr = call(t, "deadletters", "-o", "json")
	if code != exitFailed || json.Valid([]byte(stdout)) || !strings.Contains(stderr, "the store does not answer") {
		t.Errorf("a list that breaks off: exit %d, valid %v, %q", code, json.Valid([]byte(stdout)), stderr)
	}
	f.says("GET /v1/deadletters?limit=200", `{"items":[],"next":null}`)
	if stdout := must(t, "[]\n", "", "deadletters", "-o", "json"); stdout != "[]\n" {
		t.Errorf("got %q", stdout)
	}
	must(t, "", "there are no such dead letters", "deadletters")
}

// How long a lease lasts is told, and since when one is over.
func TestOperatorLeases(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for until, want := range map[string]string{
		"2026-01-02T03:04:08.000Z": "3s", "2026-01-02T03:04:05.000Z": "0s", "2026-01-02T03:04:04.500Z": "now", "2026-01-02T03:04:04.000Z": "over for 1s", "2026-01-02T00:04:05.000Z": "over for 3h",
		"": "-", "\x1b": `$'\033'`,
	} {
		if got := leaseText(until, now); got != want {
			t.Errorf("%q: got %q, want %q", until, got, want)
		}
	}
}
