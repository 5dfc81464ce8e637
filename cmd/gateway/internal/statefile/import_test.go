//go:build unix

package statefile

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

func value(id string, n int) string {
	return fmt.Sprintf(`{"function":"shop/cart","id":%q,"state":"n","type":"io.statefun.types/int","value":%d}`, id, n) + "\n"
}

func spec(expiration string) string {
	return `{"function":"shop/cart","state":"n","type":"io.statefun.types/int","expiration":` + expiration + "}\n"
}

// expect fails unless the import ended as it should.
func expect(t *testing.T, done Imported, err error, want Imported, wantErr string) {
	t.Helper()
	if done != want {
		t.Errorf("got %+v, want %+v", done, want)
	}
	if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
		t.Errorf("got %v, want %q", err, wantErr)
	}
}

func overwrite(c *ImportConfig) { c.Overwrite = true }

// skipping notes the lines that are left out.
func skipping(told *[]string) func(*ImportConfig) {
	return func(c *ImportConfig) { c.Invalid = func(err *LineError) { *told = append(*told, err.Error()) } }
}

func TestImport(t *testing.T) {
	o := inMemory(t)
	done, err := o.load(t, value("a", 1)+value("b", 0)+`{"function":"shop/cart","id":"a","state":"m","type":"x/y","base64":"AAH/","touched":7}`+"\n", nil)
	expect(t, done, err, Imported{Written: 3, Commits: 1}, "")
	v := values(t, o, "shop/cart", "a")
	if len(v) != 2 || v[0].Name != "m" || string(v[0].Value) != "\x00\x01\xff" || v[0].Touched != 7 || v[0].TypeName != "x/y" || v[1].Touched != clock.UnixMilli() || string(v[1].Value) != "\x0d\x01\x00\x00\x00" {
		t.Errorf("got %+v", v)
	}
	if v := values(t, o, "shop/cart", "b"); len(v) != 1 || v[0].Value == nil || len(v[0].Value) != 0 {
		t.Errorf("a zero is %+v", v)
	}
	// What no line tells of expirations is left to the function; types are known.
	o.release(t)
	o.again(t)
	want := []statestore.StateSpec{{Name: "n", TypeName: typeInt}, {Name: "m", TypeName: "x/y"}}
	if len(o.claim.Functions) != 1 || !slices.Equal(o.claim.Functions[0].States, want) {
		t.Errorf("known are %+v", o.claim.Functions)
	}
}

// The same again changes nothing, also when a call has touched a value meanwhile.
func TestImportAgain(t *testing.T) {
	o := inMemory(t)
	text := spec(`{"mode":"afterWrite","ttl":"1h"}`) + value("a", 1) + value("b", 2)
	done, err := o.load(t, text, nil)
	expect(t, done, err, Imported{Written: 2, Commits: 1}, "")
	o.release(t)
	o.again(t)
	before := o.dump(t)
	done, err = o.load(t, strings.ReplaceAll(text, `":2}`, `":2,"touched":99}`), nil)
	expect(t, done, err, Imported{Same: 2}, "")
	done, err = o.load(t, text+value("a", 1)+value("a", 1), nil)
	expect(t, done, err, Imported{Same: 4}, "")
	if after := o.dump(t); after != before {
		t.Errorf("got\n%s, want\n%s", after, before)
	}
}

