package statestore

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
)

var (
	cartA = api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "a"}
	cartB = api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "b\x00\u2028"}
	bare  = api.Address{Type: api.FunctionType{Name: "bare"}}
)

func sampleMails() []Mail {
	value := func(name string, v []byte) api.TypedValue {
		return api.TypedValue{TypeName: name, HasValue: true, Value: v}
	}
	return []Mail{
		{Number: 0, Message: api.Message{Target: cartA, Argument: value("t/x", []byte("one"))}},
		{Number: 1, Message: api.Message{Target: cartA, Caller: cartB, Argument: value("t/x", []byte{})}},
		{Number: 7, Message: api.Message{Target: cartB, Caller: cartB, Argument: api.TypedValue{TypeName: "t/y"}}},
		{Number: 8, Message: api.Message{Target: bare, Argument: value("", []byte(strings.Repeat("x", 300)))}},
		{Number: math.MaxUint64, Message: api.Message{Target: cartA, Caller: bare, Argument: value("t/x", nil)}},
	}
}

func sampleDead() api.DeadLetter {
	return api.DeadLetter{
		Number: 9, Kind: api.DeadOutput, From: "ns/egress", Reason: "too large", Detail: "é", AtMS: -5, Origin: "egress ns/egress",
		Source: api.Source{Ingress: "ns/in", Topic: "t", Partition: math.MaxInt32}, Offset: math.MinInt64, Address: cartB, Caller: bare,
		TypeName: "t/x", Key: []byte{}, Value: []byte{0}, Headers: []api.Header{{Key: "k", Value: []byte{1}}, {Key: "", Value: nil}, {Value: []byte{}}},
	}
}

func sampleProgress() Progress {
	return Progress{
		Source: api.Source{Ingress: "ns/in", Topic: "topic", Partition: 3}, TopicID: "id", Partitions: math.MaxInt32, Start: -1,
		Targets: []TargetProgress{
			{Key: "a/b", Done: Ranges{Watermark: math.MinInt64}},
			{Key: "a/b#2", Done: Ranges{Watermark: -3, Above: []Range{{-1, 0}, {5, math.MaxInt64}}}},
			{},
		},
	}
}

func sampleAct() Act {
	return Act{Number: math.MaxUint64, AtMS: -5, By: "ada@host", What: "replay", On: "shop/cart/b\x00", Detail: "é"}
}

func samplePauses() []Pause {
	return []Pause{{Kind: PauseAddress, Address: cartB, AtMS: math.MaxInt64, By: "ada@host"}, {Kind: PauseFunction, Address: api.Address{Type: bare.Type}}, {Kind: PauseIngress, Ingress: "ns/in", AtMS: -1}}
}

