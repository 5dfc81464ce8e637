package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// TestQuestions: what cannot be understood is refused with what is wanted, and asks the application nothing.
func TestQuestions(t *testing.T) {
	long := strings.Repeat("x", api.NameBytesMax+1)
	f := &fake{err: nil}
	f.addresses = func(api.FunctionType, string, []byte, int) ([]api.Address, []byte, error) {
		t.Error("addresses are asked for")
		return nil, nil, nil
	}
	f.timers = func(statestore.TimerKey, int) ([]statestore.Timer, error) {
		t.Error("timers are asked for")
		return nil, nil
	}
	f.acts = func(uint64, int) ([]statestore.Act, error) {
		t.Error("acts are asked for")
		return nil, nil
	}
	f.dead = func(uint64, int) ([]api.DeadLetter, error) {
		t.Error("dead letters are asked for")
		return nil, nil
	}
	f.functions = func() ([]report.Function, error) {
		t.Error("functions are asked for")
		return nil, nil
	}
	f.stuck = func(int) ([]report.Stuck, error) {
		t.Error("what is stuck is asked for")
		return nil, nil
	}
	for _, path := range []string{functionsPath, addressesPath, ingressesPath, egressesPath, timersPath, deadLettersPath, auditPath} {
		with := "?"
		if path == addressesPath {
			with = "?function=a/b&"
		}
		for _, query := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "x=1", "%zz", "after=1;limit=2", "AFTER=1", "after=1&after=2"} {
			wantProblem(t, get(t, f, path+with+query), 400)
		}
	}
	for _, target := range []string{
		addressesPath, addressesPath + "?function=", addressesPath + "?function=a", addressesPath + "?function=a/b/c", addressesPath + "?function=/" + long, addressesPath + "?function=%ff/b",
		addressesPath + "?function=a/b&prefix=%ff", addressesPath + "?function=a/b&prefix=" + strings.Repeat("x", api.IDBytesMax+1), addressesPath + "?function=a/b&after=", addressesPath + "?function=a/b&after=!",
		addressesPath + "?function=a/b&after=" + strings.Repeat("A", 2*cursorMax), addressesPath + "?function=a/b&after=YQ==", addressesPath + "?function=a/b&failing=yes", addressesPath + "?function=a/b&failing=",
		timersPath + "?after=", timersPath + "?after=7", timersPath + "?after=-7", timersPath + "?after=x-7", timersPath + "?after=1-99999999999999999999", timersPath + "?after=99999999999999999999-1", timersPath + "?function=x",
		auditPath + "?after=x", auditPath + "?after=-1", auditPath + "?after=", auditPath + "?after=99999999999999999999",
		deadLettersPath + "?after=x", deadLettersPath + "?function=a/b&ingress=a/b", deadLettersPath + "?egress=", deadLettersPath + "?ingress=" + strings.Repeat("x", 2*api.NameBytesMax+1), deadLettersPath + "?raw=1",
		deadLettersPath + "?raw=", deadLettersPath + "/totals?x=1", deadLettersPath + "/newest?x=1", "/v1/deadletters/7?raw=yes", "/v1/deadletters/7?x=1",
		functionsPath + "/a/b?x=1", functionsPath + "/a/%ff", functionsPath + "/a/" + long, ingressesPath + "/a/b?limit=1", ingressesPath + "/%ff/b", egressesPath + "/a/" + long, stuckPath + "?limit=1", membersPath + "?x",
		"/v1/addresses/a/b/c?raw=1", "/v1/addresses/a/b/c/state/%ff?raw=x", "/v1/addresses/a/b/c/state/s?id=c", "/v1/addresses/a/b/state/s", "/v1/addresses/a/b/%ff/state/s", "/v1/addresses/a//c/state/s",
	} {
		a := get(t, f, target)
		if a.status != 400 || len(a.text) > 2000 {
			t.Errorf("%.100s: %d, %d bytes", target, a.status, len(a.text))
		}
		wantProblem(t, a, 400)
	}
	for _, target := range []string{functionsPath + "/a", functionsPath + "/a/b/c", "/v1/stuck/x", "/v1/timers/7", "/v1/audit/7", "/v1/members/x", "/v1/addresses/a/b/c/state", "/v1/addresses/a/b/c/state/s/t"} {
		f.functions = nil
		wantProblem(t, get(t, f, target), 404)
	}
}