func TestImportConflicts(t *testing.T) {
	o := inMemory(t)
	if _, err := o.load(t, value("a", 1)+value("b", 1), nil); err != nil {
		t.Fatal(err)
	}
	done, err := o.load(t, value("c", 1)+value("b", 2)+value("d", 1), nil)
	expect(t, done, err, Imported{Written: 1, Commits: 1}, `f:2: state "n" of shop/cart/b has another value already; --overwrite replaces it`)
	var told []string
	done, err = o.load(t, value("e", 1)+value("b", 2)+value("f", 1), skipping(&told))
	expect(t, done, err, Imported{Written: 2, Invalid: 1, Commits: 1}, "")
	if len(told) != 1 || !strings.HasPrefix(told[0], "f:2: ") {
		t.Errorf("told %q", told)
	}
	done, err = o.load(t, value("a", 5)+value("b", 2)+value("a", 6), overwrite) // of a's two lines the last counts
	expect(t, done, err, Imported{Written: 3, Commits: 1}, "")
	if v := values(t, o, "shop/cart", "a"); v[0].Value[1] != 6 {
		t.Errorf("a is %x", v[0].Value)
	}
	done, err = o.load(t, value("g", 1)+value("g", 2), nil) // in one file, too
	expect(t, done, err, Imported{Written: 1, Commits: 1}, "f:2: ")
}

func TestImportTypes(t *testing.T) {
	o := inMemory(t)
	other := `{"function":"shop/cart","id":"x","state":"n","type":"io.statefun.types/long","value":1}` + "\n"
	done, err := o.load(t, value("a", 1)+other, nil)
	expect(t, done, err, Imported{Written: 1, Commits: 1}, `f:2: state "n" of shop/cart has type "io.statefun.types/int", here it is "io.statefun.types/long"`)
	o.release(t)
	o.again(t) // now the store knows
	done, err = o.load(t, other, nil)
	expect(t, done, err, Imported{}, `f:1: state "n" of shop/cart has type "io.statefun.types/int"`)
	second, hour := spec(`{"mode":"afterWrite","ttl":"1s"}`), spec(`{"mode":"afterWrite","ttl":"1h0m0s"}`)
	done, err = o.load(t, value("b", 1)+second+value("c", 1), nil) // what nobody had told is told now
	expect(t, done, err, Imported{Written: 2, Commits: 1}, "")
	o.release(t)
	o.again(t)
	done, err = o.load(t, value("d", 1)+hour, nil)
	expect(t, done, err, Imported{Written: 1, Commits: 1}, `f:2: state "n" of shop/cart expires afterWrite, after "1s", here afterWrite, after "1h0m0s"; --overwrite changes it`)
	done, err = o.load(t, spec(`{"mode":"never"}`), nil)
	expect(t, done, err, Imported{}, "here never; --overwrite changes it")
	done, err = o.load(t, hour, overwrite)
	expect(t, done, err, Imported{Commits: 1}, "")
	if got := strings.Split(o.dump(t), "\n")[0]; got != strings.TrimSpace(hour) {
		t.Errorf("known is %s", got)
	}
	done, err = o.load(t, strings.ReplaceAll(spec(`{"mode":"never"}`)+second, "cart", "new"), nil) // one file says two things
	expect(t, done, err, Imported{Commits: 1}, "f:2: ")
	var many strings.Builder
	for i := range api.StatesPerFunction + 1 {
		fmt.Fprintf(&many, `{"function":"shop/many","id":"x","state":"s%d","type":"x/y","base64":""}`+"\n", i)
	}
	done, err = o.load(t, many.String(), nil)
	expect(t, done, err, Imported{Written: api.StatesPerFunction, Commits: 1}, fmt.Sprintf("f:%d: shop/many has more than 1024 states", api.StatesPerFunction+1))
}

// A row is found again when its first value expires: by what a line says, and where nothing is known a day later, when the
// function will have told.
func TestImportExpires(t *testing.T) {
	o := inMemory(t)
	now := clock.UnixMilli()
	lines := strings.ReplaceAll(value("with", 1), `":1}`, `":1,"touched":`+fmt.Sprint(now-5000)+`,"expiration":{"mode":"afterInvoke","ttl":10000}}`) + strings.ReplaceAll(value("unknown", 1), "cart", "other") +
		strings.ReplaceAll(spec(`{"mode":"never"}`)+value("never", 1), "cart", "third")
	done, err := o.load(t, lines, nil)
	expect(t, done, err, Imported{Written: 3, Commits: 1}, "")
	for before, want := range map[int64]string{now + 5000: "", now + 7000: "with", now + lookAgain: "with", now + lookAgain + 1: "with unknown", 1 << 60: "with unknown"} {
		found, err := o.ExpiredAddresses(t.Context(), before, 10)
		var ids []string
		for _, a := range found {
			ids = append(ids, a.ID)
		}
		if got := strings.Join(ids, " "); got != want || err != nil {
			t.Errorf("expired %d ms later are %q, %v, want %q", before-now, got, err, want)
		}
	}
}

