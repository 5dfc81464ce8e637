package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// change sends a request with a body and headers, each as "Name: value".
func change(t *testing.T, h http.Handler, method, target, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8081"
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	return served(t, h, r)
}

// everyMend is each way to change something, as it is done right, with what the gateway is asked for then.
var everyMend = []struct{ method, target, body, header, asks string }{
	{"POST", "/v1/addresses/shop/cart/a%2Fb/retry", "", "", "retry shop/cart/a/b"},
	{"POST", "/v1/addresses/shop/cart/retry?id=..", "{}", "", "retry shop/cart/.."},
	{"POST", "/v1/addresses/shop/cart/retry/retry", "", "", "retry shop/cart/retry"},
	{"POST", "/v1/addresses/shop/cart/state/retry", "", "", "retry shop/cart/state"},
	{"POST", "/v1/addresses/shop/cart/a/skip", `{"message":17}`, "", "skip shop/cart/a 17"},
	{"POST", "/v1/addresses/shop/cart/skip?id=", ` {"message": "17"} `, "", "skip shop/cart/ 17"},
	{"POST", "/v1/addresses/shop/cart/a/pause", "", "", `pause 1 shop/cart/a "" ended false`},
	{"POST", "/v1/addresses/shop/cart/a/resume", "", "", `pause 1 shop/cart/a "" ended true`},
	{"POST", "/v1/functions/shop/cart/pause", "", "", `pause 2 shop/cart/ "" ended false`},
	{"POST", "/v1/functions/a%2Fb/c%25/resume", "", "", `pause 2 a/b/c%/ "" ended true`},
	{"POST", "/v1/ingresses/shop/in/pause", "", "", `pause 3 // "shop/in" ended false`},
	{"POST", "/v1/ingresses/shop/in/resume", "", "", `pause 3 // "shop/in" ended true`},
	{"POST", "/v1/ingresses/shop/in/forget", "", "", `forget ingress "shop/in"`},
	{"POST", "/v1/egresses/shop/out/forget", "", "", `forget egress "shop/out"`},
	{"POST", "/v1/egresses/shop/out/lanes/0/decide", `{"deliver":"stored"}`, "", `decide "shop/out" 0 {Stored:true New:false From:0}`},
	{"POST", "/v1/egresses/shop/out/lanes/3/decide", `{"deliver":"new"}`, "", `decide "shop/out" 3 {Stored:false New:true From:0}`},
	{"POST", "/v1/egresses/shop/out/lanes/0/decide", `{"deliver":9007199254740993}`, "", `decide "shop/out" 0 {Stored:false New:false From:9007199254740993}`},
	{"DELETE", "/v1/deadletters/7", "", "", "discard 7"},
	{"POST", "/v1/deadletters/7/replay", "", "", "replay 7"},
	{"POST", "/v1/deadletters/7/replay", `{"to":{"namespace":"shop","name":"cart","id":"é"}}`, "", "replay 7 to shop/cart/é"},
	{"POST", "/v1/deadletters/replay", `{"function":"shop/cart","reason":"skipped","after":"3","through":90,"limit":1000}`, "", `replay dead letters of function shop/cart, reason "skipped"`},
	{"POST", "/v1/deadletters/discard", `{"all":true}`, "Content-Type: application/json; charset=utf-8", "discard all dead letters"},
	{"POST", "/v1/deadletters/discard", `{"ingress":"shop/in"}`, "Content-Type: application/x-www-form-urlencoded", "discard dead letters of ingress shop/in"},
	{"POST", "/v1/deadletters/replay", `{"egress":"shop/out","after":12}`, "", "replay dead letters of egress shop/out"},
	{"PUT", "/v1/addresses/shop/cart/a/state/total", `{"typeName":"io.statefun.types/int","encoding":"json","value":7}`, `If-Match: "0123456789abcdef"`, `set shop/cart/a "total" to io.statefun.types/int "\r\a\x00\x00\x00" if "0123456789abcdef"`},
	{"PUT", "/v1/addresses/shop/cart/state/total?id=a", `{"typeName":"t/x","encoding":"base64","value":"/w=="}`, `If-None-Match: *`, `set shop/cart/a "total" to t/x "\xff" if ""`},
	{"PUT", "/v1/addresses/shop/cart/state/state/a%2Fb?force=true", `{"typeName":"t/x","value":{"a": [1.0]}}`, "", `set shop/cart/state "a/b" to t/x "{\"a\":[1.0]}" whatever is there`},
	{"DELETE", "/v1/addresses/shop/cart/a/state/total", "", `If-Match: "0123456789abcdef"`, `delete shop/cart/a "total" if "0123456789abcdef"`},
	{"DELETE", "/v1/addresses/shop/cart/state/total?id=&force=true", "", "", `delete shop/cart/ "total" whatever is there`},
}