// TestErrorsOfReads: errors of the application are told as what they are, by every route, and never word for word.
func TestErrorsOfReads(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("hunter2: %w", statestore.ErrUnavailable), 503}, {context.DeadlineExceeded, 503}, {errSecret, 500}, {&report.Standby{Owner: "10.0.0.1:8081", Host: "other"}, 409}, {&report.Standby{}, 409},
	} {
		f := &fake{
			dead:      func(uint64, int) ([]api.DeadLetter, error) { return nil, c.err },
			addresses: func(api.FunctionType, string, []byte, int) ([]api.Address, []byte, error) { return nil, nil, c.err },
			timers:    func(statestore.TimerKey, int) ([]statestore.Timer, error) { return nil, c.err },
			acts:      func(uint64, int) ([]statestore.Act, error) { return nil, c.err }, members: func() ([]statestore.MemberState, error) { return nil, c.err },
			address: func(context.Context, api.Address) (report.Address, error) { return report.Address{}, c.err }, functions: func() ([]report.Function, error) { return nil, c.err },
			stuck: func(int) ([]report.Stuck, error) { return nil, c.err }, ingresses: func() ([]report.Ingress, error) { return nil, c.err },
			egresses: func() ([]report.Egress, error) { return nil, c.err }, deadTotals: func() ([]statestore.DeadTotal, error) { return nil, c.err }, fakeMender: fakeMender{lastErr: c.err},
		}
		starting := &fake{err: c.err}
		for _, target := range []string{
			stuckPath, functionsPath, functionsPath + "/a/b", addressesPath + "?function=a/b", "/v1/addresses/a/b/c", "/v1/addresses/a/b/c/state/s", ingressesPath, ingressesPath + "/a/b", egressesPath, egressesPath + "/a/b",
			timersPath, deadLettersPath, deadLettersPath + "/totals", deadLettersPath + "/newest", "/v1/deadletters/7", membersPath, auditPath,
		} {
			for _, f := range []*fake{f, starting} {
				a := get(t, f, target)
				wantProblem(t, a, c.status)
				if strings.Contains(a.text, "hunter2") || (c.status == 503) != (a.header.Get("Retry-After") != "") {
					t.Errorf("%s: %v gives %v %s", target, c.err, a.header, a.text)
				}
				if s, ok := c.err.(*report.Standby); ok && s.Owner != "" && !strings.Contains(a.body["remedy"].(string), "10.0.0.1:8081") {
					t.Errorf("%s: whom to ask is not in %s", target, a.text)
				}
			}
		}
		if a := get(t, starting, "/v1/version"); a.status != 200 || a.body["role"] != "starting" {
			t.Errorf("the version while it starts: %d %s", a.status, a.text)
		}
	}
}

// pages follows next to the end, and answers what name gives of each item.
func pages(t *testing.T, f *fake, target string, name func(item map[string]any) string) (got []string, asked int) {
	t.Helper()
	joint := "?"
	if strings.Contains(target, "?") {
		joint = "&"
	}
	for after := ""; ; asked++ {
		if asked > 10_000 {
			t.Fatalf("%s never ends", target)
		}
		a := get(t, f, target+after)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", target+after, a.status, a.text)
		}
		for _, item := range a.body["items"].([]any) {
			got = append(got, name(item.(map[string]any)))
		}
		next, ok := a.body["next"].(string)
		if !ok {
			return got, asked + 1
		}
		after = joint + "after=" + url.QueryEscape(next)
	}
}

func numberOf(item map[string]any) string { return fmt.Sprint(item["number"]) }

