package statestore

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
)

func TestAddressKeysDiffer(t *testing.T) {
	long := strings.Repeat("x", 2<<10)
	name := strings.Repeat("n", api.NameBytesMax)
	cut := AddressKey(api.Address{Type: api.FunctionType{Namespace: "a", Name: "b"}, ID: long + "1"})
	addresses := []api.Address{
		{Type: api.FunctionType{Namespace: "a.b", Name: "c"}}, {Type: api.FunctionType{Namespace: "a", Name: "b.c"}},
		{Type: api.FunctionType{Namespace: "a/b", Name: "c"}}, {Type: api.FunctionType{Namespace: "a", Name: "b/c"}},
		{Type: api.FunctionType{Name: "ab"}}, {Type: api.FunctionType{Namespace: "ab"}}, {Type: api.FunctionType{Namespace: "a", Name: "b"}},
		{Type: api.FunctionType{Namespace: "a", Name: "b"}, ID: "\x00"}, {Type: api.FunctionType{Namespace: "a", Name: "b\x00"}},
		{Type: api.FunctionType{Namespace: "a", Name: "b"}, ID: long + "1"}, {Type: api.FunctionType{Namespace: "a", Name: "b"}, ID: long + "2"},
		{Type: api.FunctionType{Namespace: "a", Name: "b"}, ID: string(cut[6:])}, // looks like the digest of another id
		{Type: api.FunctionType{Namespace: name, Name: name}, ID: long}, {Type: api.FunctionType{Namespace: name, Name: name}, ID: long[1:]},
		{Type: api.FunctionType{Namespace: name + "n", Name: name}, ID: long}, {Type: api.FunctionType{Namespace: strings.Repeat("n", 1<<17), Name: name}, ID: long},
	}
	seen := map[string]api.Address{}
	for _, a := range addresses {
		k := AddressKey(a)
		if len(k) > KeyBytesMax {
			t.Errorf("key of %.80q has %d bytes", a, len(k))
		}
		if other, ok := seen[string(k)]; ok {
			t.Errorf("%.80q and %.80q have the same key", a, other)
		}
		seen[string(k)] = a
		for _, other := range addresses {
			if got, want := bytes.HasPrefix(k, FunctionKey(other.Type)), a.Type == other.Type; got != want {
				t.Errorf("key of %.80q begins with the function key of %.80q: %v", a, other, got)
			}
		}
	}
}

func TestAddressKeyOrder(t *testing.T) {
	f := api.FunctionType{Namespace: "a", Name: "b"}
	ids := []string{"", "\x00", "1", "10", "2", strings.Repeat("x", 600), strings.Repeat("x", 5000) + "y", "y"}
	for i := 1; i < len(ids); i++ {
		if bytes.Compare(AddressKey(api.Address{Type: f, ID: ids[i-1]}), AddressKey(api.Address{Type: f, ID: ids[i]})) >= 0 {
			t.Errorf("keys of %.20q and %.20q are not in the order of the ids", ids[i-1], ids[i])
		}
	}
	if after := KeyAfter(FunctionKey(f)); bytes.Compare(after, AddressKey(api.Address{Type: f, ID: strings.Repeat("\U0010ffff", 3000)})) <= 0 {
		t.Error("KeyAfter is not behind all addresses of the function type")
	}
	if got := KeyAfter([]byte{0xff, 0xff}); got != nil {
		t.Errorf("KeyAfter of the last prefix: %x", got)
	}
}

func TestTokenKeysDiffer(t *testing.T) {
	long := strings.Repeat("t", api.TokenBytesMax)
	pairs := [][2]string{{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"abc", ""}, {"a", long}, {"a", long[1:]}, {long, "a"}, {long, long}, {long + "a", ""}, {"", long + "a"}, {"\x00", ""}, {"", "\x00"}}
	seen := map[string]bool{}
	for _, p := range pairs {
		k := TokenKey(p[0], p[1])
		if len(k) > KeyBytesMax || seen[string(k)] {
			t.Errorf("key of %.20q, %.20q: %d bytes, seen: %v", p[0], p[1], len(k), seen[string(k)])
		}
		seen[string(k)] = true
	}
}

func TestOtherKeys(t *testing.T) {
	long := strings.Repeat("n", 4000)
	if bytes.Equal(NameKey(long), NameKey(long[1:])) || len(NameKey(long)) > 130 || bytes.Equal(NameKey(""), NameKey("\x00")) {
		t.Error("name keys")
	}
	a, b := SourceKey(api.Source{Ingress: "a", Topic: "bc", Partition: 1}), SourceKey(api.Source{Ingress: "ab", Topic: "c", Partition: 1})
	if bytes.Equal(a, b) || len(SourceKey(api.Source{Ingress: long, Topic: long, Partition: -1})) > KeyBytesMax {
		t.Error("source keys")
	}
	if bytes.Equal(EgressKey(long), EgressKey(long[1:])) {
		t.Error("egress keys")
	}
}

// Keys of times sort as the times do, also before 1970.
func TestFiringKeysSort(t *testing.T) {
	dues := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for i, due := range dues {
		k := TimerKey{Due: due, Number: math.MaxUint64}
		if got, err := DecodeFiringKey(FiringKey(k)); got != k || err != nil {
			t.Errorf("%v came back as %v, %v", k, got, err)
		}
		if i > 0 && bytes.Compare(FiringKey(TimerKey{Due: dues[i-1], Number: math.MaxUint64}), FiringKey(TimerKey{Due: due})) >= 0 {
			t.Errorf("%d does not sort before %d", dues[i-1], due)
		}
	}
	if _, err := DecodeFiringKey([]byte("short")); err == nil {
		t.Error("a short key is no error")
	}
}