func TestMends(t *testing.T) {
	for _, c := range everyMend {
		f := &fake{fakeMender: fakeMender{version: "fedcba9876543210", next: 12, last: 90}}
		var headers []string
		if c.header != "" {
			headers = []string{c.header}
		}
		a := change(t, handlerOf(f), c.method, c.target, c.body, headers...)
		if a.status != 200 && a.status != 204 || len(f.asked) != 1 || f.asked[0] != c.asks {
			t.Errorf("%s %s %s: got %d %s, asked for %q, want %q", c.method, c.target, c.body, a.status, a.text, f.asked, c.asks)
		}
		if (a.status == 204) != (a.text == "") {
			t.Errorf("%s %s: %d with %q", c.method, c.target, a.status, a.text)
		}
		if c.method == "PUT" && (a.header.Get("ETag") != `"fedcba9876543210"` || a.body["version"] != "fedcba9876543210") {
			t.Errorf("%s %s: ETag %q, %s", c.method, c.target, a.header.Get("ETag"), a.text)
		}
		if strings.HasSuffix(c.target, "decide") && a.body["next"] != 12.0 {
			t.Errorf("%s: %s", c.target, a.text)
		}
	}
}

// TestResumeOfPausedFunction: who resumes an address is told that it stays paused with its function, and what ends that.
func TestResumeOfPausedFunction(t *testing.T) {
	pause := &statestore.Pause{Kind: statestore.PauseFunction, AtMS: 1_700_000_000_000, By: "ann"}
	for name, c := range map[string]struct {
		view machine.View
		err  error
		want string
	}{
		"its function is paused": {machine.View{Paused: pause}, nil, `{"changed":true,"near":null,"paused":{"of":"function","since":"2023-11-14T22:13:20.000Z","by":"ann"},"remedy":"POST /v1/functions/shop/a%20cart/resume"}`},
		"nothing is":             {machine.View{}, nil, `{"changed":true,"near":null,"paused":null,"remedy":null}`},
		"it was paused again":    {machine.View{Paused: &statestore.Pause{Kind: statestore.PauseAddress}}, nil, `{"changed":true,"near":null,"paused":null,"remedy":null}`},
		"nobody can look":        {machine.View{Paused: pause}, statestore.ErrUnavailable, `{"changed":true,"near":null,"paused":null,"remedy":null}`},
	} {
		f := &fake{fakeMender: fakeMender{paused: report.PauseDone{Changed: true}}, views: func([]api.Address) ([]machine.View, error) { return []machine.View{c.view}, c.err }}
		wantCompact(t, name, change(t, handlerOf(f), "POST", "/v1/addresses/shop/a%20cart/bob/resume", ""), c.want)
	}
}

func wantCompact(t *testing.T, what string, a answer, want string) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Compact(&got, []byte(a.text)); a.status != 200 || err != nil || got.String() != want {
		t.Errorf("%s: %d %s, want %s", what, a.status, a.text, want)
	}
}

