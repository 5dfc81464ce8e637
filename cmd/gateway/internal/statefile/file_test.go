//go:build unix

package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// anything fills a store with states of all kinds, odd ids and names among them.
func anything(t *testing.T, o *opened, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	types := []string{typeBool, typeInt, typeLong, typeFloat, typeDouble, typeString, "shop.types/Note", "", "\"\\\u2028"}
	ids := []string{"", "a", "a\x00b", "\"quoted\"\\", "\U0001f600", "\u2028<>&\ufeff\ufffd", "\r\n", strings.Repeat("é", 3000), "/", "%2F"}
	functions := []api.FunctionType{{Namespace: "shop", Name: "cart"}, {Namespace: "", Name: "f"}, {Namespace: "a/b", Name: "c"}, {Namespace: "a", Name: "b/c"}, {Namespace: "\x00é", Name: "\"<"}}
	c := &statestore.Commit{Fence: o.claim.Fence, Number: o.claim.Commit + 1, NextNumber: o.claim.NextNumber}
	for i, f := range functions {
		fs := statestore.FunctionSpec{Function: f}
		for j, typeName := range types {
			s := statestore.StateSpec{Name: fmt.Sprintf("s%d\"é", j), TypeName: typeName, Expiration: statestore.Expiration((i + j) % 3)}
			if s.Expiration != statestore.ExpireNever {
				s.TTL = []int64{1, 90_000, 1 << 62}[j%3]
			}
			fs.States = append(fs.States, s)
		}
		c.Functions = append(c.Functions, fs)
		for _, id := range ids {
			a := statestore.AddressState{Address: api.Address{Type: f, ID: id}}
			for _, s := range fs.States {
				v := statestore.StateValue{Name: s.Name, TypeName: s.TypeName, Touched: clock.UnixMilli() + rng.Int64N(1000), Changed: true, Value: []byte{}}
				switch rng.IntN(4) {
				case 0: // as no SDK would write it
					v.Value = make([]byte, rng.IntN(3)*3000)
					for k := range v.Value {
						v.Value[k] = byte(rng.Uint32())
					}
				case 1:
				default:
					for _, b := range builtIn {
						if b.typeName == s.TypeName && rng.IntN(2) == 0 {
							v.Value, _ = fromJSON(b.typeName, []byte(b.text))
						}
					}
				}
				a.Values = append(a.Values, v)
			}
			c.States = append(c.States, a)
		}
	}
	if err := o.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	o.claim.Commit++
}

// Export and Import are each other's inverse, whatever the states are and between all kinds of stores.
func TestInverse(t *testing.T) {
	for from, open := range kinds {
		t.Run(from, func(t *testing.T) {
			source := open(t)
			anything(t, source, 1)
			text := source.dump(t)
			if n := strings.Count(text, "\n"); n != 5*9+5*10*9+1 {
				t.Fatalf("%d lines", n)
			}
			for to, open := range kinds {
				target := open(t)
				done, err := target.load(t, text, nil)
				if err != nil || done.Written != 450 {
					t.Fatalf("into %s: %+v, %v", to, done, err)
				}
				target.release(t)
				target.again(t)
				if again := target.dump(t); again != text {
					t.Errorf("into %s and out again: %s", to, difference(text, again))
				}
			}
		})
	}
}

func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d: got %.300s, want %.300s", i+2, b[i], a[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(b), len(a))
}