// TestPagesOfNames: functions, ingresses and egresses are paged by their names.
func TestPagesOfNames(t *testing.T) {
	var want []string
	f := &fake{}
	var functions []report.Function
	var ingresses []report.Ingress
	var egresses []report.Egress
	for i := range 25 {
		name := fmt.Sprintf("n%02d", i)
		want = append(want, "a&b/"+name)
		functions = append(functions, report.Function{Name: api.FunctionType{Namespace: "a&b", Name: name}})
		ingresses = append(ingresses, report.Ingress{ID: "a&b/" + name})
		egresses = append(egresses, report.Egress{ID: "a&b/" + name})
	}
	f.functions = func() ([]report.Function, error) { return functions, nil }
	f.ingresses = func() ([]report.Ingress, error) { return ingresses, nil }
	f.egresses = func() ([]report.Egress, error) { return egresses, nil }
	for _, noun := range []string{"function", "ingress", "egress"} {
		path := map[string]string{"function": functionsPath, "ingress": ingressesPath, "egress": egressesPath}[noun]
		for _, limit := range []int{1, 7, 24, 25, 26, 1000} {
			got, _ := pages(t, f, fmt.Sprintf("%s?limit=%d", path, limit), func(item map[string]any) string { return item[noun].(string) })
			if !slices.Equal(got, want) {
				t.Errorf("%s by %d: %v", noun, limit, got)
			}
		}
		if a := get(t, f, path+"?after=zzz"); len(a.body["items"].([]any)) != 0 || a.body["next"] != nil {
			t.Errorf("%s behind the end: %s", noun, a.text)
		}
		if a := get(t, f, path+"/a%26b/n07"); a.status != 200 || a.body[noun] != "a&b/n07" {
			t.Errorf("one %s: %d %s", noun, a.status, a.text)
		}
		wantProblem(t, get(t, f, path+"/a%26b/n99"), 404)
	}
}

// TestFunctionOfNamespace: what only a namespace's endpoint serves is answered though nothing has come for it.
func TestFunctionOfNamespace(t *testing.T) {
	f := &fake{functions: func() ([]report.Function, error) {
		return []report.Function{{Name: api.FunctionType{Namespace: "shop"}, All: true, Endpoint: &report.Endpoint{URL: "http://u:hunter2@f/?k=hunter2"}}, {Name: api.FunctionType{Namespace: "shop", Name: "cart"}}}, nil
	}}
	a := get(t, f, functionsPath+"/shop/new")
	if a.status != 200 || a.body["function"] != "shop/new" || a.body["declared"] != true || a.body["endpoint"] != "http://***@f/?***" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	if a := get(t, f, functionsPath+"/shop/*"); a.status != 200 || a.body["function"] != "shop/*" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	wantProblem(t, get(t, f, functionsPath+"/other/new"), 404)
}

// TestTimerPages: timers are looked through in parts of bounded size; of one function's all are found.
func TestTimerPages(t *testing.T) {
	const timers = 25_000
	most, large := 0, 0
	f := &fake{timers: func(after statestore.TimerKey, limit int) (out []statestore.Timer, err error) {
		most = max(most, limit)
		bytes := 0
		for i := max(after.Due, 0) + 1; i <= timers && len(out) < limit; i++ {
			timer := statestore.Timer{TimerKey: statestore.TimerKey{Due: i, Number: uint64(i)}}
			timer.Message.Target.Type = api.FunctionType{Namespace: "shop", Name: "cart"}
			if i%10_000 == 0 {
				timer.Message.Target.Type.Name = "rare"
			}
			timer.Message.Argument.Value = make([]byte, 1+large)
			bytes += large
			out = append(out, timer)
		}
		if bytes > 4*timerBytesAtOnce {
			t.Errorf("%d bytes are read at once", bytes)
		}
		return out, nil
	}}
	if got, asked := pages(t, f, timersPath+"?function=shop/rare", numberOf); !slices.Equal(got, []string{"10000", "20000"}) || asked < 3 || asked > 10 {
		t.Errorf("got %v by %d questions", got, asked)
	}
	if got, _ := pages(t, f, timersPath+"?limit=1000", numberOf); len(got) != timers || got[0] != "1" || got[timers-1] != fmt.Sprint(timers) {
		t.Errorf("got %d", len(got))
	}
	if most > 1000 {
		t.Errorf("%d are read at once", most)
	}
	large = 200 << 10
	if a := get(t, f, timersPath+"?limit=1000"); a.status != 200 || a.body["next"] == nil || len(a.body["items"].([]any)) < 16 {
		t.Errorf("large ones: %d, %d items", a.status, len(a.body["items"].([]any)))
	}
}

// TestTimersOfAddress: those that it has sent are shown with it, and whether they are all.
func TestTimersOfAddress(t *testing.T) {
	bob := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "bob"}
	count := 150
	f := &fake{timers: func(after statestore.TimerKey, limit int) (out []statestore.Timer, err error) {
		for i := max(after.Due, 0) + 1; i <= int64(2*count) && len(out) < limit; i++ {
			timer := statestore.Timer{TimerKey: statestore.TimerKey{Due: i, Number: uint64(i)}}
			if i%2 == 0 {
				timer.Message.Caller = bob
			}
			out = append(out, timer)
		}
		return out, nil
	}}
	a := get(t, f, "/v1/addresses/shop/cart/bob")
	if got := len(a.body["timers"].([]any)); got != timersShown || a.body["timersComplete"] != false {
		t.Errorf("%d are shown, complete: %v", got, a.body["timersComplete"])
	}
	count = 20
	a = get(t, f, "/v1/addresses/shop/cart/bob")
	if got := len(a.body["timers"].([]any)); got != 20 || a.body["timersComplete"] != true {
		t.Errorf("%d are shown, complete: %v", got, a.body["timersComplete"])
	}
}