// TestResumeOfWhatIsNotPaused: whoever resumes is told whether there was a pause to end, and which one he probably meant.
func TestResumeOfWhatIsNotPaused(t *testing.T) {
	visits := api.FunctionType{Namespace: "app", Name: "visits"}
	for _, c := range []struct {
		path string
		near statestore.Pause
		want string
	}{
		{"functions/app/visit", statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: visits}}, `"app/visits"`},
		{"ingresses/app/inn", statestore.Pause{Kind: statestore.PauseIngress, Ingress: "app/in"}, `"app/in"`},
		{"addresses/app/visits/adda", statestore.Pause{Kind: statestore.PauseAddress, Address: api.Address{Type: visits, ID: "a/\"da"}}, `{"namespace":"app","name":"visits","id":"a/\"da"}`},
	} {
		rest := "}"
		if strings.HasPrefix(c.path, "addresses") {
			rest = `,"paused":null,"remedy":null}`
		}
		for _, done := range []report.PauseDone{{Changed: true}, {}, {Near: &c.near}} {
			near := "null"
			if done.Near != nil {
				near = c.want
			}
			f := &fake{fakeMender: fakeMender{paused: done}}
			wantCompact(t, c.path, change(t, handlerOf(f), "POST", "/v1/"+c.path+"/resume", ""), fmt.Sprintf(`{"changed":%v,"near":%s%s`, done.Changed, near, rest))
		}
	}
}

// TestPauseOfAFunctionNobodyKnows: it is in force before the first message, but whoever mistypes the name is told.
func TestPauseOfAFunctionNobodyKnows(t *testing.T) {
	for _, unheard := range []bool{false, true} {
		f := &fake{fakeMender: fakeMender{paused: report.PauseDone{Changed: true, Unheard: unheard}}}
		wantCompact(t, "a pause", change(t, handlerOf(f), "POST", "/v1/functions/app/nope/pause", ""), fmt.Sprintf(`{"known":%v}`, !unheard))
	}
}

// TestMendOutcomes: whoever asks is told whether it is done, not done and why, or that nobody knows.
func TestMendOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"nothing":     {fmt.Errorf("%w: it is gone", dispatcher.ErrNothing), 404, ""},
		"changed":     {fmt.Errorf("edit: %w", dispatcher.ErrChanged), 412, "look at it again"},
		"objection":   {fmt.Errorf("skip: %w", &dispatcher.Objection{Detail: "a call is out", Remedy: "pause the address"}), 409, "pause the address"},
		"not yet":     {fmt.Errorf("%w: a call is out: %w", dispatcher.ErrNotSent, context.DeadlineExceeded), 503, "its turn has not come: a call is out, or others wait before it; nothing has happened"},
		"anew":        {fmt.Errorf("%w: no commit holds it: %w", dispatcher.ErrNotSent, statestore.ErrFenced), 503, "the gateway has begun anew before this was made; nothing has happened"},
		"standby":     {&report.Standby{Owner: "10.0.0.9:8081", Host: "b"}, 409, "10.0.0.9:8081"},
		"late":        {fmt.Errorf("it: %w", context.DeadlineExceeded), 504, "not known whether this was done"},
		"maybe":       {fmt.Errorf("%w: the incarnation has ended", dispatcher.ErrSentMaybe), 503, "not known whether this was done"},
		"store":       {statestore.ErrUnavailable, 503, "not known whether this was done"},
		"fenced":      {statestore.ErrFenced, 503, "not known whether this was done"},
		"of its kind": {errSecret, 503, "not known whether this was done"},
	} {
		for _, m := range everyMend {
			f := &fake{fakeMender: fakeMender{last: 90, outcome: func(string) error { return c.err }}}
			a := change(t, handlerOf(f), m.method, m.target, m.body, m.header)
			wantProblem(t, a, c.status)
			if !strings.Contains(a.text, c.says) || strings.Contains(a.text, "hunter2") {
				t.Errorf("%s: %s %s: %s", name, m.method, m.target, a.text)
			}
			if (a.status == 503 || a.status == 504) && a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %s %s: no Retry-After", name, m.method, m.target)
			}
		}
	}
	f := &fake{err: statestore.ErrUnavailable}
	wantProblem(t, change(t, handlerOf(f), "POST", "/v1/functions/a/b/pause", ""), 503)
}

