package statestore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
)

func sampleTraces() []*api.Trace {
	one := &api.Trace{ID: [16]byte{1, 15: 2}, Span: [8]byte{3, 7: 4}, Flags: api.TraceSampled}
	again := *one
	return []*api.Trace{nil, one, &again, {ID: [16]byte{5}, Span: [8]byte{6}, Flags: api.TraceRandom}, nil, nil, one, {ID: one.ID, Span: one.Span}}
}

// Traces come back whatever stands before them in a row.
func TestTracesRoundTrip(t *testing.T) {
	var mails []Mail
	var outputs []api.Output
	for i, trace := range sampleTraces() {
		m := api.Message{Target: cartA, Argument: api.TypedValue{TypeName: "t"}, Trace: trace}
		mails = append(mails, Mail{Number: uint64(i), Message: m})
		outputs = append(outputs, api.Output{Sender: cartA, Value: m.Argument, Trace: trace})
		timer := Timer{Token: "tok", Message: m}
		var got Timer
		if err := DecodeTimerMessage(AppendTimerMessage(nil, &timer), &got); err != nil || cmp.Diff(timer, got) != "" {
			t.Errorf("timer: %v\n%s", err, cmp.Diff(timer, got))
		}
	}
	gotMails, err := DecodeMails(AppendMails(nil, mails))
	if err != nil || cmp.Diff(mails, gotMails) != "" {
		t.Errorf("mails: %v\n%s", err, cmp.Diff(mails, gotMails))
	}
	gotOutputs, err := DecodeOutputs(AppendOutputs(nil, outputs))
	if err != nil || cmp.Diff(outputs, gotOutputs) != "" {
		t.Errorf("outputs: %v\n%s", err, cmp.Diff(outputs, gotOutputs))
	}
	for name, write := range written {
		for _, row := range [][]byte{AppendMails(nil, mails), AppendOutputs(nil, outputs)} {
			if first := write(row); first != nil && !bytes.Equal(write(first), first) {
				t.Errorf("%s: what was read is not written as it was", name)
			}
		}
	}
}

// What a call has caused is in one trace, which a row says once.
func TestTraceIsWrittenOnce(t *testing.T) {
	size := func(traces ...*api.Trace) int {
		var mails []Mail
		for i, trace := range traces {
			mails = append(mails, Mail{Number: uint64(i), Message: api.Message{Target: cartA, Trace: trace}})
		}
		return len(AppendMails(nil, mails))
	}
	one, same := sampleTraces()[1], sampleTraces()[2]
	if none, got := size(nil, nil, nil), size(one, same, one); got != none+2+traceRowBytes {
		t.Errorf("three messages of one trace take %d bytes, %d without it", got, none)
	}
}

// The stored form stays: see TestStoredFormatStays.
func TestStoredTraceStays(t *testing.T) {
	got := hex.EncodeToString(appendTraceChange(nil, 8, &api.Trace{ID: [16]byte{1, 15: 2}, Span: [8]byte{3, 7: 4}, Flags: 1}, nil))
	if want := "4219" + "01000000000000000000000000000002" + "0300000000000004" + "01"; got != want {
		t.Errorf("a trace is stored as %s, was %s", got, want)
	}
	if got := hex.EncodeToString(appendTraceChange(nil, 8, nil, &api.Trace{})); got != "4200" {
		t.Errorf("none behind one is stored as %s, was 4200", got)
	}
}

func TestTraceOfAWrongLength(t *testing.T) {
	for _, size := range []int{1, traceRowBytes - 1, traceRowBytes + 1, 1 << 20} {
		mail := appendNested([]byte{formatOne}, 1, func(b []byte) []byte { return appendBytes(b, 8, make([]byte, size)) })
		if _, err := DecodeMails(mail); !errors.Is(err, errTrace) {
			t.Errorf("a message with a trace of %d bytes: %v", size, err)
		}
		output := appendNested([]byte{formatOne}, 1, func(b []byte) []byte { return appendBytes(b, 5, make([]byte, size)) })
		if _, err := DecodeOutputs(output); !errors.Is(err, errTrace) {
			t.Errorf("an output with a trace of %d bytes: %v", size, err)
		}
		if err := DecodeTimerMessage(appendBytes([]byte{formatOne}, 8, make([]byte, size)), &Timer{}); !errors.Is(err, errTrace) {
			t.Errorf("a timer with a trace of %d bytes: %v", size, err)
		}
	}
}