// TestAddressPages: the store's places go out and come back as they are, whatever is in them; ids of any size fill a page.
func TestAddressPages(t *testing.T) {
	size := 1
	f := &fake{spilled: 3, addresses: func(function api.FunctionType, prefix string, cursor []byte, limit int) (out []api.Address, next []byte, err error) {
		if function.String() != "shop/cart" || prefix != "a%/" || limit > pageMax {
			t.Errorf("asked for %v, %q, %d", function, prefix, limit)
		}
		at := 0
		if cursor != nil {
			at = int(cursor[1])<<8 | int(cursor[2])
		}
		for ; at < 300 && len(out) < limit && len(out)*size < 1<<20; at++ { // a page ends behind 1 MiB of ids
			out = append(out, api.Address{Type: function, ID: strings.Repeat("x", size) + fmt.Sprint(at)})
		}
		if at < 300 {
			next = []byte{0xff, byte(at >> 8), byte(at), 0}
		}
		return out, next, nil
	}}
	for _, limit := range []int{1, 99, 100, 101, 300, 1000} {
		got, _ := pages(t, f, fmt.Sprintf("%s?function=shop/cart&prefix=a%%25/&limit=%d", addressesPath, limit), func(item map[string]any) string {
			if item["messages"] != float64(3) || item["stored"] != float64(3) {
				t.Errorf("got %v", item)
			}
			return item["address"].(map[string]any)["id"].(string)
		})
		if len(got) != 300 || got[0] != "x0" || got[299] != "x299" {
			t.Errorf("by %d: %d addresses", limit, len(got))
		}
	}
	size = api.IDBytesMax - 10
	if a := get(t, f, addressesPath+"?function=shop/cart&prefix=a%25/&limit=1000"); a.body["next"] == nil || len(a.text) > 3*answerBytesMax {
		t.Errorf("large ids: next %v, %d bytes", a.body["next"], len(a.text))
	}
	for name, views := range map[string][]machine.View{"on a standby": nil, "of too many": {{Unlisted: true}}} {
		f.views = func([]api.Address) ([]machine.View, error) { return views, nil }
		a := get(t, f, addressesPath+"?function=shop/cart&prefix=a%25/&limit=1")
		if item := a.body["items"].([]any)[0].(map[string]any); item["messages"] != nil || item["stored"] != float64(3) {
			t.Errorf("%s: %v", name, item)
		}
	}
}

// TestAuditPages: the newest come first, down to number 1.
func TestAuditPages(t *testing.T) {
	f := &fake{acts: func(before uint64, limit int) (out []statestore.Act, err error) {
		if before == 0 {
			before = 26
		}
		for n := before - 1; n >= 1 && len(out) < limit; n-- {
			out = append(out, statestore.Act{Number: n})
		}
		return out, nil
	}}
	for _, limit := range []int{1, 5, 24, 25, 26} {
		got, _ := pages(t, f, fmt.Sprintf("%s?limit=%d", auditPath, limit), numberOf)
		if len(got) != 25 || got[0] != "25" || got[24] != "1" {
			t.Errorf("by %d: %v", limit, got)
		}
	}
	for _, after := range []string{"0", "1"} {
		if a := get(t, f, auditPath+"?after="+after); a.status != 200 || len(a.body["items"].([]any)) != 0 {
			t.Errorf("below %s: %s", after, a.text)
		}
	}
}