func TestDiscard(t *testing.T) {
	f := &fake{fakeMender: fakeMender{outcome: func(what string) error {
		if what != "discard 7" {
			return dispatcher.ErrNothing
		}
		return nil
	}}}
	if a := raw(t, f, "DELETE", "/v1/deadletters/7"); a.status != 204 || a.text != "" {
		t.Errorf("got %d %q", a.status, a.text)
	}
	wantProblem(t, raw(t, f, "DELETE", "/v1/deadletters/8"), 404)
	for _, bad := range []string{"0", "-1", "x", "1.5", "99999999999999999999", "7?force=1", "%37x", "+7", "%2e%2e"} {
		for _, method := range []string{"GET", "DELETE"} {
			wantProblem(t, raw(t, f, method, "/v1/deadletters/"+bad), 400)
		}
	}
	wantProblem(t, raw(t, f, "DELETE", "/v1/deadletters/"), 404)
	if a := raw(t, f, "POST", "/v1/deadletters/7"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, DELETE" {
		t.Errorf("got %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	if diff := cmp.Diff([]string{"discard 7", "discard 8"}, f.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// TestChangedSaysTheVersion: who has seen an older state is told which one is there.
func TestChangedSaysTheVersion(t *testing.T) {
	f := &fake{fakeMender: fakeMender{version: "fedcba9876543210", outcome: func(string) error { return dispatcher.ErrChanged }}}
	a := change(t, handlerOf(f), "PUT", "/v1/addresses/a/b/c/state/s", `{"typeName":"t","value":{}}`, `If-Match: "v"`)
	wantProblem(t, a, 412)
	if got := a.header.Get("ETag"); got != `"fedcba9876543210"` {
		t.Errorf("the ETag is %s", got)
	}
}

// TestMendsAreNoPages: a page in an operator's browser changes nothing, not even one of the gateway's own.
func TestMendsAreNoPages(t *testing.T) {
	f := &fake{}
	h := protected(f, Access{})
	for _, m := range everyMend {
		for _, origin := range []string{"http://127.0.0.1:8081", "https://evil.example", "null", ""} {
			a := change(t, h, m.method, m.target, m.body, "Origin: "+origin)
			wantProblem(t, a, 403)
		}
	}
	wantProblem(t, change(t, h, "PUT", "/v1/log-level", `{"level":"debug"}`, "Origin: http://127.0.0.1:8081"), 403)
	if len(f.asked) > 0 {
		t.Errorf("the gateway is asked for %q", f.asked)
	}
}

// TestBodies: what is not exactly what is wanted changes nothing, and whoever sent it is told what is wanted.
func TestBodies(t *testing.T) {
	skip, select_, decide, set, none := "/v1/addresses/a/b/c/skip", "/v1/deadletters/replay", "/v1/egresses/a/b/lanes/0/decide", "/v1/addresses/a/b/c/state/s?force=true", "/v1/functions/a/b/pause"
	huge := `{"message":` + strings.Repeat(" ", mendBytesMax) + `1}`
	for _, c := range []struct {
		target, body, header string
		status               int
	}{
		{skip, ``, "", 400}, {skip, ` `, "", 400}, {skip, `{}`, "", 400}, {skip, `null`, "", 400}, {skip, `[]`, "", 400}, {skip, `17`, "", 400}, {skip, `{"message":17`, "", 400},
		{skip, `{"message":17}{"message":17}`, "", 400}, {skip, `{"message":17} }`, "", 400}, {skip, `{"message":17}]`, "", 400}, {skip, `{"message":17},`, "", 400}, {skip, `{"message":17}x`, "", 400},
		{skip, `{"message":17,"message":18}`, "", 400}, {skip, `{"message":17,"Message":18}`, "", 400}, {skip, `{"Message":17}`, "", 400}, {skip, `{"message":17,"x":1}`, "", 400},
		{skip, `{"message":null}`, "", 400}, {skip, `{"message":1.5}`, "", 400}, {skip, `{"message":1e3}`, "", 400}, {skip, `{"message":-1}`, "", 400}, {skip, `{"message":true}`, "", 400}, {skip, `{"message":[17]}`, "", 400},
		{skip, `{"message":18446744073709551616}`, "", 400}, {skip, `{"message":"x"}`, "", 400}, {skip, `{"message":" 17"}`, "", 400}, {skip, "{\"message\":17,\"\xff\":1}", "", 400}, {skip, "\xef\xbb\xbf{\"message\":17}", "", 400},
		{skip, strings.Repeat("[", 100_00), "", 400}, {skip, `{"message":` + strings.Repeat("[", 20_000), "", 400}, {skip, huge, "", 413},
		{skip, `{"message":17}`, "Content-Type: text/plain", 415}, {skip, `{"message":17}`, "Content-Type: application/json; charset=latin1", 415}, {skip, `{"message":17}`, "Content-Type: ;;", 415},
		{skip, `{"message":17}`, "Content-Type: multipart/form-data; boundary=x", 415}, {skip, `{"message":17}`, "Content-Encoding: gzip", 415},
		{none, `{"message":17}`, "", 400}, {none, `x`, "", 400}, {none, ` `, "", 400}, {none, "{}{}", "", 400},
		{select_, ``, "", 400}, {select_, `{}`, "", 400}, {select_, `{"all":false}`, "", 400}, {select_, `{"all":null}`, "", 400}, {select_, `{"all":"true"}`, "", 400}, {select_, `{"all":1}`, "", 400},
		{select_, `{"all":true,"function":"a/b"}`, "", 400}, {select_, `{"function":"a/b","egress":"a/b"}`, "", 400}, {select_, `{"function":""}`, "", 400}, {select_, `{"function":7}`, "", 400}, {select_, `{"function":null}`, "", 400},
		{select_, `{"all":true,"limit":0}`, "", 400}, {select_, `{"all":true,"limit":1001}`, "", 400}, {select_, `{"all":true,"limit":-1}`, "", 400}, {select_, `{"all":true,"after":"x"}`, "", 400}, {select_, `{"all":true,"after":null}`, "", 400},
		{select_, `{"all":true,"reason":5}`, "", 400}, {select_, `{"all":true,"through":1.0}`, "", 400}, {select_, `{"reason":"skipped"}`, "", 400}, {select_ + "?after=3", `{"all":true}`, "", 400},
		{decide, ``, "", 400}, {decide, `{"deliver":"old"}`, "", 400}, {decide, `{"deliver":0}`, "", 400}, {decide, `{"deliver":null}`, "", 400}, {decide, `{"deliver":"STORED"}`, "", 400}, {decide, `{"deliver":-1}`, "", 400}, {decide, `{}`, "", 400},
		{set, ``, "", 400}, {set, `{"typeName":"t"}`, "", 400}, {set, `{"value":1}`, "", 400}, {set, `{"typeName":"","value":{}}`, "", 400}, {set, `{"typeName":7,"value":{}}`, "", 400}, {set, `{"typeName":"t","encoding":"hex","value":"00"}`, "", 400},
		{set, `{"typeName":"t","encoding":7,"value":"00"}`, "", 400}, {set, `{"typeName":"t","encoding":"base64","value":"%"}`, "", 400}, {set, `{"typeName":"t","encoding":"base64","value":[1,2]}`, "", 400}, {set, `{"typeName":"t","encoding":"base64","value":null}`, "", 400},
		{set, `{"typeName":"io.statefun.types/int","value":2147483648}`, "", 400}, {set, `{"typeName":"` + strings.Repeat("t", 100_000) + `","value":{}}`, "", 400},
		{"/v1/deadletters/7/replay", `{"to":null}`, "", 400}, {"/v1/deadletters/7/replay", `{"to":{"namespace":"a","name":"b"}}`, "", 400}, {"/v1/deadletters/7/replay", `{"to":{"namespace":"a","name":"b","id":7}}`, "", 400},
		{"/v1/deadletters/7/replay", `{"to":{"namespace":"a","name":"","id":"c"}}`, "", 400}, {"/v1/deadletters/7/replay", `{"to":{"namespace":"a","name":"b","id":"c","x":"d"}}`, "", 400}, {"/v1/deadletters/7/replay", `{"to":"a/b/c"}`, "", 400},
		{"/v1/deadletters/0/replay", ``, "", 400}, {"/v1/deadletters/x/replay", ``, "", 400}, {"/v1/deadletters/7/replay?x=1", ``, "", 400},
		{"/v1/addresses/a/b/retry", ``, "", 400}, {"/v1/addresses/a/b/c/retry?id=c", ``, "", 400}, {"/v1/addresses/a/%ff/c/retry", ``, "", 400}, {"/v1/addresses/a/b/%ff/retry", ``, "", 400}, {"/v1/functions/a/%ff/pause", ``, "", 400}, {"/v1/functions/a/b/pause?x=y", ``, "", 400},
		{"/v1/egresses/a/b/lanes/x/decide", `{"deliver":"new"}`, "", 400}, {"/v1/egresses/a/b/lanes/-1/decide", `{"deliver":"new"}`, "", 400}, {"/v1/egresses/a/b/lanes/99999999999/decide", `{"deliver":"new"}`, "", 400},
		{"/v1/addresses/a/b/c/state/%ff?force=true", `{"typeName":"t","value":{}}`, "", 400},
	} {
		method := "POST"
		if strings.Contains(c.target, "/state/") {
			method = "PUT"
		}
		f := &fake{}
		a := change(t, handlerOf(f), method, c.target, c.body, c.header)
		wantProblem(t, a, c.status)
		if len(f.asked) > 0 {
			t.Errorf("%s %.80s is done: %q", c.target, c.body, f.asked)
		}
		if c.status == 413 && !strings.Contains(a.text, fmt.Sprint(mendBytesMax)) {
			t.Errorf("the bound is not named: %s", a.text)
		}
	}
	for _, h := range []string{"/v1/log-level"} { // a body that goes on says what nobody has checked
		for _, body := range []string{`{"level":"debug"} }`, `{"level":"debug"}]`, `{"level":"debug","level":"info"}`, `{"Level":"debug"}`} {
			wantProblem(t, change(t, handlerOf(&fake{}), "PUT", h, body), 400)
		}
	}
}

// cutBody ends before it should.
type cutBody struct{ io.Reader }

func (cutBody) Close() error { return nil }

func TestBodyThatIsCut(t *testing.T) {
	f := &fake{}
	r := httptest.NewRequest("POST", "/v1/addresses/a/b/c/skip", nil)
	r.Body = cutBody{io.MultiReader(strings.NewReader(`{"message":17}`), errReader{})}
	wantProblem(t, served(t, handlerOf(f), r), 400)
	if len(f.asked) > 0 {
		t.Errorf("asked for %q", f.asked)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the connection is lost") }

// TestPreconditions: a state is changed only by who says what is there.
func TestPreconditions(t *testing.T) {
	const target, body = "/v1/addresses/a/b/c/state/s", `{"typeName":"t","value":{}}`
	for _, c := range []struct {
		method, query string
		headers       []string
		status        int
		asks          string
	}{
		{"PUT", "", nil, 428, ""},
		{"DELETE", "", nil, 428, ""},
		{"PUT", "", []string{`If-Match: "v"`}, 200, `if "v"`},
		{"DELETE", "", []string{`If-Match:  "v" `}, 204, `if "v"`},
		{"PUT", "", []string{`If-None-Match: *`}, 200, `if ""`},
		{"DELETE", "", []string{`If-None-Match: *`}, 400, ""},
		{"PUT", "?force=true", nil, 200, "whatever is there"},
		{"DELETE", "?force=true", nil, 204, "whatever is there"},
		{"PUT", "?force=false", nil, 400, ""},
		{"PUT", "?force", nil, 400, ""},
		{"PUT", "?force=true&force=true", nil, 400, ""},
		{"PUT", "?force=true", []string{`If-Match: "v"`}, 400, ""},
		{"PUT", "", []string{`If-Match: "v"`, `If-Match: "w"`}, 400, ""},
		{"PUT", "", []string{`If-Match: "v"`, `If-None-Match: *`}, 400, ""},
		{"PUT", "", []string{`If-Match: *`}, 400, ""},
		{"PUT", "", []string{`If-Match: v`}, 400, ""},
		{"PUT", "", []string{`If-Match: ""`}, 400, ""},
		{"PUT", "", []string{`If-Match: W/"v"`}, 400, ""},
		{"PUT", "", []string{`If-Match: "v", "w"`}, 400, ""},
		{"PUT", "", []string{`If-None-Match: "v"`}, 400, ""},
		{"PUT", "?version=v", nil, 400, ""},
	} {
		f := &fake{fakeMender: fakeMender{version: "x"}}
		send := body
		if c.method == "DELETE" {
			send = ""
		}
		a := change(t, handlerOf(f), c.method, target+c.query, send, c.headers...)
		if a.status != c.status || (c.asks == "") != (len(f.asked) == 0) || c.asks != "" && !strings.HasSuffix(f.asked[0], c.asks) {
			t.Errorf("%s %q %q: got %d %s, asked for %q", c.method, c.query, c.headers, a.status, a.text, f.asked)
		}
		if c.status >= 400 {
			wantProblem(t, a, c.status)
		}
	}
}

// TestBy: the audit knows who it was, as far as he says so, from where, and by which token; whatever he says is harmless.
func TestBy(t *testing.T) {
	for name, c := range map[string]struct {
		header, token string
		roles         func(string) Role
		want          string
	}{
		"nobody":    {"", "", nil, "somebody at 192.0.2.1"},
		"a name":    {"ada@host", "", nil, "ada@host at 192.0.2.1"},
		"a token":   {"ada@host", "Bearer operator", roles, "ada@host at 192.0.2.1, token 06e55b"},
		"unchecked": {"", "Bearer operator", nil, "somebody at 192.0.2.1"},
		"hostile":   {"a\x1b[2J\u202eb\u200b\u009b\u2028c\xffd\u00a0e", "", nil, "a[2Jbcd e at 192.0.2.1"},
		"spaces":    {"  \t ", "", nil, "somebody at 192.0.2.1"},
		"long":      {strings.Repeat("é", 300), "", nil, strings.Repeat("é", 100) + " at 192.0.2.1"},
	} {
		f := &fake{}
		r := httptest.NewRequest("POST", "/v1/functions/a/b/pause", nil)
		r.Host = "127.0.0.1:8081"
		r.Header["Stategate-Operator"] = []string{c.header}
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		if a := served(t, protected(f, Access{Role: c.roles}), r); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
		if f.by != c.want {
			t.Errorf("%s: by %q, want %q", name, f.by, c.want)
		}
	}
}

func TestBatch(t *testing.T) {
	f := &fake{fakeMender: fakeMender{batch: dispatcher.Batch{Done: 3, Refused: []machine.RefusedLetter{{Number: 5, Why: "<x>"}}, Last: 12}}}
	a := change(t, handlerOf(f), "POST", "/v1/deadletters/replay", `{"all":true,"through":90}`)
	want := map[string]any{"done": 3.0, "refused": []any{map[string]any{"number": 5.0, "why": "<x>"}}, "through": 90.0, "next": "12"}
	if diff := cmp.Diff(want, a.body); diff != "" || strings.Contains(a.text, "<x>") {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.batch = dispatcher.Batch{End: true, Last: 99}
	a = change(t, handlerOf(f), "POST", "/v1/deadletters/discard", `{"function":"a/b","through":90,"after":"12","reason":"r","limit":7}`)
	if diff := cmp.Diff(map[string]any{"done": 0.0, "refused": []any{}, "through": 90.0, "next": nil}, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.last = 90 // asked once, and from then on it is the client's to say
	a = change(t, handlerOf(f), "POST", "/v1/deadletters/discard", `{"all":true}`)
	if a.body["through"] != 90.0 || len(f.asked) != 3 {
		t.Errorf("%s, asked for %q", a.text, f.asked)
	}
	f.last = 0
	a = change(t, handlerOf(f), "POST", "/v1/deadletters/discard", `{"all":true}`)
	if a.status != 200 || a.body["next"] != nil || a.body["done"] != 0.0 || len(f.asked) != 3 {
		t.Errorf("without any letter: %s, asked for %q", a.text, f.asked)
	}
	if got, want := f.asked[1], fmt.Sprintf("discard %+v", dispatcher.Selection{Origin: "function a/b", Reason: "r", After: 12, Through: 90, Limit: 7}); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// TestMendsLeaveRoomToLook: changes that wait for long, for the store or for a call, keep nobody from looking.
func TestMendsLeaveRoomToLook(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	f := &fake{turning: true, fakeMender: fakeMender{outcome: func(string) error { entered <- struct{}{}; <-leave; return nil }}}
	h := handlerOf(f)
	done := make(chan int, mendsMax)
	for range mendsMax {
		go func() { done <- change(t, h, "POST", "/v1/functions/a/b/pause", "").status }()
		<-entered
	}
	a := change(t, h, "POST", "/v1/functions/a/b/pause", "")
	wantProblem(t, a, 503)
	if !strings.Contains(a.text, "nothing has happened") || a.header.Get("Retry-After") == "" {
		t.Errorf("got %s", a.text)
	}
	if a := change(t, h, "GET", "/v1/addresses/a/b/c", ""); a.status != 200 {
		t.Errorf("a look: %d %s", a.status, a.text)
	}
	close(leave)
	for range mendsMax {
		if status := <-done; status != 200 {
			t.Errorf("got %d", status)
		}
	}
}

// TestLargeValues: states of many megabytes are taken, few at a time, and none beyond the bound.
func TestLargeValues(t *testing.T) {
	f := &fake{fakeMender: fakeMender{version: "x"}}
	h := handlerOf(f)
	const target = "/v1/addresses/a/b/c/state/s?force=true"
	body := `{"typeName":"t","encoding":"base64","value":"` + strings.Repeat("AAAA", 5<<20) + `"}`
	if a := change(t, h, "PUT", target, body); a.status != 200 || len(f.asked) != 1 {
		t.Errorf("20 MiB: %d %s", a.status, a.text)
	}
	wantProblem(t, change(t, h, "PUT", target, body[:len(body)-2]+strings.Repeat("AAAA", 4<<20)+`"}`), 413)

	entered, leave := make(chan struct{}), make(chan struct{})
	f.outcome = func(string) error { entered <- struct{}{}; <-leave; return nil }
	done := make(chan int, largeBodies+2)
	small := `{"typeName":"t","value":{}}`
	spaced := small + strings.Repeat(" ", smallBody)
	for range largeBodies {
		go func() { done <- change(t, h, "PUT", target, spaced).status }()
		<-entered
	}
	wantProblem(t, change(t, h, "PUT", target, spaced), 503)
	go func() { done <- change(t, h, "PUT", target, small).status }() // small ones need not wait for them
	<-entered
	go func() { done <- change(t, h, "DELETE", target, "").status - 4 }()
	<-entered
	close(leave)
	for range largeBodies + 2 {
		if status := <-done; status != 200 {
			t.Errorf("got %d", status)
		}
	}
}

// TestEndedQuestions: whoever is still there when a question has ended - a body came too slowly - reads no answer that looks as though it
// were done.
func TestEndedQuestions(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	f := &fake{turning: true, fakeMender: fakeMender{outcome: func(string) error { return context.Cause(ended) }}}
	ask := func(method, target string, body io.Reader, want int) {
		t.Helper()
		r := httptest.NewRequestWithContext(ended, method, target, body)
		r.Host = "127.0.0.1:8081"
		wantProblem(t, served(t, handlerOf(f), r), want)
	}
	const state = "/v1/addresses/a/b/c/state/s?force=true"
	ask("PUT", state, io.MultiReader(strings.NewReader(`{"typeName":`), iotest.ErrReader(os.ErrDeadlineExceeded)), http.StatusRequestTimeout)
	if len(f.asked) != 0 {
		t.Errorf("asked %v", f.asked)
	}
	ask("DELETE", state, nil, http.StatusServiceUnavailable)
}
