package log

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

func encoded(t *testing.T, typeName string, m proto.Message) api.TypedValue {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return api.TypedValue{TypeName: typeName, HasValue: true, Value: b}
}

func raw(typeName, value string) api.TypedValue {
	return api.TypedValue{TypeName: typeName, HasValue: true, Value: []byte(value)}
}

func TestTextOf(t *testing.T) {
	long := strings.Repeat("ä", ShownMax)
	for name, tc := range map[string]struct {
		value api.TypedValue
		want  Text
	}{
		"nothing":         {api.TypedValue{TypeName: "a/b"}, Text{Type: "a/b", Value: "(no value)"}},
		"empty":           {raw("a/b", ""), Text{Type: "a/b"}},
		"bool":            {encoded(t, protocol.TypeBool, &protocol.BooleanWrapper{Value: true}), Text{Type: protocol.TypeBool, Value: "true"}},
		"int":             {encoded(t, protocol.TypeInt, &protocol.IntWrapper{Value: -3}), Text{Type: protocol.TypeInt, Value: "-3"}},
		"long":            {encoded(t, protocol.TypeLong, &protocol.LongWrapper{Value: 1 << 40}), Text{Type: protocol.TypeLong, Value: "1099511627776"}},
		"float":           {encoded(t, protocol.TypeFloat, &protocol.FloatWrapper{Value: 0.1}), Text{Type: protocol.TypeFloat, Value: "0.1"}},
		"double":          {encoded(t, protocol.TypeDouble, &protocol.DoubleWrapper{Value: 2.5}), Text{Type: protocol.TypeDouble, Value: "2.5"}},
		"string":          {encoded(t, protocol.TypeString, &protocol.StringWrapper{Value: "a\nb"}), Text{Type: protocol.TypeString, Value: `a\nb`}},
		"string, broken":  {raw(protocol.TypeString, "\xff"), Text{Type: protocol.TypeString, Value: `\xff`}},
		"JSON":            {raw("a/b", "{\n \"x\": [1, 2]\n}"), Text{Type: "a/b", Value: `{"x":[1,2]}`}},
		"JSON, broken":    {raw("a/b", "{\n"), Text{Type: "a/b", Value: `{\n`}},
		"terminal":        {raw("a/b", "\x1b[31mred\u202e"), Text{Type: "a/b", Value: `\x1b[31mred\u202e`}},
		"bytes":           {raw("a/b", "\x00\xfe\x01a"), Text{Type: "a/b", Value: `\x00\xfe\x01a`}},
		"long text":       {raw("a/b", "x"+long), Text{Type: "a/b", Value: "x" + long[:ShownMax-2] + "... (801 bytes)"}},
		"Kafka":           {encoded(t, protocol.TypeKafkaProducerRecord, &protocol.KafkaProducerRecord{Topic: "t", Key: []byte("k\x00"), ValueBytes: []byte("v")}), Text{protocol.TypeKafkaProducerRecord, "t", `k\x00`, "v"}},
		"Kafka, broken":   {raw(protocol.TypeKafkaProducerRecord, "\xff"), Text{Type: protocol.TypeKafkaProducerRecord, Value: `\xff`}},
		"Kinesis":         {encoded(t, protocol.TypeKinesisEgressRecord, &protocol.KinesisEgressRecord{Stream: "s", PartitionKey: []byte("k"), ValueBytes: []byte("[ ]")}), Text{protocol.TypeKinesisEgressRecord, "s", "k", "[]"}},
		"Kinesis, broken": {raw(protocol.TypeKinesisEgressRecord, "\xff"), Text{Type: protocol.TypeKinesisEgressRecord, Value: `\xff`}},
	} {
		if diff := cmp.Diff(tc.want, TextOf(tc.value)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzBytes: whatever comes, the line is short, valid text and moves no terminal.
func FuzzBytes(f *testing.F) {
	f.Add([]byte("\x1b]0;x\x07"))
	f.Add([]byte(strings.Repeat("\xf0\x9f\x92", 200)))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Bytes(b)
		if len(got) > 10*ShownMax+40 || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' && !bytes.ContainsRune(b, r) }) {
			t.Errorf("%q: got %q", b, got)
		}
	})
}

// engine notes what is delivered.
type engine struct {
	egress.Engine
	delivered chan uint64
}

func (e engine) Delivered(_ statestore.LaneID, below uint64) { e.delivered <- below }

func TestRelayWritesLines(t *testing.T) {
	var out bytes.Buffer
	counted, traced := 0, 0
	e := engine{delivered: make(chan uint64, 2)}
	r := New(Config{
		ID: "shop/log", Hooks: egress.Hooks{Deliveries: func(id, result string, n int) {
			if id == "shop/log" && result == "ok" {
				counted += n
			}
		}, Traced: func(s egress.Sent) {
			if s.Lane.Egress != "shop/log" || s.Number != 2 || s.Output.Trace == nil || s.Began.IsZero() || s.Refused != "" {
				t.Errorf("told %+v, want the second output", s)
			}
			traced++
		}},
		Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	}, statestore.Lane{LaneID: statestore.LaneID{Egress: "shop/log", Slot: egress.NoOutbox}, Next: 1}, e)
	ada := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "ada"}
	record := encoded(t, protocol.TypeKafkaProducerRecord, &protocol.KafkaProducerRecord{Topic: "t", Key: []byte("k"), ValueBytes: []byte("v")})
	r.Offer(statestore.OutputPack{Lane: r.lane, First: 1, Outputs: []api.Output{{Sender: ada, Value: raw("a/b", "one")}, {Sender: ada, Value: record, Trace: &api.Trace{ID: [16]byte{1}, Span: [8]byte{1}, Flags: 1}}}})

	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	if got := <-e.delivered; got != 3 {
		t.Errorf("delivered below %d, want 3", got)
	}
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.Offer(statestore.OutputPack{Lane: r.lane, First: 3, Outputs: []api.Output{{Sender: ada, Value: raw("a/b", "last\n")}}})
	if err := r.Run(ctx); err != nil { // a stop still shows what came
		t.Fatal(err)
	}
	want := `level=INFO msg=output egress=shop/log from=shop/cart/ada type=a/b value=one
level=INFO msg=output egress=shop/log from=shop/cart/ada type=type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord topic=t key=k value=v
level=INFO msg=output egress=shop/log from=shop/cart/ada type=a/b value=last\n
`
	if diff := cmp.Diff(want, out.String()); diff != "" || counted != 3 || traced != 1 {
		t.Errorf("counted %d, %d in traces (-want +got):\n%s", counted, traced, diff)
	}
}