// TestDeadLettersOf: letters of one origin and reason are found among all others, by pages of bounded work.
func TestDeadLettersOf(t *testing.T) {
	const letters = 25_000
	f := &fake{dead: func(after uint64, limit int) (out []api.DeadLetter, err error) {
		for n := after + 1; n <= letters && len(out) < limit; n++ {
			d := api.DeadLetter{Number: n, Origin: "function shop/cart", Reason: "function keeps failing"}
			if n%10_000 == 0 {
				d.Origin = "ingress shop/in"
			}
			if n%12_000 == 0 {
				d.Reason = "null key"
			}
			out = append(out, d)
		}
		return out, nil
	}}
	for query, want := range map[string][]string{"ingress=shop/in": {"10000", "20000"}, "reason=null+key": {"12000", "24000"}, "function=shop/cart&reason=null+key": {"12000", "24000"}, "egress=shop/in": nil, "reason=": nil} {
		got, asked := pages(t, f, deadLettersPath+"?limit=1000&"+query, numberOf)
		if !slices.Equal(got, want) || asked < 3 || asked > 10 {
			t.Errorf("%s: got %v by %d questions", query, got, asked)
		}
	}
}

// TestState: one state is shown with its version as the tag, also when only memory has it.
func TestState(t *testing.T) {
	stored := []statestore.StateValue{{Name: "a", TypeName: "t/j", Value: []byte("[1]"), Touched: 1}, {Name: "b/%", TypeName: "t/x", Value: []byte("x"), Touched: 1}}
	found := report.Address{Active: true, NowMS: 1, Stored: statestore.Loaded{Values: stored}}
	f := &fake{address: func(context.Context, api.Address) (report.Address, error) { return found, nil }}
	a := get(t, f, "/v1/addresses/shop/cart/bob/state/a")
	if version := statestore.Version("t/j", []byte("[1]")); a.status != 200 || a.header.Get("ETag") != `"`+version+`"` || a.body["version"] != version || a.body["committed"] != true {
		t.Errorf("got %d %v %s", a.status, a.header, a.text)
	}
	for _, target := range []string{"/v1/addresses/shop/cart/bob/state/b%2F%25", "/v1/addresses/shop/cart/state/b%2F%25?id=bob", "/v1/addresses/shop/cart/state/b%2F%25?id="} {
		if a := get(t, f, target); a.status != 200 || a.body["name"] != "b/%" || a.body["value"] != "eA==" {
			t.Errorf("%s: %d %s", target, a.status, a.text)
		}
	}
	if a := get(t, f, "/v1/addresses/shop/cart/bob/state/a?raw=true"); a.body["value"] != "WzFd" || a.body["encoding"] != "base64" {
		t.Errorf("raw: %s", a.text)
	}
	wantProblem(t, get(t, f, "/v1/addresses/shop/cart/bob/state/c"), 404)
	found.View = machine.View{InMemory: true, Ahead: true, Values: []statestore.StateValue{{Name: "c", TypeName: "t/x", Value: []byte("y"), Touched: 1}}}
	if a := get(t, f, "/v1/addresses/shop/cart/bob/state/c"); a.status != 200 || a.body["committed"] != false || a.body["stored"].(map[string]any)["version"] != "" {
		t.Errorf("ahead: %d %s", a.status, a.text)
	}
	wantProblem(t, get(t, f, "/v1/addresses/shop/cart/bob/state/a"), 404) // memory has removed it
}

