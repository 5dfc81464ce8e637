package statestore

import (
	"bytes"
	"cmp"
	"testing"

	"github.com/stategate/stategate/api"
)

// FuzzKeys: no two things have the same key, no function's prefix is that of another's addresses, and keys keep the order that
// listings go by. Names above their bound cannot be keyed apart by length alone, so they are part of it.
func FuzzKeys(f *testing.F) {
	f.Fuzz(func(t *testing.T, namespace, name, id, otherNamespace, otherName, otherID string, number, otherNumber uint64, due, otherDue int64) {
		a := api.Address{Type: api.FunctionType{Namespace: namespace, Name: name}, ID: id}
		b := api.Address{Type: api.FunctionType{Namespace: otherNamespace, Name: otherName}, ID: otherID}
		for _, x := range []struct {
			what      string
			a, b      []byte
			different bool
		}{
			{"addresses", AddressKey(a), AddressKey(b), a != b},
			{"functions", FunctionKey(a.Type), FunctionKey(b.Type), a.Type != b.Type},
			{"tokens", TokenKey(namespace, name), TokenKey(otherNamespace, otherName), a.Type != b.Type},
			{"tokens of long ids", TokenKey(id, name), TokenKey(otherID, otherName), id != otherID || name != otherName},
			{"names", NameKey(id), NameKey(otherID), id != otherID},
			{"egresses", EgressKey(id), EgressKey(otherID), id != otherID},
			{"sources", SourceKey(api.Source{Ingress: namespace, Topic: name, Partition: int32(number)}), SourceKey(api.Source{Ingress: otherNamespace, Topic: otherName, Partition: int32(otherNumber)}),
				a.Type != b.Type || int32(number) != int32(otherNumber)},
		} {
			if bytes.Equal(x.a, x.b) == x.different {
				t.Errorf("%s: keys %x and %x", x.what, x.a, x.b)
			}
			if len(x.a) > KeyBytesMax {
				t.Errorf("%s: a key of %d bytes", x.what, len(x.a))
			}
		}
		if len(NameKey(id)) > 130 {
			t.Errorf("name of %d bytes: a key of %d", len(id), len(NameKey(id)))
		}
		prefix, key := FunctionKey(a.Type), AddressKey(b)
		if bytes.HasPrefix(key, prefix) != (a.Type == b.Type) {
			t.Errorf("%v: key %x, prefix of %v %x", b, key, a.Type, prefix)
		}
		if end := KeyAfter(prefix); a.Type == b.Type && (bytes.Compare(key, prefix) < 0 || bytes.Compare(key, end) >= 0) {
			t.Errorf("key %x of its function is not between %x and %x", key, prefix, end)
		} else if bytes.HasPrefix(end, prefix) || bytes.Compare(end, prefix) <= 0 {
			t.Errorf("%x is not behind all that begins with %x", end, prefix)
		}
		b.Type = a.Type
		if len(id) <= 700 && len(otherID) <= 700 && cmp.Compare(id, otherID) != bytes.Compare(AddressKey(a), AddressKey(b)) {
			t.Errorf("ids %q and %q are in another order than their keys", id, otherID)
		}
		x, y := TimerKey{Due: due, Number: number}, TimerKey{Due: otherDue, Number: otherNumber}
		if want := cmp.Or(cmp.Compare(due, otherDue), cmp.Compare(number, otherNumber)); bytes.Compare(FiringKey(x), FiringKey(y)) != want {
			t.Errorf("timers %+v and %+v: keys %x and %x", x, y, FiringKey(x), FiringKey(y))
		}
		if got, err := DecodeFiringKey(FiringKey(x)); err != nil || got != x {
			t.Errorf("got %+v, %v, want %+v", got, err, x)
		}
	})
}

// FuzzKeyAfter: what is behind a prefix is the first key that is.
func FuzzKeyAfter(f *testing.F) {
	f.Fuzz(func(t *testing.T, prefix, key []byte) {
		end := KeyAfter(prefix)
		if end == nil {
			if len(bytes.Trim(prefix, "\xff")) > 0 {
				t.Fatalf("nothing is behind %x", prefix)
			}
			return
		}
		inside := bytes.HasPrefix(key, prefix)
		if between := bytes.Compare(key, prefix) >= 0 && bytes.Compare(key, end) < 0; between != inside {
			t.Fatalf("prefix %x, end %x, key %x: between %v, begins with it %v", prefix, end, key, between, inside)
		}
		if _, err := DecodeFiringKey(key); (err == nil) != (len(key) == 16) {
			t.Fatalf("a timer's key of %d bytes: %v", len(key), err)
		}
	})
}
