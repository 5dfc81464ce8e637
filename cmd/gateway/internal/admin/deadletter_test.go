package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// targetsOf are the ways to ask for an address.
func targetsOf(a api.Address) []string {
	prefix := "/v1/addresses/" + url.PathEscape(a.Type.Namespace) + "/" + url.PathEscape(a.Type.Name)
	targets := []string{prefix + "?id=" + url.QueryEscape(a.ID)}
	if a.ID != "" {
		targets = append(targets, prefix+"/"+url.PathEscape(a.ID))
	}
	return targets
}

func ask(h http.Handler, target string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w.Code
}

func TestDeadLetters(t *testing.T) {
	cart := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "a\x00/"}
	letters := []api.DeadLetter{
		{
			Number: 3, Kind: api.DeadRecord, From: "shop/in", Origin: api.OriginIngress("shop/in"), Reason: "null key", Detail: "<d>", AtMS: noon, Source: api.Source{Ingress: "shop/in", Topic: "t", Partition: 2},
			Offset: 41, Value: []byte{255}, Headers: []api.Header{{Key: "k", Value: []byte{}}, {Key: "n"}},
		},
		{Number: 5, Kind: api.DeadMessage, From: "ghost/fn", Origin: api.OriginFunction(cart.Type), Reason: "unknown function", AtMS: noon, Address: cart, TypeName: "t/x", Value: []byte{}, Key: []byte("k")},
		{Number: 9, Kind: api.DeadOutput, From: "shop/out", Reason: "refused", AtMS: noon, Offset: 12, Address: cart, Caller: cart},
	}
	f := &fake{dead: func(after uint64, limit int) ([]api.DeadLetter, error) {
		switch {
		case after == 2 && limit == 4:
			return letters, nil
		case after != 9 || limit != 4:
			t.Errorf("asked for %d after %d", limit, after)
		}
		return nil, nil
	}}
	a := get(t, f, "/v1/deadletters?after=2&limit=4")
	var got bytes.Buffer
	if err := json.Compact(&got, []byte(a.text)); err != nil || a.status != 200 {
		t.Fatalf("status %d, %v", a.status, err)
	}
	const at, address = `"at":"2023-11-14T22:13:20.000Z"`, `{"namespace":"shop","name":"cart","id":"a\u0000/"}`
	want := `{"items":[` +
		`{"number":3,"kind":"record","from":"shop/in","target":null,"origin":{"kind":"ingress","name":"shop/in"},"reason":"null key","detail":"\u003cd\u003e",` + at + `,` +
		`"source":{"ingress":"shop/in","topic":"t","partition":2,"offset":41},"address":null,"caller":null,"key":null,` +
		`"typeName":"","bytes":1,"encoding":"base64","value":"/w==","headers":[{"key":"k","value":""},{"key":"n","value":null}]},` +
		`{"number":5,"kind":"message","from":"shop/cart","target":"ghost/fn","origin":{"kind":"function","name":"shop/cart"},"reason":"unknown function","detail":"",` + at + `,"address":` + address +
		`,"caller":null,"key":"aw==","typeName":"t/x","bytes":0,"encoding":"base64","value":""},` +
		`{"number":9,"kind":"output","from":"shop/out","target":null,"origin":null,"reason":"refused","detail":"",` + at + `,"laneNumber":12,"address":` + address + `,"caller":` + address +
		`,"key":null,"typeName":"","bytes":0,"encoding":"base64","value":null}],"next":null}`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// numbered answers from dead letters 1 to n of so many bytes.
func numbered(n uint64, size int, most *int) func(uint64, int) ([]api.DeadLetter, error) {
	return func(after uint64, limit int) (out []api.DeadLetter, err error) {
		*most = max(*most, limit)
		for i := after + 1; i <= n && len(out) < limit; i++ {
			out = append(out, api.DeadLetter{Number: i, Kind: api.DeadMessage, Value: make([]byte, size)})
		}
		return out, nil
	}
}

// TestDeadLetterPages follows next to the end.
func TestDeadLetterPages(t *testing.T) {
	for _, limit := range []int{0, 1, 9, 10, 11, 25, 30, 1000} {
		most, seen := 0, 0
		f := &fake{dead: numbered(25, 1, &most)}
		for after := "0"; after != ""; {
			query := "?after=" + after
			if limit > 0 {
				query += fmt.Sprintf("&limit=%d", limit)
			}
			a := get(t, f, "/v1/deadletters"+query)
			page := a.body["items"].([]any)
			for _, d := range page {
				if seen++; d.(map[string]any)["number"] != float64(seen) {
					t.Fatalf("limit %d: got number %v, want %d", limit, d.(map[string]any)["number"], seen)
				}
			}
			if limit > 0 && len(page) > limit {
				t.Fatalf("limit %d: got %d", limit, len(page))
			}
			after = ""
			if next, ok := a.body["next"].(string); ok {
				after = next
			}
		}
		if seen != 25 || most > max(limit, pageDefault) {
			t.Errorf("limit %d: seen %d, asked for %d", limit, seen, most)
		}
	}
}