// roundTrip says what each kind of row must come back as.
func TestCodecRoundTrip(t *testing.T) {
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	mails, err := DecodeMails(AppendMails(nil, sampleMails()))
	check("mails", mails, sampleMails(), err)
	mails, err = DecodeMails(AppendMails(nil, nil))
	check("no mails", mails, []Mail(nil), err)

	outputs := make([]api.Output, 0)
	for _, m := range sampleMails() {
		outputs = append(outputs, api.Output{Sender: m.Message.Target, Value: m.Message.Argument})
	}
	gotOutputs, err := DecodeOutputs(AppendOutputs(nil, outputs))
	check("outputs", gotOutputs, outputs, err)

	dead := sampleDead()
	gotDead, err := DecodeDeadLetter(AppendDeadLetter(nil, &dead))
	check("dead letter", gotDead, dead, err)
	none := api.DeadLetter{NoValue: true}
	gotDead, err = DecodeDeadLetter(AppendDeadLetter(nil, &none))
	check("empty dead letter", gotDead, none, err)

	for _, a := range []Act{sampleAct(), {}} {
		got, err := DecodeAct(AppendAct(nil, &a))
		check("act", got, a, err)
	}
	for _, p := range samplePauses() {
		got, err := DecodePause(AppendPause(nil, &p))
		check("pause", got, p, err)
	}

	progress := sampleProgress()
	gotProgress, err := DecodeProgress(AppendProgress(nil, &progress))
	check("progress", gotProgress, progress, err)

	spec := FunctionSpec{Function: bare.Type, States: []StateSpec{{}, {"s", "t/x", ExpireAfterInvoke, math.MaxInt64}, {"é", "", ExpireAfterWrite, 1}}}
	gotSpec, err := DecodeSpec(AppendSpec(nil, &spec))
	check("spec", gotSpec, spec, err)

	timer := Timer{Token: "tok", Message: sampleMails()[1].Message}
	var gotTimer Timer
	err = DecodeTimerMessage(AppendTimerMessage(nil, &timer), &gotTimer)
	check("timer", gotTimer, timer, err)

	for _, a := range []api.Address{{}, cartA, cartB, bare, {ID: strings.Repeat("é", 1<<15)}} {
		got, err := DecodeAddress(AppendAddress(nil, a))
		check("address", got, a, err)
	}
	for _, n := range [][]uint64{nil, {0}, {1, 2, 3}, {0, 1 << 40, math.MaxUint64}} {
		got, err := DecodeNumbers(AppendNumbers(nil, n))
		check("numbers", got, n, err)
	}
	sizes, err := DecodeSizes(AppendSizes(nil, sampleMails()))
	var wantSizes []MailSize
	for _, m := range sampleMails() {
		wantSizes = append(wantSizes, MailSize{m.Number, int64(m.Message.Size())})
	}
	check("sizes", sizes, wantSizes, err)
}

