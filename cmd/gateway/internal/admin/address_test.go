package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// TestAddressIsDecodedOnce sends paths as they are and looks which address was asked for.
func TestAddressIsDecodedOnce(t *testing.T) {
	for _, c := range []struct{ target, namespace, name, id string }{
		{"/v1/addresses/shop/cart/bob", "shop", "cart", "bob"},
		{"/v1/addresses/shop/cart/a%2Fb", "shop", "cart", "a/b"},
		{"/v1/addresses/shop/cart/a%2fb%2F", "shop", "cart", "a/b/"},
		{"/v1/addresses/shop/cart/%2F", "shop", "cart", "/"},
		{"/v1/addresses/shop/cart/a%252Fb", "shop", "cart", "a%2Fb"},
		{"/v1/addresses/shop/cart/100%25", "shop", "cart", "100%"},
		{"/v1/addresses/shop/cart/a+b%20c", "shop", "cart", "a+b c"},
		{"/v1/addresses/shop/cart/%00", "shop", "cart", "\x00"},
		{"/v1/addresses/shop/cart/%0d%0a", "shop", "cart", "\r\n"},
		{"/v1/addresses/shop/cart/ünï", "shop", "cart", "ünï"},
		{"/v1/addresses/shop/cart/%C3%BC", "shop", "cart", "ü"},
		{"/v1/addresses/shop/cart/.", "shop", "cart", "."},
		{"/v1/addresses/shop/cart/..", "shop", "cart", ".."},
		{"/v1/addresses/shop/cart/%2e%2E", "shop", "cart", ".."},
		{"/v1/addresses/shop/cart/..%2F..%2Fhealthz", "shop", "cart", "../../healthz"},
		{"/v1/addresses/shop/cart/a;b=c,d:e@f&g=$!*'()[]", "shop", "cart", "a;b=c,d:e@f&g=$!*'()[]"},
		{"/v1/addresses/shop/cart/%3F%23%22%5C%3C", "shop", "cart", `?#"\<`},
		{"/v1/addresses/shop/cart/{id}", "shop", "cart", "{id}"},
		{"/v1/addresses/shop/cart?id=", "shop", "cart", ""},
		{"/v1/addresses/shop/cart?id=.", "shop", "cart", "."},
		{"/v1/addresses/shop/cart?id=..", "shop", "cart", ".."},
		{"/v1/addresses/shop/cart?id=a%2Fb/c", "shop", "cart", "a/b/c"},
		{"/v1/addresses/shop/cart?id=a%252Fb", "shop", "cart", "a%2Fb"},
		{"/v1/addresses/shop/cart?id=a%2Bb+c", "shop", "cart", "a+b c"},
		{"/v1/addresses/shop%2Feu/ca%2Frt/x", "shop/eu", "ca/rt", "x"},
		{"/v1/addresses//cart/x", "", "cart", "x"},
		{"/v1/addresses/io.x/%2e/x", "io.x", ".", "x"},
		{"/v1/addresses/shop/cart/" + strings.Repeat("x", api.IDBytesMax), "shop", "cart", strings.Repeat("x", api.IDBytesMax)},
		{"/v1/addresses/shop/cart/" + strings.Repeat("%00", api.IDBytesMax), "shop", "cart", strings.Repeat("\x00", api.IDBytesMax)},
		{"/v1/addresses/shop/cart?id=" + strings.Repeat("%2F", api.IDBytesMax), "shop", "cart", strings.Repeat("/", api.IDBytesMax)},
		{"http://elsewhere/v1/addresses/shop/cart/a%2Fb", "shop", "cart", "a/b"},
	} {
		var asked []api.Address
		f := &fake{address: func(_ context.Context, a api.Address) (report.Address, error) {
			asked = append(asked, a)
			return report.Address{}, nil
		}}
		a := get(t, f, c.target)
		want := []api.Address{{Type: api.FunctionType{Namespace: c.namespace, Name: c.name}, ID: c.id}}
		if diff := cmp.Diff(want, asked); diff != "" || a.status != 200 {
			t.Errorf("%.80s: status %d (-want +got):\n%.500s", c.target, a.status, diff)
			continue
		}
		got := a.body["address"].(map[string]any)
		if got["namespace"] != c.namespace || got["name"] != c.name || got["id"] != c.id || a.body["shard"] != float64(api.Shard(c.id)) {
			t.Errorf("%.80s: answers for %.200v", c.target, a.body)
		}
	}
}

