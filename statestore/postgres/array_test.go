package postgres

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stategate/stategate/statestore"
)

// TestByteasAreWrittenAsTheDriverDoes compares with what the driver makes of slices, in both formats.
func TestByteasAreWrittenAsTheDriverDoes(t *testing.T) {
	for _, elements := range [][][]byte{
		{{}},
		{[]byte("a")},
		{[]byte("\x00\\\"{},"), {}, bytes.Repeat([]byte{0xff}, 70_000), []byte("NULL")},
	} {
		all := newByteas(10)
		for _, e := range elements {
			all.add(func(b []byte) []byte { return append(b, e...) })
		}
		all.done()
		m := pgtype.NewMap()
		for _, format := range []int16{pgtype.BinaryFormatCode, pgtype.TextFormatCode} {
			want, err := m.Encode(pgtype.ByteaArrayOID, format, elements, []byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			taught := pgtype.NewMap()
			teachByteas(taught)
			got, err := taught.Encode(pgtype.ByteaArrayOID, format, all, []byte("before"))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("format %d: got %.100q, %v; want %.100q", format, got, err, want)
			}
			if got, err := taught.Encode(pgtype.ByteaArrayOID, format, elements, []byte("before")); err != nil || !bytes.Equal(got, want) {
				t.Errorf("format %d: slices are written differently: %.100q, %v", format, got, err)
			}
		}
	}
}

// TestCommitInEveryMode: a URL may tell the driver how it asks, for poolers that know no prepared statements.
func TestCommitInEveryMode(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			s := open(t, Config{URL: common(t).URL() + "&default_query_exec_mode=" + mode, Schema: fresh()})
			fence := acquire(t, s, newMember()).Fence
			binary, empty := []byte("\x00\\\"{},\xff"), []byte{}
			err := s.Commit(t.Context(), &statestore.Commit{Fence: fence, Number: 1, NextNumber: 1, States: []statestore.AddressState{
				state("b", binary), state("a\x00", empty), state("gone", nil), {Address: addr("never")},
			}})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Commit(t.Context(), &statestore.Commit{Fence: fence, Number: 2, NextNumber: 1, States: []statestore.AddressState{{Address: addr("gone")}}})
			if err != nil {
				t.Fatal(err)
			}
			for id, want := range map[string][]statestore.StateValue{
				"b": {{Name: "v", TypeName: "t", Value: binary}}, "a\x00": {{Name: "v", TypeName: "t", Value: empty}}, "gone": nil, "never": nil,
			} {
				if diff := cmp.Diff(want, loaded(t, s, id).Values); diff != "" {
					t.Errorf("%q: %s", id, diff)
				}
			}
		})
	}
}

// TestTheLastOfAnAddressCounts: a statement that touches a row twice is refused by the server.
func TestTheLastOfAnAddressCounts(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	fence := acquire(t, s, newMember()).Fence
	err := s.Commit(t.Context(), &statestore.Commit{Fence: fence, Number: 1, NextNumber: 1, States: []statestore.AddressState{
		state("a", []byte("1")), state("b", []byte("1")), state("a", []byte("2")), state("c", []byte("1")), state("a", []byte("3")), {Address: addr("b")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded(t, s, "a").Values; len(got) != 1 || string(got[0].Value) != "3" {
		t.Errorf("got %v, want 3", got)
	}
	if got := loaded(t, s, "b").Values; got != nil {
		t.Errorf("got %v, want none", got)
	}
}