func TestLargeDeadLetters(t *testing.T) {
	most := 0
	a := get(t, &fake{dead: numbered(1000, 1<<20, &most)}, "/v1/deadletters?limit=1000")
	page := a.body["items"].([]any)
	shown := 0
	for _, d := range page {
		if letter := d.(map[string]any); letter["value"] != nil {
			shown++
		} else if letter["omitted"] != true || letter["bytes"] != float64(1<<20) {
			t.Errorf("got %v", letter)
		}
	}
	if shown != 5 || a.body["next"] != fmt.Sprint(page[len(page)-1].(map[string]any)["number"]) || len(a.text) > 2*valueBytesMax {
		t.Errorf("%d of %d shown, next %v, %d bytes", shown, len(page), a.body["next"], len(a.text))
	}
	if a := get(t, &fake{dead: numbered(1, valueBytesMax+1, &most)}, "/v1/deadletters"); a.body["items"].([]any)[0].(map[string]any)["omitted"] != true {
		t.Errorf("a huge value: got %.200s", a.text)
	}
}

// TestDeadLettersOfManyHeaders: headers fill an answer also when nothing is in them, and so do names.
func TestDeadLettersOfManyHeaders(t *testing.T) {
	for what, d := range map[string]api.DeadLetter{
		"headers":   {Kind: api.DeadRecord, Headers: make([]api.Header, 10_000)},
		"type name": {Kind: api.DeadMessage, TypeName: strings.Repeat("x", api.TypeNameBytesMax)},
		"from":      {Kind: api.DeadMessage, From: strings.Repeat("x", api.TypeNameBytesMax)},
	} {
		all := make([]api.DeadLetter, 1000)
		for i := range all {
			all[i] = d
			all[i].Number = uint64(i + 1)
		}
		f := &fake{dead: func(after uint64, limit int) ([]api.DeadLetter, error) {
			return all[after:min(after+uint64(limit), 1000)], nil
		}}
		if a := get(t, f, "/v1/deadletters?limit=1000"); a.body["next"] == nil || len(a.text) > 4*valueBytesMax {
			t.Errorf("%s: next %v, %d bytes", what, a.body["next"], len(a.text))
		}
	}
}

func TestDeadLetterQuestions(t *testing.T) {
	f := &fake{}
	for _, query := range []string{"after=x", "after=-1", "after=", "after=99999999999999999999", "limit=0", "limit=-1", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "x=1", "%zz", "after=1;limit=2"} {
		wantProblem(t, get(t, f, "/v1/deadletters?"+query), 400)
	}
	if a := get(t, f, "/v1/deadletters"); a.status != 200 || !strings.Contains(a.text, `"items": []`) || a.body["next"] != nil {
		t.Errorf("got %d %s", a.status, a.text)
	}
}

func TestOneDeadLetter(t *testing.T) {
	f := &fake{dead: func(after uint64, limit int) ([]api.DeadLetter, error) {
		if limit != 1 {
			t.Errorf("asked for %d", limit)
		}
		return []api.DeadLetter{{Number: max(after+1, 7), Kind: api.DeadMessage, Value: []byte("v")}}, nil
	}}
	if a := get(t, f, "/v1/deadletters/7"); a.status != 200 || a.body["number"] != float64(7) || a.body["value"] != "dg==" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	wantProblem(t, get(t, f, "/v1/deadletters/6"), 404)
	wantProblem(t, get(t, &fake{}, "/v1/deadletters/6"), 404)
	f.dead = func(uint64, int) ([]api.DeadLetter, error) { return nil, errSecret }
	wantProblem(t, get(t, f, "/v1/deadletters/6"), 500)
	f.dead = func(uint64, int) ([]api.DeadLetter, error) { return nil, statestore.ErrUnavailable }
	wantProblem(t, get(t, f, "/v1/deadletters/6"), 503)
}

// TestNewestDeadLetter: whoever asks before a batch is told up to which letter it goes.
func TestNewestDeadLetter(t *testing.T) {
	for _, last := range []uint64{0, 17, 1<<63 - 1} {
		a := get(t, &fake{fakeMender: fakeMender{last: last}}, deadLettersPath+"/newest")
		if want := fmt.Sprintf(`{"number":%d}`, last); a.status != 200 || strings.Join(strings.Fields(a.text), "") != want {
			t.Errorf("got %d %s, want %s", a.status, a.text, want)
		}
	}
}
