//go:build unix

package statefile

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
)

// The bytes are those that StateFun's SDKs write; see also testdata of the protocol.
var builtIn = []struct {
	typeName, text, bytes string
}{
	{typeBool, `true`, "0801"}, {typeBool, `false`, ""},
	{typeInt, `0`, ""}, {typeInt, `1`, "0d01000000"}, {typeInt, `-1`, "0dffffffff"}, {typeInt, `2147483647`, "0dffffff7f"}, {typeInt, `-2147483648`, "0d00000080"},
	{typeLong, `0`, ""}, {typeLong, `1`, "090100000000000000"}, {typeLong, `9007199254740991`, "09ffffffffffff1f00"},
	{typeLong, `"9007199254740992"`, "090000000000002000"}, {typeLong, `"-9223372036854775808"`, "090000000000000080"},
	{typeFloat, `0`, ""}, {typeFloat, `1.5`, "0d0000c03f"}, {typeFloat, `-0`, "0d00000080"}, {typeFloat, `3.4028235e+38`, "0dffff7f7f"}, {typeFloat, `"Infinity"`, "0d0000807f"},
	{typeDouble, `0`, ""}, {typeDouble, `1.5`, "09000000000000f83f"}, {typeDouble, `0.1`, "099a9999999999b93f"}, {typeDouble, `5e-324`, "090100000000000000"}, {typeDouble, `"-Infinity"`, "09000000000000f0ff"},
	{typeDouble, `"NaN"`, "09010000000000f87f"},
	{typeString, `""`, ""}, {typeString, `"hi"`, "0a026869"}, {typeString, `"\u0000"`, "0a0100"}, {typeString, `"é<&>"`, "0a05c3a93c263e"},
}

func TestBuiltInValues(t *testing.T) {
	for _, c := range builtIn {
		want, err := hex.DecodeString(c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fromJSON(c.typeName, []byte(c.text))
		if err != nil || !bytes.Equal(got, want) || got == nil {
			t.Errorf("%s of %s: got %x, %v, want %x", c.text, c.typeName, got, err, want)
		}
		if text := plain(c.typeName, want); string(text) != c.text {
			t.Errorf("%x of %s: got %s, want %s", want, c.typeName, text, c.text)
		}
	}
}

// Other ways to write the same are understood.
func TestBuiltInValuesOtherwise(t *testing.T) {
	for _, c := range []struct{ typeName, text, bytes string }{
		{typeLong, `"5"`, "090500000000000000"}, {typeLong, `9007199254740993`, "090100000000002000"}, {typeDouble, `1e0`, "09000000000000f03f"}, {typeString, `"\u0068i"`, "0a026869"},
		{typeFloat, `0.1`, "0dcdcccc3d"},
	} {
		if got, err := fromJSON(c.typeName, []byte(c.text)); err != nil || hex.EncodeToString(got) != c.bytes {
			t.Errorf("%s of %s: got %x, %v, want %s", c.text, c.typeName, got, err, c.bytes)
		}
	}
}

func TestBadValues(t *testing.T) {
	for _, c := range []struct{ typeName, text, want string }{
		{typeBool, `1`, "want true or false"}, {typeBool, `"true"`, "want true or false"},
		{typeInt, `2147483648`, "an integer of 32 bits"}, {typeInt, `1.0`, "an integer of 32 bits"}, {typeInt, `"x"`, "an integer of 32 bits"}, {typeInt, `true`, "an integer"}, {typeInt, `[]`, "an integer"},
		{typeLong, `9223372036854775808`, "an integer of 64 bits"}, {typeFloat, `1e39`, "float of 32 bits"}, {typeFloat, `"1"`, "float"}, {typeDouble, `1e309`, "double"}, {typeDouble, `true`, "double"}, {typeDouble, `"nan"`, "double"},
		{typeString, `5`, "want a text"}, {typeString, `{}`, "want a text"}, {"shop.types/Note", `"x"`, `as "base64"`}, {"", `1`, `as "base64"`},
	} {
		if got, err := fromJSON(c.typeName, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: got %x, %v, want %q", c.text, c.typeName, got, err, c.want)
		}
	}
}

// What an SDK would not write has no JSON: its bytes must come back as they are.
func TestOddBytesStayBytes(t *testing.T) {
	quietNaN := math.Float64bits(math.NaN()) | 7
	for typeName, texts := range map[string][]string{
		typeBool: {"0800", "0802", "08", "1001"}, typeInt: {"0d00000000", "0801", "0d0100", "0d0100000000"}, typeString: {"0a00", "0a05", "0a01ff", "0a026869" + "0a026869"},
		typeLong: {"090000000000000000"}, typeDouble: {hex.EncodeToString(wrapper(9, quietNaN, 8))}, "shop.types/Note": {"0801", ""},
	} {
		for _, text := range texts {
			b, err := hex.DecodeString(text)
			if got := plain(typeName, b); err != nil || got != nil {
				t.Errorf("%s of %s is %s, %v", text, typeName, got, err)
			}
		}
	}
	if got := plain(typeString, append([]byte{0x0a, 0x80, 0x80, 0x80, 1}, make([]byte, 2<<20)...)); got != nil {
		t.Errorf("a text of 2 MiB is written as %d bytes of JSON", len(got))
	}
}

// FuzzPlain: whatever the bytes of a value are, JSON that is written for them means the same bytes.
func FuzzPlain(f *testing.F) {
	types := []string{typeBool, typeInt, typeLong, typeFloat, typeDouble, typeString}
	for i, c := range builtIn {
		b, _ := hex.DecodeString(c.bytes)
		f.Add(i, b)
	}
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		typeName := types[uint(i)%uint(len(types))]
		if text := plain(typeName, b); text != nil {
			if back, err := fromJSON(typeName, text); err != nil || !bytes.Equal(back, b) {
				t.Errorf("%x of %s is written as %s, which means %x, %v", b, typeName, text, back, err)
			}
		}
	})
}
