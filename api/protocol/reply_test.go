package protocol_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api/protocol"
)

// DecodeReply takes what protobuf takes, and nothing else.
func TestDecodeReply(t *testing.T) {
	for _, file := range []string{"reply.json", "broken.json"} {
		for _, v := range vectors(t, file) {
			if v.Message != "FromFunction" {
				continue
			}
			var want protocol.FromFunction
			wantErr := proto.Unmarshal(v.bytes(t), &want)
			got, err := protocol.DecodeReply(v.bytes(t))
			if (err != nil) != (wantErr != nil) {
				t.Errorf("%s: got error %v, want %v", v.Name, err, wantErr)
				continue
			}
			if err != nil {
				continue
			}
			if diff := cmp.Diff(&want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", v.Name, diff)
			}
		}
	}
}

func TestDecodeReplyBoundsEffects(t *testing.T) {
	replies := func(field protowire.Number, effect []byte, n int) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), bytes.Repeat(effect, n))
	}
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"as many as may be":   {replies(100, []byte{0x12, 0}, protocol.EffectsMax), ""},
		"one more":            {replies(100, []byte{0x12, 0}, protocol.EffectsMax+1), "effects"},
		"in two parts":        {append(replies(100, []byte{0x0a, 0}, protocol.EffectsMax), replies(100, []byte{0x22, 0}, 1)...), "effects"},
		"missing states":      {replies(101, []byte{0x0a, 0}, protocol.EffectsMax+1), "effects"},
		"in an unknown field": {replies(102, []byte{0x12, 0}, protocol.EffectsMax+1), ""},
	} {
		_, err := protocol.DecodeReply(c.body)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// What is refused must not have taken memory first.
func TestRefusedReplyTakesNoMemory(t *testing.T) {
	body := protowire.AppendBytes(protowire.AppendTag(nil, 100, protowire.BytesType), bytes.Repeat([]byte{0x12, 0}, protocol.EffectsMax+1))
	allocs := testing.AllocsPerRun(3, func() {
		if _, err := protocol.DecodeReply(body); err == nil {
			t.Error("got no error")
		}
	})
	if allocs > 10 {
		t.Errorf("got %v allocations, want hardly any", allocs)
	}
}