func TestHostileAddresses(t *testing.T) {
	f := &fake{address: func(_ context.Context, a api.Address) (report.Address, error) {
		t.Errorf("asked for %.80q", a)
		return report.Address{}, nil
	}}
	for _, target := range []string{
		"/v1/addresses/shop/cart/%FF", "/v1/addresses/shop/cart/a%C3", "/v1/addresses/shop/cart/%ED%A0%80", "/v1/addresses/shop/cart?id=%FF", "/v1/addresses/shop/cart/\xff",
		"/v1/addresses/shop/cart", "/v1/addresses/shop/cart?", "/v1/addresses/shop/cart?ID=x", "/v1/addresses/shop/cart?id=x&id=y", "/v1/addresses/shop/cart?id=x&y=z",
		"/v1/addresses/shop/cart?id=%zz", "/v1/addresses/shop/cart?id=a;b", "/v1/addresses/shop/cart/x?id=x", "/v1/addresses/shop/cart/x?id=", "/v1/addresses/shop/cart/x?y",
		"/v1/addresses/shop//x", "/v1/addresses///x", "/v1/addresses/" + strings.Repeat("n", api.NameBytesMax+1) + "/cart/x",
		"/v1/addresses/shop/cart/" + strings.Repeat("x", api.IDBytesMax+1), "/v1/addresses/shop/cart?id=" + strings.Repeat("%00", api.IDBytesMax+1),
	} {
		a := get(t, f, target)
		wantProblem(t, a, 400)
		if len(a.text) > 2000 {
			t.Errorf("%.80s: an answer of %d bytes", target, len(a.text))
		}
	}
	// What the HTTP library refuses by itself.
	for target, status := range map[string]int{
		"/v1/addresses/shop/cart/%zz": 400, "/v1/addresses/shop/cart/%": 400, "/v1/addresses/shop/cart/a b": 400, "/v1/addresses/shop/cart/\x00": 400, "v1": 400, "": 400,
	} {
		if a := get(t, f, target); a.status != status {
			t.Errorf("%q: got %d, want %d", target, a.status, status)
		}
	}
}

const noon = 1_700_000_000_000

