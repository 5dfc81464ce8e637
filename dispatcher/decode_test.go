package dispatcher

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
)

func TestReplyWithTooManyEffects(t *testing.T) {
	content := bytes.Repeat([]byte{2<<3 | byte(packed), 0}, protocol.EffectsMax)
	bodyOf := func(content []byte) []byte { return append(appendLen(nil, 100, len(content)), content...) }
	call := &machine.Call{}
	reply, err := decodeReply(bodyOf(content), call, newWords())
	if err != nil || len(reply.Sends) != protocol.EffectsMax {
		t.Fatalf("got %v, want %d effects", err, protocol.EffectsMax)
	}
	reply = nil
	if _, err := decodeReply(append(appendLen(nil, 102, len(content)+2), append(content, 2<<3|byte(packed), 0)...), call, newWords()); err != nil {
		t.Errorf("in an unknown field: %v", err)
	}
	one := bodyOf(append(content, 4<<3|byte(packed), 0))
	missing := append(appendLen(nil, 101, len(content)+2), bytes.Repeat([]byte{1<<3 | byte(packed), 0}, protocol.EffectsMax+1)...)
	two := bytes.Repeat(bodyOf(content[:len(content)/2+2]), 2)
	for _, body := range [][]byte{one, two, missing} {
		var err error
		allocated := testing.AllocsPerRun(1, func() { reply, err = decodeReply(body, call, newWords()) })
		if err == nil || !strings.Contains(err.Error(), "at most 1048576") || allocated > 20 {
			t.Errorf("got %v and %v allocations, want a refusal before the effects take memory", err, allocated)
		}
	}
}

// TestReplyIsSmall: a typical reply is three pieces of memory, a state's value shares none, and small values share no more than a block.
func TestReplyIsSmall(t *testing.T) {
	call, w := &machine.Call{Target: api.Address{Type: counter, ID: "k"}}, newWords()
	body := onWire(t, resultOf(countReply()))
	var reply *machine.Reply
	var err error
	if n := testing.AllocsPerRun(100, func() { reply, err = decodeReply(body, call, w) }); err != nil || n > 3 {
		t.Errorf("%v allocations, %v, want 3", n, err)
	}
	if v := reply.Mutations[0].Value.Value; cap(v) > 16 {
		t.Errorf("a state of %d bytes holds %d", len(v), cap(v))
	}
	wire := &wireResult{}
	for range 100 {
		wire.OutgoingMessages = append(wire.OutgoingMessages, &protocol.FromFunction_Invocation{Target: &protocol.Address{Id: "other"},
			Argument: &protocol.TypedValue{Value: make([]byte, 100)}})
	}
	wire.OutgoingMessages[99].Argument.Value = make([]byte, 1000)
	if reply, err = decodeReply(onWire(t, resultOf(wire)), call, w); err != nil {
		t.Fatal(err)
	}
	together := 1
	for i := 1; i < 100; i++ {
		one, other := reply.Sends[i-1].Argument.Value, reply.Sends[i].Argument.Value
		if cap(one) != len(one) && i < 99 {
			t.Fatalf("value %d can be written beyond its end", i)
		}
		if unsafe.Pointer(unsafe.SliceData(other)) == unsafe.Add(unsafe.Pointer(unsafe.SliceData(one)), len(one)) {
			if together++; together*100 > blockBytes {
				t.Fatalf("%d values share memory", together)
			}
			continue
		}
		together = 1
	}
}