func TestStatesRoundTrip(t *testing.T) {
	edge := []byte(strings.Repeat("e", StateApartAbove))
	large := []byte(strings.Repeat("l", StateApartAbove+1))
	values := []StateValue{
		{Name: "", TypeName: "t", Value: []byte{}, Touched: -1}, {Name: "edge", Value: edge, Touched: 5}, {Name: "large", TypeName: "t", Value: large, Touched: 7, Changed: true}, {Name: "nil"},
	}
	address, got, apart, err := DecodeStates(AppendStates(nil, cartB, values))
	if err != nil {
		t.Fatal(err)
	}
	if address != cartB {
		t.Errorf("address %v, want %v", address, cartB)
	}
	if diff := cmp.Diff([]int{2}, apart); diff != "" {
		t.Errorf("apart (-want +got):\n%s", diff)
	}
	values[2].Value, values[2].Changed = nil, false
	if diff := cmp.Diff(values, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// A later version adds fields; this one reads what it knows.
func TestCodecSkipsUnknownFields(t *testing.T) {
	dead := sampleDead()
	row := AppendDeadLetter(nil, &dead)
	row = appendBytes(row, 400, []byte("later"))
	row = appendVarint(row, 401, 7)
	got, err := DecodeDeadLetter(row)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dead, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCodecRefuses(t *testing.T) {
	for name, decode := range decoders {
		if err := decode(nil); err == nil {
			t.Errorf("%s: took an empty row", name)
		}
		if err := decode([]byte{2}); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: a row of another format: got %v, want ErrNewer", name, err)
		}
		if err := decode([]byte{formatOne, 0x0a, 0xff, 0xff, 0xff, 0xff}); err == nil {
			t.Errorf("%s: took a field without end", name)
		}
	}
}

// A pause of a kind that is not known must not be read as none: what is paused would go on.
func TestPauseOfUnknownKind(t *testing.T) {
	for _, kind := range []PauseKind{PauseIngress + 1, math.MaxUint8} {
		if p, err := DecodePause(AppendPause(nil, &Pause{Kind: kind, By: "ada"})); !errors.Is(err, ErrNewer) {
			t.Errorf("kind %d: %+v, %v, want ErrNewer", kind, p, err)
		}
	}
	row := appendVarint([]byte{formatOne}, 1, 1<<32|uint64(PauseAddress)) // would be one in a byte
	if p, err := DecodePause(row); !errors.Is(err, ErrNewer) {
		t.Errorf("a large kind: %+v, %v, want ErrNewer", p, err)
	}
	if p, err := DecodePause(AppendPause(nil, &Pause{By: "ada"})); err == nil {
		t.Errorf("no kind: %+v", p)
	}
}

// decoders reads a row with each decoder; what is read must come back when it is written and read again.
var decoders = map[string]func(row []byte) error{
	"address":  again(DecodeAddress, func(a api.Address) []byte { return AppendAddress(nil, a) }),
	"mails":    again(DecodeMails, func(m []Mail) []byte { return AppendMails(nil, m) }),
	"outputs":  again(DecodeOutputs, func(o []api.Output) []byte { return AppendOutputs(nil, o) }),
	"dead":     again(DecodeDeadLetter, func(d api.DeadLetter) []byte { return AppendDeadLetter(nil, &d) }),
	"numbers":  again(DecodeNumbers, func(n []uint64) []byte { return AppendNumbers(nil, n) }),
	"progress": again(DecodeProgress, func(p Progress) []byte { return AppendProgress(nil, &p) }),
	"spec":     again(DecodeSpec, func(s FunctionSpec) []byte { return AppendSpec(nil, &s) }),
	"timer": again(func(row []byte) (t Timer, err error) {
		err = DecodeTimerMessage(row, &t)
		return t, err
	}, func(t Timer) []byte { return AppendTimerMessage(nil, &t) }),
	"sizes": func(row []byte) error {
		sizes, err := DecodeSizes(row)
		if len(sizes) > len(row)/2 {
			panic("more sizes than bytes for them")
		}
		return err
	},
	"act":   again(DecodeAct, func(a Act) []byte { return AppendAct(nil, &a) }),
	"pause": again(DecodePause, func(p Pause) []byte { return AppendPause(nil, &p) }),
	"states": func(row []byte) error {
		_, _, _, err := DecodeStates(row)
		return err
	},
}

func again[T any](decode func([]byte) (T, error), encode func(T) []byte) func([]byte) error {
	return func(row []byte) error {
		first, err := decode(row)
		if err != nil {
			return err
		}
		second, err := decode(encode(first))
		if err != nil || !reflect.DeepEqual(first, second) {
			panic("what was read and written again is not the same")
		}
		return nil
	}
}

func FuzzDecode(f *testing.F) {
	dead, progress := sampleDead(), sampleProgress()
	f.Add(AppendMails(nil, sampleMails()))
	f.Add(AppendDeadLetter(nil, &dead))
	f.Add(AppendProgress(nil, &progress))
	f.Add(AppendNumbers(nil, []uint64{1, 5, 1 << 60}))
	f.Add(AppendStates(nil, cartA, []StateValue{{Name: "n", Value: []byte("v"), Touched: 1}}))
	f.Add(AppendSizes(nil, sampleMails()))
	act := sampleAct()
	f.Add(AppendAct(nil, &act))
	for _, p := range samplePauses() {
		f.Add(AppendPause(nil, &p))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, row []byte) {
		for _, decode := range decoders {
			_ = decode(row) // an error is fine; a panic is not
		}
	})
}

func BenchmarkMails(b *testing.B) {
	messages := make([]Mail, 1000)
	for i := range messages {
		messages[i] = Mail{uint64(i + 1), api.Message{Target: cartA, Caller: cartB, Argument: api.TypedValue{TypeName: "t/x", HasValue: true, Value: make([]byte, 100)}}}
	}
	row := AppendMails(nil, messages)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			row = AppendMails(row[:0], messages)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeMails(row); err != nil {
				b.Fatal(err)
			}
		}
	})
}