func TestAddress(t *testing.T) {
	bob := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "bob"}
	values := []statestore.StateValue{
		{Name: "empty", TypeName: "t/e", Value: nil, Touched: noon},
		{Name: "gone", TypeName: "t/g", Value: []byte("x"), Touched: noon - 60_000},
		{Name: "seen", TypeName: "t/s", Value: []byte{0, 1, 255}, Touched: noon - 1000},
		{Name: "stays", TypeName: "t/s", Value: []byte("y"), Touched: noon - 59_999},
	}
	specs := []statestore.StateSpec{
		{Name: "gone", Expiration: statestore.ExpireAfterWrite, TTL: 60_000}, {Name: "stays", Expiration: statestore.ExpireAfterInvoke, TTL: 60_000},
		{Name: "seen", Expiration: statestore.ExpireNever, TTL: 1}, {Name: "empty", Expiration: statestore.ExpireAfterWrite, TTL: 1<<63 - 1},
	}
	for _, c := range []struct {
		name  string
		found report.Address
		want  string
	}{
		{"calling", report.Address{
			Active: true, Declared: true, NowMS: noon, Specs: specs, Stored: statestore.Loaded{Values: values, Spilled: 7},
			View: machine.View{
				InMemory: true, Phase: "calling", Mailbox: 12, Spilled: 6, Attempts: 3, CallSince: noon - 1500, FailingSince: noon - 90_000, Stuck: true, LastError: "status 500: \"<x>\"",
				Front: machine.Front{Number: 7, TypeName: "t/m", Bytes: 3, ArrivedMS: noon},
			},
		}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"active","declared":true,"inMemory":true,"phase":"calling","paused":null,"state":[` +
			`{"name":"empty","typeName":"t/e","bytes":0,"encoding":"base64","value":"","version":"9ea0a0275cbe1082","touched":"2023-11-14T22:13:20.000Z","expires":null,"committed":true},` +
			`{"name":"seen","typeName":"t/s","bytes":3,"encoding":"base64","value":"AAH/","version":"dc08e7e56ebe542e","touched":"2023-11-14T22:13:19.000Z","expires":null,"committed":true},` +
			`{"name":"stays","typeName":"t/s","bytes":1,"encoding":"base64","value":"eQ==","version":"004b0d38cebb00f7","touched":"2023-11-14T22:12:20.001Z","expires":"2023-11-14T22:13:20.001Z","committed":true}],` +
			`"mailbox":{"messages":12,"stored":6,"front":{"number":7,"caller":null,"typeName":"t/m","bytes":3,"since":"2023-11-14T22:13:20.000Z"}},` +
			`"call":{"since":"2023-11-14T22:13:18.500Z","runningSeconds":1.5,"attempt":3},` +
			`"failure":{"since":"2023-11-14T22:11:50.000Z","failedForSeconds":90,"attempts":3,"nextAttempt":null,"budgetIsUsed":true},"lastError":"status 500: \"\u003cx\u003e\"",` +
			`"timers":[],"timersComplete":true}`},
		{"waiting", report.Address{
			Active: true, NowMS: noon, View: machine.View{
				InMemory: true, Phase: "backoff", Mailbox: 1, Attempts: 1, NextAttempt: noon + 250, FailingSince: noon + 5, LastError: "x",
				Paused: &statestore.Pause{Kind: statestore.PauseAddress, AtMS: noon, By: "ada"},
			},
		}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"active","declared":false,"inMemory":true,"phase":"backoff","paused":{"of":"address","since":"2023-11-14T22:13:20.000Z","by":"ada"},"state":[],` +
			`"mailbox":{"messages":1,"stored":0,"front":null},"call":null,` +
			`"failure":{"since":"2023-11-14T22:13:20.005Z","failedForSeconds":0,"attempts":1,"nextAttempt":"2023-11-14T22:13:20.250Z","budgetIsUsed":false},"lastError":"x",` +
			`"timers":[],"timersComplete":true}`},
		{"ahead", report.Address{
			Active: true, NowMS: noon, Stored: statestore.Loaded{Values: values[2:]}, View: machine.View{
				InMemory: true, Phase: "idle", Ahead: true,
				Values: []statestore.StateValue{{Name: "new", TypeName: "t/j", Value: []byte("[1]"), Touched: noon}, {Name: "seen", TypeName: "t/s", Value: []byte("n"), Touched: noon}},
			},
		}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"active","declared":false,"inMemory":true,"phase":"idle","paused":null,"state":[` +
			`{"name":"new","typeName":"t/j","bytes":3,"encoding":"json","value":[1],"version":"3359702a2f2da3d8","touched":"2023-11-14T22:13:20.000Z","expires":null,"committed":false,` +
			`"stored":{"typeName":"","bytes":0,"encoding":"base64","value":null,"version":""}},` +
			`{"name":"seen","typeName":"t/s","bytes":1,"encoding":"base64","value":"bg==","version":"1360d94f0c40ac61","touched":"2023-11-14T22:13:20.000Z","expires":null,"committed":false,` +
			`"stored":{"typeName":"t/s","bytes":3,"encoding":"base64","value":"AAH/","version":"dc08e7e56ebe542e"}},` +
			`{"name":"stays","typeName":"","bytes":0,"encoding":"base64","value":null,"version":"","touched":null,"expires":null,"committed":false,` +
			`"stored":{"typeName":"t/s","bytes":1,"encoding":"base64","value":"eQ==","version":"004b0d38cebb00f7"}}],` +
			`"mailbox":{"messages":0,"stored":0,"front":null},"call":null,"failure":null,"lastError":null,"timers":[],"timersComplete":true}`},
		{"at rest", report.Address{Active: true, Stored: statestore.Loaded{Spilled: 4}}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"active","declared":false,` +
			`"inMemory":false,"paused":null,"state":[],"mailbox":{"messages":4,"stored":4,"front":null},"call":null,"failure":null,"lastError":null,"timers":[],"timersComplete":true}`},
		{"of too many", report.Address{Active: true, Stored: statestore.Loaded{Spilled: 4}, View: machine.View{Unlisted: true}}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"active","declared":false,` +
			`"inMemory":false,"paused":null,"state":[],"mailbox":{"messages":null,"stored":4,"front":null},"call":null,"failure":null,"lastError":null,"timers":[],"timersComplete":true}`},
		{"standby", report.Address{Declared: true, Stored: statestore.Loaded{Spilled: 4}}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"standby","declared":true,` +
			`"inMemory":false,"paused":null,"state":[],"mailbox":{"messages":null,"stored":4,"front":null},"call":null,"failure":null,"lastError":null,"timers":[],"timersComplete":true}`},
		{"standby, of which one has expired", report.Address{NowMS: noon, Specs: specs, Stored: statestore.Loaded{Values: values[1:3]}}, `{"address":{"namespace":"shop","name":"cart","id":"bob"},"shard":SHARD,"role":"standby","declared":false,"inMemory":false,"paused":null,` +
			`"state":[{"name":"seen","typeName":"t/s","bytes":3,"encoding":"base64","value":"AAH/","version":"dc08e7e56ebe542e","touched":"2023-11-14T22:13:19.000Z","expires":null,"committed":true}],` +
			`"mailbox":{"messages":null,"stored":0,"front":null},"call":null,"failure":null,"lastError":null,"timers":[],"timersComplete":true}`},
	} {
		f := &fake{address: func(ctx context.Context, a api.Address) (report.Address, error) {
			if _, ok := ctx.Deadline(); !ok || a != bob {
				t.Errorf("asked for %v, with a deadline: %v", a, ok)
			}
			return c.found, nil
		}}
		a := get(t, f, "/v1/addresses/shop/cart/bob")
		var got bytes.Buffer
		if err := json.Compact(&got, []byte(a.text)); err != nil || a.status != 200 {
			t.Fatalf("%s: status %d, %v", c.name, a.status, err)
		}
		if diff := cmp.Diff(strings.ReplaceAll(c.want, "SHARD", fmt.Sprint(api.Shard("bob"))), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestLargeState: the answer is bounded, and what is left out is said.
func TestLargeState(t *testing.T) {
	half := (valueBytesMax/2 - 2) / 4 * 3 // in base64 it is half of the room
	f := &fake{address: func(context.Context, api.Address) (report.Address, error) {
		return report.Address{Stored: statestore.Loaded{Values: []statestore.StateValue{
			{Name: "a", Value: make([]byte, half)}, {Name: "b", Value: make([]byte, half+6)}, {Name: "c", Value: make([]byte, half-30)}, {Name: "d"},
		}}}, nil
	}}
	a := get(t, f, "/v1/addresses/shop/cart/bob")
	shown := ""
	for _, s := range a.body["state"].([]any) {
		state := s.(map[string]any)
		if state["value"] != nil {
			shown += state["name"].(string)
		}
		if state["name"] == "b" && (state["bytes"] != float64(half+6) || state["omitted"] != true) {
			t.Errorf("b has %v bytes, omitted: %v", state["bytes"], state["omitted"])
		}
	}
	if shown != "acd" || len(a.text) > valueBytesMax+10_000 {
		t.Errorf("shown are %s in %d bytes", shown, len(a.text))
	}
}

func TestAddressErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{fmt.Errorf("load hunter2: %w", statestore.ErrUnavailable), 503}, {context.DeadlineExceeded, 503}, {errSecret, 500},
	} {
		f := &fake{
			address: func(context.Context, api.Address) (report.Address, error) { return report.Address{}, c.err },
			dead:    func(uint64, int) ([]api.DeadLetter, error) { return nil, c.err },
		}
		for _, path := range []string{"/v1/addresses/shop/cart/bob", "/v1/deadletters"} {
			a := get(t, f, path)
			wantProblem(t, a, c.code)
			if strings.Contains(a.text, "hunter2") || (c.code == 503) != (a.header.Get("Retry-After") != "") {
				t.Errorf("%s: %v gives %v %s", path, c.err, a.header, a.text)
			}
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, id := range []string{"", "bob", "a/b", "%2F", "%", "..", "\x00", "\xff", "ü", "a?b#c", strings.Repeat("x", 1000)} {
		f.Add("shop", "cart", id)
	}
	f.Fuzz(func(t *testing.T, namespace, name, id string) {
		want := api.Address{Type: api.FunctionType{Namespace: namespace, Name: name}, ID: id}
		var asked *api.Address
		h := handlerOf(&fake{address: func(_ context.Context, a api.Address) (report.Address, error) {
			asked = &a
			return report.Address{}, nil
		}})
		for _, target := range targetsOf(want) {
			asked = nil
			code := ask(h, target)
			switch {
			case api.CheckAddress(want) != nil:
				if asked != nil || code != 400 && code != 404 {
					t.Errorf("%q: asked for %v, status %d", target, asked, code)
				}
			case asked == nil || *asked != want || code != 200:
				t.Errorf("%q: asked for %v, status %d, want %v", target, asked, code, want)
			}
		}
	})
}
