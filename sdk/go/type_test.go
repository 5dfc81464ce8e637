package stategate

import (
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

func roundTrip[T any](t *testing.T, typ Type[T], value T, want string) {
	t.Helper()
	v := typ.Of(value)
	if v.err != nil {
		t.Errorf("%s: %v", typ.Name, v.err)
		return
	}
	if got := hex.EncodeToString(v.Value); got != want {
		t.Errorf("%s of %v is %s, want %s", typ.Name, value, got, want)
	}
	got, err := typ.From(v)
	if err != nil || !reflect.DeepEqual(got, value) {
		t.Errorf("%s of %v came back as %v, %v", typ.Name, value, got, err)
	}
}

func TestTypes(t *testing.T) {
	roundTrip(t, Bool, false, "")
	roundTrip(t, Bool, true, "0801")
	roundTrip(t, Int, 0, "")
	roundTrip(t, Int, 1, "0d01000000")
	roundTrip(t, Int, -1, "0dffffffff")
	roundTrip(t, Long, 1, "090100000000000000")
	roundTrip(t, Long, math.MinInt64, "090000000000000080")
	roundTrip(t, Float, 1.5, "0d0000c03f")
	roundTrip(t, Double, 1.5, "09000000000000f83f")
	roundTrip(t, String, "", "")
	roundTrip(t, String, "hi", "0a026869")
	roundTrip(t, Bytes("a/b"), []byte("raw"), "726177")
	roundTrip(t, JSON[map[string]int]("a/b"), map[string]int{"n": 1}, hex.EncodeToString([]byte(`{"n":1}`)))
}

func TestProtobufType(t *testing.T) {
	typ := Protobuf[*protocol.IntWrapper]()
	if want := "type.googleapis.com/stategate.sdk.go.v1.IntWrapper"; typ.Name != want {
		t.Errorf("got name %s, want %s", typ.Name, want)
	}
	got, err := typ.From(typ.Of(&protocol.IntWrapper{Value: 3}))
	if err != nil || !proto.Equal(got, &protocol.IntWrapper{Value: 3}) {
		t.Errorf("got %v, %v, want 3", got, err)
	}
}

func TestTypeErrors(t *testing.T) {
	decode := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
	_, err := Int.From(TypedValue{TypeName: Int.Name, Value: []byte{0x0d}})
	decode("cut", err, Int.Name)
	_, err = Int.From(Long.Of(1))
	decode("another type", err, "io.statefun.types/long")
	_, err = Int.From(typedValueOf(&protocol.TypedValue{Typename: Int.Name}))
	decode("without a value", err, "no value")
	_, err = Int.From(typedValueOf(nil))
	decode("absent", err, "decode")
	_, err = JSON[int]("a/b").From(TypedValue{TypeName: "a/b", Value: []byte("{")})
	decode("json", err, "a/b")
	_, err = JSON[chan int]("a/b").From(JSON[chan int]("a/b").Of(nil))
	decode("not json", err, "encode a/b")
}

// A function may change the bytes that it got or gave without changing what travels.
func TestBytesAreCopied(t *testing.T) {
	typ := Bytes("a/b")
	mine := []byte("abc")
	v := typ.Of(mine)
	mine[0] = 'x'
	got, err := typ.From(v)
	if err != nil || string(got) != "abc" {
		t.Fatalf("got %q, %v, want abc", got, err)
	}
	got[0] = 'y'
	if string(v.Value) != "abc" {
		t.Errorf("the value became %q, want abc", v.Value)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]Address{
		"a.b/st": {Namespace: "a.b", Name: "st", ID: "k"},
		"a/b/st": {Namespace: "a/b", Name: "st", ID: "k"},
		"st":     {Namespace: "st", ID: "k"},
		"":       {ID: "k"},
	} {
		if got := To(in, "k"); got != want {
			t.Errorf("To(%q) is %#v, want %#v", in, got, want)
		}
	}
}
