package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

func effectiveModule(t *testing.T, onFailure, password, more string) *module.Module {
	t.Helper()
	text := "kind: io.stategate.http.v1/ingress\nspec: {id: test/in, functions: [test/*]}\n---\n" +
		"kind: io.statefun.endpoints.v2/http\nspec: {functions: test/*, urlPathTemplate: \"http://u:" + password + "@127.0.0.1:1/\", onFailure: " + onFailure + "}\n" + more
	m, complaints := module.Parse("module.yaml", []byte(text), nil)
	if m == nil {
		t.Fatal(complaints)
	}
	return m
}

// compared is what a start with a module finds, and its log.
func compared(t *testing.T, store statestore.Store, m *module.Module) (report.Module, string) {
	t.Helper()
	var said bytes.Buffer
	a, err := New(Config{Module: m, Store: store, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.compareModule(t.Context())
	return a.Module(), said.String()
}

// TestModuleChanges: each start knows what has changed, and a start with the same module leaves it known.
func TestModuleChanges(t *testing.T) {
	store := memory.New(memory.Config{}).Open(memory.Faults{})
	first, said := compared(t, store, effectiveModule(t, "retry", "hunter2", ""))
	if !first.Compared || len(first.Changes) != 0 || !first.Since.IsZero() || said != "" || len(first.Components) != 2 || len(first.Files) != 1 {
		t.Errorf("the first start: %+v, and says %s", first, said)
	}
	want := []report.Change{
		{Kind: "endpoint", ID: "test/*", Name: "urlPathTemplate", Was: "http://***@127.0.0.1:1/", Is: "http://***@127.0.0.1:1/ (changed)"},
		{Kind: "endpoint", ID: "test/*", Name: "onFailure", Was: "retry", Is: "deadLetter"},
	}
	for start := range 3 { // the others have nothing new
		got, said := compared(t, store, effectiveModule(t, "deadLetter", "hunter3", ""))
		if diff := cmp.Diff(want, got.Changes); diff != "" || got.Since.IsZero() || got.Changed.Before(got.Since) {
			t.Errorf("start %d: since %s, changed %s (-want +got):\n%s", start, got.Since, got.Changed, diff)
		}
		line := map[bool]string{true: "the module has changed since the last start\" settings=2", false: "the module is what it was at the last start"}[start == 0]
		if !strings.Contains(said, line) || strings.Contains(said, "hunter") {
			t.Errorf("start %d says %s, want %s", start, said, line)
		}
	}
	note, _, err := store.Note(t.Context(), moduleNote)
	if err != nil {
		t.Fatal(err)
	}
	former, err := unpackFormer(note)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(former)
	if strings.Contains(string(text), "hunter") || !strings.Contains(string(text), "test/in") {
		t.Errorf("the store keeps %s", text)
	}
}

// TestNoteOfOthers: what is no note of a module is said, and written anew.
func TestNoteOfOthers(t *testing.T) {
	packed := func(text string) []byte {
		f := formerModule{}
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		return f.pack()
	}
	many := formerModule{Settings: &module.Snapshot{}, Changes: make([]module.Change, changesMax+1)}
	for name, note := range map[string][]byte{
		"text": []byte("{}"), "half": packed(`{"settings":[]}`)[:20], "no settings": packed("{}"), "too many": many.pack(), "before 1970": packed(`{"settings":[],"first":-1}`),
		"older than itself": packed(`{"settings":[],"first":2,"last":1}`), "less than none": packed(`{"settings":[],"more":-1}`),
		"a bomb": (&formerModule{Settings: &module.Snapshot{}, Changes: []module.Change{{Was: strings.Repeat("x", formerBytesMax)}}}).pack(),
	} {
		if len(note) > statestore.NoteBytesMax {
			t.Errorf("%s: the note has %d bytes", name, len(note))
		}
		store := memory.New(memory.Config{}).Open(memory.Faults{})
		if err := store.SetNote(t.Context(), moduleNote, note); err != nil {
			t.Fatal(err)
		}
		got, said := compared(t, store, effectiveModule(t, "retry", "x", ""))
		if !strings.Contains(said, errFormer.Error()) || len(got.Changes) > 0 {
			t.Errorf("%s: says %s, with %d changes", name, said, len(got.Changes))
		}
		if got, said := compared(t, store, effectiveModule(t, "deadLetter", "x", "")); len(got.Changes) != 1 || strings.Contains(said, errFormer.Error()) {
			t.Errorf("%s: the start after it says %s, with %d changes", name, said, len(got.Changes))
		}
	}
}

// TestManyChanges: a module of many components is compared, what is kept is small, and what is shown is bounded.
func TestManyChanges(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: test/f%d, urlPathTemplate: \"http://127.0.0.1:1/%d\"}\n", i, i)
	}
	store := memory.New(memory.Config{}).Open(memory.Faults{})
	compared(t, store, effectiveModule(t, "retry", "x", b.String()))
	note, _, err := store.Note(t.Context(), moduleNote)
	if err != nil || len(note) == 0 || len(note) > statestore.NoteBytesMax/4 {
		t.Errorf("a note of %d bytes, %v", len(note), err)
	}
	got, said := compared(t, store, effectiveModule(t, "retry", "x", strings.ReplaceAll(b.String(), "127.0.0.1", "127.0.0.2")))
	if len(got.Changes) != changesMax || got.More != 3000-changesMax || !strings.Contains(said, "settings=3000") {
		t.Errorf("%d changes and %d more: %s", len(got.Changes), got.More, said)
	}
}

// away is a store that does not answer at first.
type away struct {
	statestore.Store
	errs []error
}

func (s *away) Note(ctx context.Context, name string) ([]byte, int64, error) {
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, 0, err
	}
	return s.Store.Note(ctx, name)
}

// TestModuleWithoutStore: nobody waits for a store that is away, and an end is no failure; what nobody expects is said once.
func TestModuleWithoutStore(t *testing.T) {
	store := &away{Store: memory.New(memory.Config{}).Open(memory.Faults{}), errs: []error{statestore.ErrUnavailable}}
	a, err := New(Config{Module: effectiveModule(t, "retry", "x", ""), Store: store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	a.compareModule(ctx) // ends with ctx, though the store is still away
	if e := a.Module(); e.Compared || len(e.Components) != 2 {
		t.Errorf("before the store answers: %+v", e)
	}
	if got, said := compared(t, &away{Store: store.Store, errs: []error{errors.New("broken")}}, a.cfg.Module); got.Compared || !strings.Contains(said, "broken") {
		t.Errorf("a store that is broken: %+v, %s", got, said)
	}
}