// TestFailingAddresses: those that fail are found among any number of others, on pages that may be empty; who cannot know says so.
func TestFailingAddresses(t *testing.T) {
	const all = 5000
	asked := 0
	f := &fake{addresses: func(function api.FunctionType, _ string, cursor []byte, limit int) (out []api.Address, next []byte, err error) {
		at := 0
		if cursor != nil {
			at = int(cursor[1])<<8 | int(cursor[2])
		}
		asked++
		for ; at < all && len(out) < min(limit, 50); at++ {
			out = append(out, api.Address{Type: function, ID: fmt.Sprint(at)})
		}
		if at < all {
			next = []byte{0xff, byte(at >> 8), byte(at), 0}
		}
		return out, next, nil
	}, views: func(addresses []api.Address) ([]machine.View, error) {
		out := make([]machine.View, len(addresses))
		for i, a := range addresses {
			if a.ID == "7" || a.ID == "9" || a.ID == "4321" {
				out[i] = machine.View{InMemory: true, FailingSince: 1, LastError: "answers 500", Mailbox: 1}
			}
		}
		return out, nil
	}}
	for _, limit := range []int{1, 2, 3, 1000} {
		got, _ := pages(t, f, fmt.Sprintf("%s?function=shop/cart&failing=true&limit=%d", addressesPath, limit), func(item map[string]any) string {
			if item["failing"] != true || item["lastError"] != "answers 500" {
				t.Errorf("got %v", item)
			}
			return item["address"].(map[string]any)["id"].(string)
		})
		if !slices.Equal(got, []string{"7", "9", "4321"}) {
			t.Errorf("by %d: %q", limit, got)
		}
	}
	asked = 0
	if a := get(t, f, addressesPath+"?function=shop/cart&failing=true&after="+url.QueryEscape(*nextCursor([]byte{0xff, 0, 10, 0}))); a.status != 200 || a.body["next"] == nil || len(a.body["items"].([]any)) > 0 || asked != looksMax {
		t.Errorf("a page without any: %d %s, looked %d times", a.status, a.text, asked)
	}
	f.views = func([]api.Address) ([]machine.View, error) { return nil, nil }
	wantProblem(t, get(t, f, addressesPath+"?function=shop/cart&failing=true"), 409)
	if a := get(t, f, addressesPath+"?function=shop/cart&failing=false&limit=5"); a.status != 200 || len(a.body["items"].([]any)) != 5 {
		t.Errorf("all of a standby: %d %s", a.status, a.text)
	}
	f.addresses = nil // it knows of none: those that fail may be in the memory of the one that works alone
	wantProblem(t, get(t, f, addressesPath+"?function=shop/cart&failing=true"), 409)
	f.views = nil
	if a := get(t, f, addressesPath+"?function=shop/cart&failing=true"); a.status != 200 || a.body["next"] != nil || len(a.body["items"].([]any)) > 0 {
		t.Errorf("none that has anything: %d %s", a.status, a.text)
	}
}

// TestFailingWhileLooksTakeLong: where there are so many addresses that a look takes seconds, pages are shorter, and each comes in time.
func TestFailingWhileLooksTakeLong(t *testing.T) {
	for _, fail := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{addresses: func(function api.FunctionType, _ string, _ []byte, limit int) (out []api.Address, next []byte, err error) {
				time.Sleep(4 * time.Second)
				for i := range limit {
					out = append(out, api.Address{Type: function, ID: fmt.Sprint(i)})
				}
				return out, []byte{0xff}, nil
			}, views: func(addresses []api.Address) ([]machine.View, error) {
				out := make([]machine.View, len(addresses))
				for i := range out {
					if fail {
						out[i].FailingSince = 1
					}
				}
				return out, nil
			}}
			began := time.Now()
			found, err := askAddresses(t.Context(), f, httptest.NewRequest(http.MethodGet, addressesPath+"?function=shop/cart&failing=true&limit=7", nil))
			page, _ := found.(list[jsonListedAddress])
			if took := time.Since(began); err != nil || took >= answerMax || page.Next == nil || fail && len(page.Items) != 7 {
				t.Errorf("after %v: %d of them, next %v, %v", took, len(page.Items), page.Next, err)
			}
		})
	}
}

// TestStuckAnswer: each line has an age, what it is on and the command; the application is asked for no more than may be told.
func TestStuckAnswer(t *testing.T) {
	bob := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "bob"}
	f := &fake{stuck: func(limit int) ([]report.Stuck, error) {
		if limit != stuckMax {
			t.Errorf("asked for %d", limit)
		}
		return []report.Stuck{
			{Stuck: machine.Stuck{Cause: machine.StuckPoisoned, Since: now() - 60_000, Kind: machine.OnAddress, Name: "shop/cart", Address: bob, Message: 17, Count: 1, Text: "x", LastError: "y"}, Remedy: "do", Look: "look"},
			{Stuck: machine.Stuck{Cause: machine.StuckBound, Kind: machine.OnBound, Name: "stored", Count: 5, Text: "see http://u:hunter2@h/?k=hunter2"}},
		}, nil
	}}
	a := get(t, f, stuckPath)
	items := a.body["items"].([]any)
	first, second := items[0].(map[string]any), items[1].(map[string]any)
	on := first["on"].(map[string]any)
	if age := first["forSeconds"].(float64); age < 60 || age > 120 || first["message"] != float64(17) || first["remedy"] != "do" || first["look"] != "look" || on["name"] != "shop/cart" || on["address"].(map[string]any)["id"] != "bob" {
		t.Errorf("got %v", first)
	}
	if second["since"] != nil || second["look"] != "" || second["forSeconds"] != float64(0) || second["on"].(map[string]any)["address"] != nil || strings.Contains(a.text, "hunter2") {
		t.Errorf("got %v", second)
	}
}

