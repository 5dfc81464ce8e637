package statestore

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
)

// TestStoredFormatStays: rows and keys that were written must be read, and found, by every later version. One that differs here needs
// another format byte, or a migration; both sides of the code may agree with each other and still not with what is stored.
func TestStoredFormatStays(t *testing.T) {
	dead, progress, act, pauses := sampleDead(), sampleProgress(), sampleAct(), samplePauses()
	spec := FunctionSpec{Function: bare.Type, States: []StateSpec{{}, {"s", "t/x", ExpireAfterInvoke, math.MaxInt64}, {"é", "", ExpireAfterWrite, 1}}}
	timer := Timer{Token: "tok", Message: sampleMails()[1].Message}
	var outputs []api.Output
	for _, m := range sampleMails() {
		outputs = append(outputs, api.Output{Sender: m.Message.Target, Value: m.Message.Argument})
	}
	states := []StateValue{{Name: "n", TypeName: "t", Value: []byte("v"), Touched: 1}, {Name: "edge", Value: make([]byte, StateApartAbove)}, {Name: "large", Value: make([]byte, StateApartAbove+1), Touched: -1}}
	text := func(n int) string { return strings.Repeat("x", n) }
	address := func(namespace, name, id int) []byte {
		return AddressKey(api.Address{Type: api.FunctionType{Namespace: text(namespace), Name: text(name)}, ID: text(id)})
	}
	for _, test := range []struct {
		name string
		got  []byte
		want string // the first bytes of its digest
	}{
		{"mails", AppendMails(nil, sampleMails()), "c225d6023252"},
		{"sizes", AppendSizes(nil, sampleMails()), "bf35cb0ddab7"},
		{"outputs", AppendOutputs(nil, outputs), "1c306b50bc18"},
		{"dead letter", AppendDeadLetter(nil, &dead), "b30dfd982ee8"},
		{"progress", AppendProgress(nil, &progress), "168a7d693a63"},
		{"spec", AppendSpec(nil, &spec), "4abc93fbef6e"},
		{"timer", AppendTimerMessage(nil, &timer), "93d5a8d2fee6"},
		{"states", AppendStates(nil, cartB, states), "4bc29699067d"},
		{"address", AppendAddress(nil, cartB), "10b02bb7cb46"},
		{"numbers", AppendNumbers(nil, []uint64{0, 5, math.MaxUint64}), "5a4f21470667"},
		{"act", AppendAct(nil, &act), "281f2e27d7d0"},
		{"pause of an address", AppendPause(nil, &pauses[0]), "d8a004f020d9"},
		{"pause of a function", AppendPause(nil, &pauses[1]), "e6176a2df466"},
		{"pause of an ingress", AppendPause(nil, &pauses[2]), "2bf173579a3d"},
		{"key of a paused address", PauseKey(&pauses[0]), "2f8d44c8123b"},
		{"key of a paused function", PauseKey(&pauses[1]), "3e4f6a77d90a"},
		{"key of a paused ingress", PauseKey(&pauses[2]), "34e705de7c95"},
		{"key of a note", NoteKey("module"), "8f107fcbde41"},
		{"version of a value", []byte(Version("t/x", []byte("v"))), "c577ac4e1732"},
		{"key of an address", AddressKey(cartB), "4666387b2120"},
		{"key with the longest names", address(api.NameBytesMax, api.NameBytesMax, 1), "ffa187df2eec"},
		{"key with a name that is too long", address(api.NameBytesMax+1, 1, 1), "300c27e891f3"},
		{"key of the longest id", address(1, 1, KeyBytesMax-7), "842f1b117a8f"},
		{"key of an id that is cut", address(1, 1, KeyBytesMax-6), "3aee6bf78044"},
		{"key of a token", TokenKey("sender", "tok"), "dcbae37453fc"},
		{"key of the longest token", TokenKey(text(900), text(KeyBytesMax-903)), "58ca178a5df8"},
		{"key of a token that is too long", TokenKey(text(900), text(KeyBytesMax-902)), "8649def41500"},
		{"key of a state", NameKey(text(128)), "bc569d63054d"},
		{"key of a state that is too long", NameKey(text(129)), "28951b5ed1aa"},
		{"key of a source", SourceKey(api.Source{Ingress: text(2*api.NameBytesMax + 1), Topic: text(api.NameBytesMax), Partition: -1}), "6e701395f2a2"},
		{"key of a source that is too long", SourceKey(api.Source{Ingress: text(2*api.NameBytesMax + 2), Topic: text(api.NameBytesMax + 1)}), "fa0fc6cee90a"},
		{"key of an egress", EgressKey(text(2*api.NameBytesMax + 1)), "10915d98d1bb"},
		{"key of an egress that is too long", EgressKey(text(2*api.NameBytesMax + 2)), "d0e45a64f46d"},
		{"key of a timer", FiringKey(TimerKey{Due: -5, Number: 7}), "e2ffc61ca341"},
	} {
		digest := sha256.Sum256(test.got)
		if got := hex.EncodeToString(digest[:6]); got != test.want {
			t.Errorf("%s is stored as %s, was %s: %x", test.name, got, test.want, test.got[:min(len(test.got), 100)])
		}
	}
}