// TestWordsAreTexts: what one reply says and is refused for, a later one may not say either.
func TestWordsAreTexts(t *testing.T) {
	field := func(number protowire.Number, content ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	replies := map[string][]byte{
		"an egress's namespace": field(100, field(4, append(field(1, 0xff), field(2, 'x')...)...)...),
		"an egress's name":      field(100, field(4, append(field(1, 'x'), field(2, 0xff)...)...)...),
		"a type name":           field(100, field(2, field(2, field(1, 0xff, '/', 'x')...)...)...),
		"another type name":     field(100, field(2, field(2, field(1, 'x', '/', 0xff)...)...)...),
	}
	w := newWords()
	for range 2 { // the second time all have been said
		for name, body := range replies {
			sameReply(t, body)
			if reply, err := decodeReply(body, &machine.Call{}, w); err == nil {
				t.Errorf("%s that is no text is taken: %+v", name, reply)
			}
		}
	}
}

// TestWordsAreBounded: what a function makes up costs no memory that stays, and what it says again is said in the same memory.
func TestWordsAreBounded(t *testing.T) {
	w := newWords()
	for i := range 10 * wordsMax {
		if s, err := w.text(fmt.Appendf(nil, "word %d", i)); err != nil || s != fmt.Sprintf("word %d", i) {
			t.Fatalf("got %q, %v", s, err)
		}
		w.pair([]byte("a"), fmt.Append(nil, i))
	}
	long := bytes.Repeat([]byte("x"), wordBytesMax+1)
	if s, err := w.text(long); err != nil || s != string(long) || len(*w.known.Load()) != wordsMax {
		t.Errorf("got %d bytes, %v, and %d words", len(s), err, len(*w.known.Load()))
	}
	one, _ := w.text([]byte("word 1"))
	if again, _ := w.text([]byte("word 1")); unsafe.StringData(one) != unsafe.StringData(again) {
		t.Error("a known word is made again")
	}
	if _, err := w.text([]byte("\xff")); err == nil {
		t.Error("what is no text is a word")
	}
	var all speakers
	for i := range speakersMax + 10 {
		if all.words(api.FunctionType{Name: fmt.Sprint(i)}) == nil {
			t.Fatal("no words")
		}
	}
	if len(all.of) > speakersMax+1 {
		t.Errorf("%d functions have words", len(all.of))
	}
	if first := all.words(api.FunctionType{Name: "1"}); first != all.words(api.FunctionType{Name: "1"}) {
		t.Error("a function loses its words")
	}
}

// TestReplyReadAsGenerated holds what a fuzzer takes long to find: parts that come twice, replaced alternatives, odd tags.
func TestReplyReadAsGenerated(t *testing.T) {
	in := func(number byte, parts ...string) string {
		content := strings.Join(parts, "")
		return string(append([]byte{number<<3 | 2}, append(protowire.AppendVarint(nil, uint64(len(content))), content...)...))
	}
	top := func(number protowire.Number, parts ...string) string {
		return string(protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), strings.Join(parts, "")))
	}
	address := in(1, in(1, "n"), in(2, "t"), in(3, "i"))
	value := in(2, in(1, "a/b"), "\x10\x01", in(3, "value"))
	unknownKind := in(1, "\x08\x07", in(2, "s"))
	for name, body := range map[string]string{
		"nothing":                               "",
		"two results":                           top(100, in(2, address, value)) + top(100, in(2, address), in(4, in(1, "e"))),
		"a result replaced":                     top(100, in(2, address, value)) + top(101, in(1, in(1, "s"))),
		"a result replaced and back":            top(100, in(2, address, value)) + top(101, in(1, in(1, "s"))) + top(100, in(4, in(2, "x"))),
		"what is missing, twice":                top(101, in(1, in(1, "s"))) + top(101, in(1, in(1, "r"))),
		"a problem replaced":                    top(100, unknownKind) + top(101),
		"a problem replaced by its like":        top(101, in(1, in(1, ""))) + top(100, unknownKind),
		"a problem that stays":                  top(100, unknownKind, in(2, address)),
		"the first of two problems":             top(101, in(1, in(1, "s"), in(3, strings.Repeat("x", api.TypeNameBytesMax+1))), in(1)),
		"an address in parts":                   top(100, in(2, in(1, in(1, "n")), in(1, in(2, "t")), in(1, in(3, "i"), in(1, "m")))),
		"a value in parts":                      top(100, in(2, address, in(2, in(1, "a/b"), in(3, "first")), in(2, in(3, "last"), "\x10\x00"))),
		"a value emptied":                       top(100, in(2, address, value, in(2, in(3, "")))),
		"a state's value in parts":              top(100, in(1, "\x08\x01", in(2, "s"), in(3, in(1, "t")), in(3, in(3, "v")), in(2, "r"))),
		"a deletion with a value":               top(100, in(1, in(2, "s"), in(3, in(3, "v")))),
		"a kind beyond 32 bits":                 top(100, in(1, "\x08\x81\x80\x80\x80\x10", in(2, "s"))),
		"an expiration in parts":                top(101, in(1, in(1, "s"), in(2, "\x08\x01"), in(2, "\x10\x05"), in(2, "\x08\x02"))),
		"an expiration of another kind":         top(101, in(1, in(1, "s"), in(2, "\x08\x09\x10\x05"))),
		"a negative expiration":                 top(101, in(1, in(1, "s"), in(2, "\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))),
		"a delayed message":                     top(100, in(3, "\x08\x90\x4e", in(2, in(3, "i")), in(3, in(3, "v")), "\x50\x02", in(11, "token"))),
		"the function's own id, and a caller's": top(100, in(2, in(1, in(3, "k"))), in(2, in(1, in(3, "caller")))),
		"other wire types":                      "\xa0\x06\x05" + top(100, "\x08\x05", "\x15abcd", "\x19abcdefgh", in(4, "\x08\x01")),
		"a group that is not known":             "\x0b\x08\x01\x0c" + top(100, "\x0b\x0c"),
		"a group with another end":              "\x0b\x14",
		"the end of no group":                   top(100, "\x0c"),
		"long tags":                             "\xa2\x86\x00\x00",
		"field 0":                               "\x02\x00",
		"a field beyond the last":               "\xf8\xff\xff\xff\xff\xff\x01\x00",
		"a field just beyond the last":          "\x80\x80\x80\x80\x10\x00",
		"the last field":                        "\xf8\xff\xff\xff\x0f\x00",
		"wire type 6":                           "\x0e",
		"a varint that does not end":            top(100, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		"a length beyond the end":               "\xa2\x06\x05\x0a",
		"a length beyond all":                   "\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"no text, replaced":                     top(100, in(4, in(1, "\xff"), in(1, "e"))),
		"no text in a half":                     top(100, in(4, in(1, "\xc3"), in(2, "\xa9"))),
		"no text in an id":                      top(100, in(2, in(1, in(3, "\xff")))),
		"no text in a token":                    top(100, in(3, in(11, "\xff"))),
		"no text in what is replaced":           top(100, in(2, in(1, in(3, "\xff")))) + top(101),
		"bytes are no text":                     top(100, in(2, in(2, in(3, "\xff")))),
	} {
		t.Run(name, func(t *testing.T) { sameReply(t, []byte(body)) })
	}
}
