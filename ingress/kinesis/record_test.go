package kinesis

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
)

type apiRecord = api.Record

func hashOfText(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 10)
	return n
}

// aggregate packs as the Kinesis Producer Library does. A hash of "" is none.
func aggregate(users ...[3]string) []byte {
	var body, records []byte
	var keys, hashes []string
	for _, u := range users {
		var r []byte
		r = protowire.AppendTag(r, fieldKeyIndex, protowire.VarintType)
		if i := slices.Index(keys, u[0]); i >= 0 {
			r = protowire.AppendVarint(r, uint64(i))
		} else {
			r = protowire.AppendVarint(r, uint64(len(keys)))
			keys = append(keys, u[0])
		}
		if u[1] != "" {
			r = protowire.AppendTag(r, fieldHashIndex, protowire.VarintType)
			i := slices.Index(hashes, u[1])
			if i < 0 {
				i = len(hashes)
				hashes = append(hashes, u[1])
			}
			r = protowire.AppendVarint(r, uint64(i))
		}
		r = protowire.AppendTag(r, fieldData, protowire.BytesType)
		r = protowire.AppendBytes(r, []byte(u[2]))
		records = protowire.AppendTag(records, fieldRecords, protowire.BytesType)
		records = protowire.AppendBytes(records, r)
	}
	for _, k := range keys {
		body = protowire.AppendTag(body, fieldKeyTable, protowire.BytesType)
		body = protowire.AppendBytes(body, []byte(k))
	}
	for _, h := range hashes {
		body = protowire.AppendTag(body, fieldHashTable, protowire.BytesType)
		body = protowire.AppendBytes(body, []byte(h))
	}
	body = append(body, records...)
	digest := md5.Sum(body)
	return append(append(bytes.Clone(aggregateMagic), body...), digest[:]...)
}

func TestExpand(t *testing.T) {
	all := hashRange{new(big.Int), hashMax}
	none := hashRange{new(big.Int).Add(hashOf("a"), big.NewInt(1)), hashMax}
	packed := aggregate([3]string{"a", "", "1"}, [3]string{"b", "7", "2"}, [3]string{"a", "", "3"})
	broken := bytes.Clone(packed)
	broken[len(broken)-1]++
	notRecord := append(bytes.Clone(aggregateMagic), 0xff, 0xff)
	digest := md5.Sum(notRecord[len(aggregateMagic):])
	notRecord = append(notRecord, digest[:]...)
	var badIndex []byte
	{
		body := protowire.AppendBytes(protowire.AppendTag(nil, fieldRecords, protowire.BytesType), protowire.AppendVarint(protowire.AppendTag(nil, fieldKeyIndex, protowire.VarintType), 5))
		digest := md5.Sum(body)
		badIndex = append(append(bytes.Clone(aggregateMagic), body...), digest[:]...)
	}
	for name, c := range map[string]struct {
		shard hashRange
		data  []byte
		want  string
	}{
		"plain":                   {all, []byte("x"), "[k=x]"},
		"empty":                   {all, nil, "[k=]"},
		"packed":                  {all, packed, "[a=1 b=2 a=3]"},
		"others' shard":           {none, packed, "[]"},
		"explicit hash elsewhere": {hashRange{hashOf("a"), hashOf("a")}, packed, "[a=1 a=3]"},
		"wrong digest":            {all, broken, "[k=" + string(broken) + "]"},
		"no message":              {all, notRecord, "[k=" + string(notRecord) + "]"},
		"index out of range":      {all, badIndex, "[k=" + string(badIndex) + "]"},
		"magic alone":             {all, aggregateMagic, "[k=" + string(aggregateMagic) + "]"},
	} {
		var got []string
		for _, u := range c.shard.expand(sdk.String("k"), c.data) {
			got = append(got, u.key+"="+string(u.data))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %q, want %q", name, fmt.Sprint(got), c.want)
		}
	}
}