// watched looks at each commit on its way.
type watched struct {
	*opened
	look func(c *statestore.Commit)
}

func (w watched) Commit(ctx context.Context, c *statestore.Commit) error {
	w.look(c)
	return w.opened.Commit(ctx, c)
}

// What has expired is not there, whether it is swept or not: the same value is written anew, and another one is not in its way.
func TestImportOverExpired(t *testing.T) {
	old := strings.Replace(value("a", 7), "}\n", `,"touched":1000}`+"\n", 1) + strings.Replace(value("b", 7), "}\n", `,"touched":1000}`+"\n", 1)
	o := inMemory(t)
	done, err := o.load(t, spec(`{"mode":"afterWrite","ttl":"100h"}`)+old, nil)
	expect(t, done, err, Imported{Written: 2, Commits: 1}, "")
	o.again(t)
	done, err = o.load(t, value("a", 7)+value("b", 8), nil)
	expect(t, done, err, Imported{Written: 2, Commits: 1}, "")
	for id, want := range map[string]string{"a": "\x0d\x07\x00\x00\x00", "b": "\x0d\x08\x00\x00\x00"} {
		if v := values(t, o, "shop/cart", id); len(v) != 1 || v[0].Touched != clock.UnixMilli() || string(v[0].Value) != want {
			t.Errorf("%s: got %+v", id, v)
		}
	}
}