func whole(t *testing.T, o *opened) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(t.Context(), ExportConfig{Store: o, Identity: o.Identity(), Now: clock}, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A file that was cut anywhere is not taken for whole.
func TestPartsAreRecognised(t *testing.T) {
	o := inMemory(t)
	if _, err := o.load(t, spec(`{"mode":"afterWrite","ttl":"48h"}`)+value("a", 1)+value("é", 2), nil); err != nil {
		t.Fatal(err)
	}
	text := whole(t, o)
	head := strings.Index(text, "\n") // before that nothing tells what it is a part of, and it holds no value
	for n := head; n < len(text)-1; n++ {
		_, err := Check(t.Context(), ImportConfig{}, nil, "f", strings.NewReader(text[:n]))
		if err == nil {
			t.Errorf("taken for whole: %q", text[:n])
		}
		skip := ImportConfig{Invalid: func(*LineError) {}}
		if _, err = Check(t.Context(), skip, nil, "f", strings.NewReader(text[:n])); !errors.Is(err, ErrPartial) {
			t.Errorf("left out to the end: %q: %v", text[:n], err)
		}
	}
	for name, good := range map[string]string{
		"whole": text, "without the last line end": strings.TrimSuffix(text, "\n"), "BOM and CRLF": "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n"), "empty lines": "\n \n" + strings.ReplaceAll(text, "\n", "\n\t\n\n"),
	} {
		if done, err := Check(t.Context(), ImportConfig{}, nil, "f", strings.NewReader(good)); done.Values != 2 || err != nil {
			t.Errorf("%s: %d values, %v", name, done.Values, err)
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for name, bad := range map[string][]string{
		"a line is missing":             {lines[0], lines[1], lines[2], lines[4]},
		"goes on behind its last line":  {text, lines[2]},
		"says that it holds 2 values":   {lines[0], lines[1], lines[2], lines[3], lines[3], lines[4]},
		"a first line in the middle":    {lines[1], lines[2], lines[0], lines[3], lines[4]},
		"file goes on":                  {text, text},
		"its last line is missing":      {lines[0], lines[1]},
		"f:1: the line is not UTF-8":    {"\x1f\x8b\x08\x00" + text},
		"f:1: not JSON":                 {"\xef\xbb" + "\xbf\ufeff" + text},
		"f:4: not JSON: the line ends ": {lines[0], lines[1], lines[2], lines[3][:20] + "\n", lines[4]},
	} {
		_, err := Check(t.Context(), ImportConfig{}, nil, "f", strings.NewReader(strings.Join(bad, "")))
		if err == nil || name != "a line is missing" && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if done, err := Check(t.Context(), ImportConfig{}, nil, "f", strings.NewReader("")); done.Values != 0 || err != nil {
		t.Errorf("nothing: %d, %v", done.Values, err)
	}
}

// A line that is too long fails alone, and takes no memory.
func TestLongLines(t *testing.T) {
	r := newReader("f", strings.NewReader(value("a", 1)+strings.Repeat("x", 3<<20)+"\n"+value("b", 2)+strings.Repeat("y", 3<<20)))
	r.max = 1 << 20
	for i, want := range []string{"", "f:2: a line of more than", "", "f:4: a line of more than", "EOF"} {
		_, err := r.next()
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) || cap(r.buf) > 4<<20 {
			t.Errorf("line %d: %v, with room for %d bytes", i+1, err, cap(r.buf))
		}
	}
}

func TestExportOfSome(t *testing.T) {
	o := inMemory(t)
	lines := ""
	for _, id := range []string{"a1", "a2", "b1"} {
		lines += value(id, 1) + strings.Replace(value(id, 2), "cart", "stock", 1)
	}
	ttl := spec(`{"mode":"afterWrite","ttl":"1h0m0s"}`)
	if _, err := o.load(t, ttl+lines, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	var told statestore.Holding
	cart := api.FunctionType{Namespace: "shop", Name: "cart"}
	cfg := ExportConfig{Store: o, Identity: "i", Functions: []api.FunctionType{cart}, IDPrefix: "a", Now: clock, Holding: func(h statestore.Holding) { told = h }}
	done, err := Export(t.Context(), cfg, &b)
	if done != (Exported{Values: 2, Addresses: 2}) || err != nil || len(told.Functions) != 2 {
		t.Errorf("got %+v, %v, %+v", done, err, told)
	}
	touched := fmt.Sprintf(`,"touched":%d}`, clock.UnixMilli())
	want := `{"stategate":"state","version":1,"store":"i","at":"2026-01-01T00:00:00Z","functions":["shop/cart"],"idPrefix":"a"}` + "\n" + ttl +
		strings.TrimSuffix(value("a1", 1), "}\n") + touched + "\n" + strings.TrimSuffix(value("a2", 1), "}\n") + touched + "\n" + `{"end":true,"values":2}` + "\n"
	if b.String() != want {
		t.Errorf("got\n%s, want\n%s", b.String(), want)
	}
	// What has expired is nobody's state any more.
	cfg.Now, cfg.Functions, cfg.IDPrefix = clock.Add(time.Hour), nil, ""
	if done, err = Export(t.Context(), cfg, &b); done != (Exported{Values: 3, Addresses: 3, Expired: 3}) || err != nil {
		t.Errorf("an hour later: %+v, %v", done, err)
	}
	cfg.Now = clock.Add(time.Hour - time.Millisecond)
	if done, err = Export(t.Context(), cfg, &b); done.Values != 6 || err != nil {
		t.Errorf("just before: %+v, %v", done, err)
	}
}

// Records of keys belong to the store that made them: no export has them, also not one that asks for them. A file of old that has some
// is refused, and whole without them.
func TestRecordsOfKeysStay(t *testing.T) {
	o := inMemory(t)
	if _, err := o.load(t, value("a", 1), nil); err != nil {
		t.Fatal(err)
	}
	want := o.dump(t)
	once := api.FunctionType{Namespace: "io.stategate", Name: "once"}
	c := &statestore.Commit{Fence: o.claim.Fence, Number: o.claim.Commit + 1, NextNumber: o.claim.NextNumber}
	c.Functions = []statestore.FunctionSpec{{Function: once, States: []statestore.StateSpec{{Name: "sum"}}}}
	c.States = []statestore.AddressState{{Address: api.Address{Type: once, ID: "total"}, Values: []statestore.StateValue{{Name: "sum", TypeName: "1", Value: []byte("1 230"), Changed: true}}}}
	if err := o.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	o.claim.Commit++
	if got := o.dump(t); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	done, err := Export(t.Context(), ExportConfig{Store: o, Functions: []api.FunctionType{once}, Now: clock}, io.Discard)
	if done != (Exported{}) || err != nil {
		t.Errorf("asked for: %+v, %v", done, err)
	}
	old := `{"stategate":"state","version":1}` + "\n" + value("a", 1) + `{"function":"io.stategate/once","id":"total","state":"sum","type":"1","base64":"MSAyMzA="}` + "\n" + `{"end":true,"values":2}` + "\n"
	into := inMemory(t)
	if got, err := into.load(t, old, nil); err == nil || !strings.Contains(err.Error(), "f:3: io.stategate/once holds") || got.Written != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	into = inMemory(t)
	if got, err := into.load(t, old, func(c *ImportConfig) { c.Invalid = func(*LineError) {} }); err != nil || got.Written != 1 || got.Invalid != 1 || into.dump(t) != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

type fullDisk struct{ left int }

func (w *fullDisk) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestExportToAFullDisk(t *testing.T) {
	o := inMemory(t)
	anything(t, o, 2)
	for _, left := range []int{0, 300 << 10} {
		if _, err := Export(t.Context(), ExportConfig{Store: o, Now: clock}, &fullDisk{left}); err == nil || err.Error() != "no space left" {
			t.Errorf("with room for %d bytes: %v", left, err)
		}
	}
	if _, err := Export(t.Context(), ExportConfig{Store: o, Now: clock}, &fullDisk{100 << 20}); err != nil {
		t.Error(err)
	}
}

func TestExportRefusesWhatJSONCannotSay(t *testing.T) {
	o := inMemory(t)
	c := &statestore.Commit{Fence: o.claim.Fence, Number: 1, NextNumber: 1, States: []statestore.AddressState{{Address: api.Address{Type: api.FunctionType{Name: "f"}, ID: "\xff"}, Values: []statestore.StateValue{{Name: "n"}}}}}
	if err := o.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), ExportConfig{Store: o, Now: clock}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), `"\xff" is not UTF-8`) {
		t.Errorf("got %v", err)
	}
}

func TestProgress(t *testing.T) {
	for terminal, want := range map[bool]string{true: "\r\x1b[Kexported 7000 values, 7/s", false: "exported 7000 values, 7/s\n"} {
		var b bytes.Buffer
		p := NewProgress(&b, "exported", terminal)
		p.add(3)
		if b.Len() > 0 {
			t.Errorf("told at once: %q", b.String())
		}
		p.began = time.Now().Add(-1000 * time.Second)
		p.told = time.Now().Add(-time.Minute)
		p.add(6997)
		if b.String() != want {
			t.Errorf("terminal %v: %q, want %q", terminal, b.String(), want)
		}
		b.Reset()
		p.Clear()
		p.Clear()
		if cleared := b.String() == "\r\x1b[K"; cleared != terminal {
			t.Errorf("terminal %v: %q", terminal, b.String())
		}
	}
	var none *Progress
	none.add(1)
	none.Clear()
}