// TestHostileTables: what thousands of packed records name together is read once, and costs no more than the record does.
func TestHostileTables(t *testing.T) {
	const many = 5000
	all := hashRange{new(big.Int), hashMax}
	packs := func(key, hash string) []byte {
		users := make([][3]string, many)
		for i := range users {
			users[i] = [3]string{key, hash, "v"}
		}
		return aggregate(users...)
	}
	longest := strings.Repeat("ä", keyLengthMax)
	for name, c := range map[string]struct {
		data []byte
		want int // records taken; 0: the whole is one
		long int
	}{
		"longest key":      {packs(longest, ""), many, 0},
		"key too long":     {packs(longest+"ä", ""), 0, keyLengthMax + 1},
		"huge key":         {packs(strings.Repeat("k", 500<<10), ""), 0, 500 << 10},
		"one hash":         {packs("k", "7"), many, 0},
		"longest hash":     {packs("k", hashMax.String()), many, 0},
		"hash too long":    {packs("k", "0"+hashMax.String()), 0, 0},
		"huge hash":        {packs("k", strings.Repeat("7", 500<<10)), 0, 0},
		"key is not UTF-8": {packs(longest+"\xff", ""), 0, 0},
	} {
		got := all.expand(sdk.String("outer"), c.data)
		if c.want > 0 && (len(got) != c.want || got[many-1].key == "outer" || string(got[many-1].data) != "v") {
			t.Errorf("%s: got %d records, want %d", name, len(got), c.want)
		}
		if c.want == 0 && (len(got) != 1 || got[0].key != "outer" || got[0].long != c.long || !bytes.Equal(got[0].data, c.data)) {
			t.Errorf("%s: got %d records, want the whole, with %d for what is too long", name, len(got), c.long)
		}
		if n := testing.AllocsPerRun(1, func() { all.expand(nil, c.data) }); n > many/10 {
			t.Errorf("%s: %.0f allocations for %d packed records of one key", name, n, many)
		}
	}
}

// TestAggregatedRecords: what one record packs is numbered apart, so that a crash in the middle of it repeats nothing.
func TestAggregatedRecords(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	e.hold = holdSome
	n := 0
	put := func(values ...string) {
		var users [][3]string
		for _, v := range values {
			users = append(users, [3]string{"id of " + v, "", v})
			n++
		}
		f.put("s", "a", string(aggregate(users...)))
	}
	put("a1", "hold2", "a3")
	put("b1")
	put("c1", "c2")
	stop := run(t, f.config(observe(t), "s"), e)
	e.untilEffects(n - 1)
	e = e.crash()
	stop()
	put("d1", "hold2d", "d3")
	stop = run(t, f.config(observe(t), "s"), e)
	e.untilEffects(n)
	e.hold = holdSome
	e = e.crash()
	stop()
	put("e1")
	run(t, f.config(observe(t), "s"), e)
	e.untilEffects(n)
}

// TestPackedKeyTooLong: what packs a key that Kinesis has no room for is one dead letter, with all that it packs.
func TestPackedKeyTooLong(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	run(t, f.config(observe(t), "s"), e)
	var users [][3]string
	for range 2000 {
		users = append(users, [3]string{strings.Repeat("k", 200<<10), "", "v"})
	}
	packed := aggregate(users...)
	f.put("s", "a", string(packed))
	f.put("s", "a", "next")
	e.untilEffects(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.deads) != 1 || e.deads[0].Reason != "packed key too long" || string(e.deads[0].Key) != "a" || !bytes.Equal(e.deads[0].Value, packed) {
		t.Errorf("got %d dead letters", len(e.deads))
	}
	if got := e.order["a"]; !slices.Equal(got, []string{"next"}) {
		t.Errorf("got %d records", len(got))
	}
}

func TestUnusableRecords(t *testing.T) {
	src, stream := source("s", 3), &Stream{Name: "s", ValueType: "t", Routes: routes}
	for want, u := range map[string]user{
		"null key":            {data: []byte("v")},
		"key is not UTF-8":    {key: "a\xff", hasKey: true, data: []byte("v")},
		"key too long":        {key: strings.Repeat("k", api.IDBytesMax+1), hasKey: true, data: []byte("v")},
		"value too large":     {key: "k", hasKey: true, data: make([]byte, api.ValueBytesMax+1)},
		"packed key too long": {key: "k", hasKey: true, data: []byte("v"), long: keyLengthMax + 1},
	} {
		r := record(src, stream, 9, &u)
		if r.Dead == nil || r.Dead.Reason != want || r.Dead.Source != src || r.Dead.Offset != 9 || len(r.Routes) != 0 {
			t.Errorf("%s: got %+v", want, r.Dead)
		}
	}
	data := []byte("v")
	r := record(src, stream, 9, &user{key: "k", hasKey: true, data: data})
	data[0] = 'x'
	if r.Dead != nil || r.ID != "k" || string(r.Value.Value) != "v" || r.Value.TypeName != "t" || len(r.Routes) != 1 {
		t.Errorf("got %+v", r)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add(aggregate([3]string{"a", "", "1"}, [3]string{"b", "7", "2"})[len(aggregateMagic):])
	f.Add([]byte{0x0a, 0x01})
	all := hashRange{new(big.Int), hashMax}
	f.Fuzz(func(t *testing.T, b []byte) {
		digest := md5.Sum(b)
		whole := append(append(bytes.Clone(aggregateMagic), b...), digest[:]...)
		once, again := all.expand(sdk.String("k"), whole), all.expand(sdk.String("k"), whole)
		if fmt.Sprint(once) != fmt.Sprint(again) {
			t.Errorf("got %v, then %v", once, again)
		}
	})
}