// Lines that are not there cannot be left out: a file that says how many values it holds must hold them.
func TestImportOfAPart(t *testing.T) {
	for name, text := range map[string]string{
		"with a head":    `{"stategate":"state","version":1}` + "\n" + value("a", 1) + `{"end":true,"values":50}` + "\n",
		"without a head": value("a", 1) + `{"end":true,"values":50}` + "\n",
		"too few":        value("a", 1) + value("b", 1) + `{"end":true,"values":1}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			_, err := inMemory(t).load(t, text, skipping(&told))
			if !errors.Is(err, ErrPartial) || len(told) > 0 {
				t.Errorf("got %v and left out %q", err, told)
			}
		})
	}
}

func TestImportCommitsAreBounded(t *testing.T) {
	o := inMemory(t)
	var text strings.Builder
	for i := range 2500 {
		text.WriteString(value(fmt.Sprint(i), i))
	}
	large := fmt.Sprintf(`{"function":"shop/cart","id":"large%%d","state":"big","type":"io.statefun.types/string","value":%q}`+"\n", strings.Repeat("x", 1<<20))
	for i := range 9 {
		fmt.Fprintf(&text, large, i)
	}
	commits, largest := 0, 0
	done, err := o.load(t, text.String(), func(c *ImportConfig) {
		c.Target = watched{o, func(c *statestore.Commit) {
			commits++
			bytes := 0
			for _, s := range c.States {
				bytes += len(s.Values[0].Value)
			}
			if len(c.States) > batchAddresses || bytes > batchBytes+(1<<20) {
				t.Errorf("a commit of %d addresses and %d bytes", len(c.States), bytes)
			}
			largest = max(largest, bytes)
		}}
	})
	expect(t, done, err, Imported{Written: 2509, Commits: int64(commits)}, "")
	if commits < 5 || commits > 6 || largest < batchBytes {
		t.Errorf("%d commits, the largest of %d bytes", commits, largest)
	}
}

// full answers addresses that have as much state as one may have.
type full struct{ *opened }

func (f full) States(_ context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	half := make([]byte, api.StateBytesMax/2) // one for both: it is only counted
	return []statestore.Loaded{{Values: []statestore.StateValue{{Name: "a", Value: half}, {Name: "b", Value: half}}}}, nil
}

func TestImportOfTooMuch(t *testing.T) {
	o := inMemory(t)
	done, err := o.load(t, value("x", 1), func(c *ImportConfig) { c.Target = full{o} })
	expect(t, done, err, Imported{Commits: 1}, "f:1: all states of shop/cart/x together have more than 268435456 bytes")
	done, err = o.load(t, value("x", 0), func(c *ImportConfig) { c.Target = full{o} })
	expect(t, done, err, Imported{Written: 1, Commits: 1}, "")
}

// An import that ends early has written what it says, and can be made again.
func TestImportInterrupted(t *testing.T) {
	o := inMemory(t)
	var text strings.Builder
	for i := range 3000 {
		text.WriteString(value(fmt.Sprint(i), i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	commits := 0
	done, err := o.loadFrom(ctx, strings.NewReader(text.String()), func(c *ImportConfig) {
		c.Target = watched{o, func(*statestore.Commit) {
			if commits++; commits == 2 {
				cancel()
			}
		}}
	})
	if !errors.Is(err, context.Canceled) || done.Written != 1000 {
		t.Fatalf("got %+v, %v", done, err)
	}
	o.release(t)
	o.again(t)
	done, err = o.load(t, text.String(), nil)
	expect(t, done, err, Imported{Written: 2000, Same: 1000, Commits: 2}, "")
}

// brokenReader fails in the middle.
type brokenReader struct{ io.Reader }

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the disk is gone")
	}
	return n, err
}

func TestImportOfWhatCannotBeRead(t *testing.T) {
	o := inMemory(t)
	done, err := o.loadFrom(t.Context(), brokenReader{strings.NewReader(value("a", 1) + value("b", 2))}, nil)
	expect(t, done, err, Imported{Written: 2, Commits: 1}, "read f, line 3: the disk is gone")
}

// The store may be away, or leave open what became of a commit: each value is written once all the same.
func TestImportThroughFaults(t *testing.T) {
	for name, fault := range map[string]memory.Fault{"unavailable": memory.FaultUnavailable, "lost": memory.FaultLost, "done": memory.FaultDone, "late": memory.FaultLate} {
		t.Run(name, func(t *testing.T) {
			calls, tries := 0, 0
			s := memory.New(memory.Config{Faults: memory.Faults{
				Call: func(name string) error {
					if calls++; name == "states" && calls%2 == 0 || name == "last commit" && calls%3 != 0 {
						return fmt.Errorf("away: %w", statestore.ErrUnavailable)
					}
					return nil
				},
				Commit: func(*statestore.Commit) memory.Fault {
					if tries++; tries%2 == 1 {
						return fault
					}
					return memory.FaultNone
				},
			}})
			o := own(t, s)
			var text strings.Builder
			for i := range 2500 {
				text.WriteString(value(fmt.Sprint(i), i))
			}
			done, err := o.load(t, text.String(), nil)
			expect(t, done, err, Imported{Written: 2500, Commits: 3}, "")
			if last, err := s.Open(memory.Faults{}).LastCommit(t.Context(), o.claim.Fence); last != 3 || err != nil {
				t.Errorf("the last commit is %d, %v", last, err)
			}
		})
	}
}

func TestImportGivesUp(t *testing.T) {
	away := fmt.Errorf("away: %w", statestore.ErrUnavailable)
	pauses := 0
	o := own(t, memory.New(memory.Config{Faults: memory.Faults{Commit: func(*statestore.Commit) memory.Fault { return memory.FaultUnavailable }}}))
	done, err := o.load(t, value("a", 1), func(c *ImportConfig) { c.Pause = func(context.Context) { pauses++ } })
	if !errors.Is(err, statestore.ErrUnavailable) || done != (Imported{}) || pauses != triesMax-1 {
		t.Errorf("got %+v, %v after %d pauses; %v", done, err, pauses, away)
	}
}

// A gateway that takes the store over ends the import: it must not write a line more.
func TestImportIsFenced(t *testing.T) {
	o := inMemory(t)
	first := o.claim
	o.release(t)
	o.again(t)
	second := o.claim
	o.claim = first
	done, err := o.load(t, value("a", 1), nil)
	expect(t, done, err, Imported{}, "a gateway has taken the store over")
	o.claim = second
	if v := values(t, o, "shop/cart", "a"); len(v) != 0 {
		t.Errorf("written is %+v", v)
	}
}

func TestCheck(t *testing.T) {
	text := value("a", 1) + "{\n" + spec(`{"mode":"never"}`) + value("b", 2) + `{"function":"shop/cart","id":"x","state":"n","type":"x/y","base64":""}` + "\n"
	done, err := Check(t.Context(), ImportConfig{}, nil, "f", strings.NewReader(text))
	if done.Values != 1 || done.Invalid != 0 || err == nil || !strings.HasPrefix(err.Error(), "f:2: not JSON") {
		t.Errorf("got %+v, %v", done, err)
	}
	var told []string
	cfg := ImportConfig{}
	skipping(&told)(&cfg)
	done, err = Check(t.Context(), cfg, nil, "f", strings.NewReader(text))
	if done.Values != 2 || done.Invalid != 2 || err != nil || len(told) != 2 || !strings.HasPrefix(told[1], "f:5: ") {
		t.Errorf("got %+v, %v: %q", done, err, told)
	}
	known := []statestore.FunctionSpec{{Function: api.FunctionType{Namespace: "shop", Name: "cart"}, States: []statestore.StateSpec{{Name: "n", TypeName: "x/y"}}}}
	if _, err = Check(t.Context(), ImportConfig{}, known, "f", strings.NewReader(value("a", 1))); err == nil || !strings.Contains(err.Error(), `has type "x/y"`) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = Check(ctx, ImportConfig{}, nil, "f", strings.NewReader(value("a", 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What a file says twice is counted, and beyond a bound not remembered.
func TestCheckRemembersValues(t *testing.T) {
	valueOf := func(function, id, state, content string) *line {
		l, err := parseLine([]byte(fmt.Sprintf(`{"function":%q,"id":%q,"state":%q,"type":"x/y","base64":%q}`, function, id, state, content)))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	values := told{seed: maphash.MakeSeed(), max: 4, values: map[uint64]uint32{}}
	for i, step := range []struct {
		line                      *line
		overwrite, again, refused bool
	}{
		{line: valueOf("a/b", "c", "d", "AAAA")},
		{line: valueOf("a/b", "cd", "e", "AAAA")}, // the same letters, parted elsewhere
		{line: valueOf("a/bc", "d", "e", "AAAA")},
		{line: valueOf("a/b", "c", "d", "AAAA"), again: true},
		{line: valueOf("a/b", "c", "d", "BBBB"), again: true, refused: true},
		{line: valueOf("a/b", "c", "d", "AAAA"), again: true}, // what was refused does not count
		{line: valueOf("a/b", "c", "d", "BBBB"), again: true, overwrite: true},
		{line: valueOf("a/b", "c", "d", "BBBB"), again: true},
		{line: valueOf("a/b", "c", "de", "AAAA")},
		{line: valueOf("a/b", "e", "d", "AAAA")}, // one too many
		{line: valueOf("a/b", "e", "d", "BBBB")},
		{line: valueOf("a/b", "c", "d", "AAAA"), again: true, refused: true},
	} {
		if again, refused := values.take(step.line, step.overwrite); again != step.again || refused != step.refused {
			t.Errorf("line %d: again %v, refused %v", i, again, refused)
		}
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		pause(ctx)
		if took := time.Since(began); took > 0 {
			t.Errorf("took %v", took)
		}
	})
}