// TestStuckAnswerIsBounded: ids are somebody else's, and each stands in an item several times. What is left out is counted.
func TestStuckAnswerIsBounded(t *testing.T) {
	f := &fake{stuck: func(int) (out []report.Stuck, err error) {
		for range stuckMax {
			s := machine.Stuck{Cause: machine.StuckPaused, Kind: machine.OnAddress, Name: "shop/cart", Count: 1, Text: "x"}
			s.Address.ID = strings.Repeat("\x01", api.IDBytesMax)
			out = append(out, report.Stuck{Stuck: s})
		}
		return out, nil
	}}
	a := get(t, f, stuckPath)
	items := a.body["items"].([]any)
	last := items[len(items)-1].(map[string]any)
	if a.status != 200 || len(a.text) > 16*stuckBytesMax || len(items) < 10 || last["cause"] != "left_out" || last["count"] != float64(stuckMax-len(items)+1) {
		t.Errorf("status %d, %d bytes, %d items, the last %v", a.status, len(a.text), len(items), last)
	}
}

// TestIngress: partitions are summed up in the list and told one by one, and a thousand of them at most.
func TestIngress(t *testing.T) {
	lag := int64(7)
	in := report.Ingress{ID: "shop/in", Kind: "kafka", Declared: true}
	for i := range 1500 {
		s := report.Source{ID: api.Source{Ingress: "shop/in", Topic: "orders", Partition: int32(i)}, Position: 10, Finished: 2, OldestMS: int64(i)}
		if i%2 == 0 {
			s.Lag, s.WaitsFor = &lag, machine.PauseOutbox
		}
		in.Sources = append(in.Sources, s)
		in.Troubles = append(in.Troubles, report.Condition{Key: "k", Text: "http://u:hunter2@h/"})
	}
	f := &fake{ingresses: func() ([]report.Ingress, error) { return []report.Ingress{in}, nil }}
	a := get(t, f, ingressesPath)
	got := a.body["items"].([]any)[0].(map[string]any)
	if got["partitions"] != float64(1500) || got["waiting"].(map[string]any)["outbox"] != float64(750) || got["lag"] != float64(750*7) || got["oldestSeconds"] != 1.499 || len(got["conditions"].([]any)) != conditionsMax {
		t.Errorf("got %v", got)
	}
	if lag != 7 {
		t.Error("the answer has changed what it was made of")
	}
	one := get(t, f, ingressesPath+"/shop/in")
	if sources := one.body["sources"].([]any); len(sources) != pageMax || sources[1].(map[string]any)["lag"] != nil || strings.Contains(one.text, "hunter2") {
		t.Errorf("%d sources, the second %v", len(sources), sources[1])
	}
}

// TestSlowReaders: however many read large answers slowly, small ones are told, and large ones again when they have done.
func TestSlowReaders(t *testing.T) {
	found := []report.Function{{Name: api.FunctionType{Namespace: "a", Name: "b"}}}
	h := handlerOf(&fake{turning: true, functions: func() ([]report.Function, error) { return found, nil }})
	ask := func(w http.ResponseWriter) {
		r := httptest.NewRequest("GET", "/v1/functions?limit=1000", nil)
		r.Host = "127.0.0.1:8081"
		h.ServeHTTP(w, r)
	}
	quick := func(want int) {
		t.Helper()
		w := httptest.NewRecorder()
		if ask(w); w.Code != want || (w.Code == 200) == (w.Header().Get("Retry-After") != "") {
			t.Errorf("status %d, want %d: %.200s", w.Code, want, w.Body)
		}
	}
	small := found
	for i := range 1000 {
		found = append(found, report.Function{Name: api.FunctionType{Namespace: "a", Name: strings.Repeat("x", 200) + fmt.Sprint(i)}})
	}
	large := found
	writes, read := make(chan struct{}), make(chan struct{})
	var readers sync.WaitGroup
	for range repliesMax {
		readers.Go(func() { ask(slowWriter{httptest.NewRecorder(), writes, read}) })
		<-writes
	}
	quick(503)
	found = small
	quick(200)
	close(read)
	readers.Wait()
	found = large
	quick(200)
}

// slowWriter is a client that does not read.
type slowWriter struct {
	*httptest.ResponseRecorder
	writes, read chan struct{}
}

func (w slowWriter) Write(b []byte) (int, error) {
	w.writes <- struct{}{}
	<-w.read
	return len(b), nil
}
