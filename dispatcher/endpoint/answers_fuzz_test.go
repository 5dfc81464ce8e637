package endpoint

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// FuzzAnswers: a stream of answers says the same in whatever pieces it comes, what protobuf reads of it is what is read here, and all its
// memory is given back.
func FuzzAnswers(f *testing.F) {
	text, err := os.ReadFile("../../testdata/protocol/bulk.json")
	if err != nil {
		f.Fatal(err)
	}
	var vectors []struct{ Message, Hex string }
	if err := json.Unmarshal(text, &vectors); err != nil {
		f.Fatal(err)
	}
	for i, v := range vectors {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(i))
	}
	f.Add(append(replied(1, string(make([]byte, 5000))), refusal(2, 503, "x", 9)...), uint64(1))
	pool := NewPool()
	f.Cleanup(pool.Close)
	const most = 4 << 10
	c, err := pool.Client(Spec{URL: "http://f/", ReplyBytesMax: most})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		whole, wholeErr := readAnswers(c, &pieces{rest: bytes.Clone(b), size: func() int { return len(b) }, err: io.EOF}, 1+len(b))
		again, againErr := readAnswers(c, &pieces{rest: bytes.Clone(b), size: func() int { return 1 + rng.IntN(40) }, err: io.EOF}, 1+rng.IntN(64))
		if diff := cmp.Diff(whole, again); diff != "" || wholeErr.Error() != againErr.Error() {
			t.Fatalf("in pieces: %v, want %v (-whole +pieces):\n%s", againErr, wholeErr, diff)
		}
		if pool.replies.used != 0 {
			t.Fatalf("%d bytes of the budget are held", pool.replies.used)
		}
		for _, a := range whole {
			if a.Failure != nil {
				checkSaid(t, a.Failure)
			}
			if len(a.Reply) > most || a.Number < 0 {
				t.Fatalf("answer %d of %d bytes", a.Number, len(a.Reply))
			}
		}
		want, ok := generatedAnswers(b, most)
		if !ok {
			return
		}
		if wholeErr != io.EOF || len(whole) != len(want) {
			t.Fatalf("got %d answers, %v, want %d", len(whole), wholeErr, len(want))
		}
		for i, a := range whole {
			sameAnswer(t, a, want[i])
		}
	})
}

// readAnswers reads to the end and answers copies.
func readAnswers(c *Client, source io.Reader, small int) (all []Answer, err error) {
	s := newAnswers(c, source, make([]byte, small))
	s.wait = func(bytes int64) bool { return c.pool.replies.take(0, bytes) }
	defer s.end()
	for err == nil {
		var some []Answer
		some, err = s.next(nil)
		for _, a := range some {
			c.pool.Release(a.Room)
			a.Room = 0
			if a.Reply != nil {
				a.Reply = append([]byte{}, a.Reply...)
			}
			all = append(all, a)
		}
	}
	return all, err
}

func checkSaid(t *testing.T, fail *Failure) {
	t.Helper()
	status := fail.Status
	if fail.Kind == BadReply && status == 0 {
		status, fail = 200, &Failure{Kind: BadReply, Status: 200, Text: fail.Text, RetryAfter: fail.RetryAfter}
	}
	checkFailure(t, fail, status)
}

// generatedAnswers is what protobuf reads; ok is false where it reads nothing, or the bounds of a stream are stricter.
func generatedAnswers(b []byte, most int) (answers []*protocol.FromFunctions_Answer, ok bool) {
	var all protocol.FromFunctions
	if proto.Unmarshal(b, &all) != nil {
		return nil, false
	}
	for rest := b; len(rest) > 0; {
		_, kind, n := protowire.ConsumeTag(rest)
		size := protowire.ConsumeFieldValue(1, kind, rest[n:])
		if kind == protowire.StartGroupType || size > most {
			return nil, false
		}
		rest = rest[n+size:]
	}
	return all.Answers, true
}

func sameAnswer(t *testing.T, got Answer, want *protocol.FromFunctions_Answer) {
	t.Helper()
	if uint32(got.Number) != want.Number {
		t.Fatalf("got number %d, want %d", got.Number, want.Number)
	}
	if failure := want.GetFailure(); failure != nil {
		if got.Failure == nil || got.Reply != nil {
			t.Fatalf("got %+v, want %v", got, want)
		}
		if status := int(failure.Status); got.Failure.Status != status && (status/100 != 2 && status > 99 && status < 600) {
			t.Fatalf("got %+v, want %v", got.Failure, failure)
		}
		return
	}
	var reply protocol.FromFunction
	if err := proto.Unmarshal(got.Reply, &reply); err != nil || got.Failure != nil {
		t.Fatalf("got %+v (%v), want %v", got, err, want)
	}
	if from := want.GetFromFunction(); from != nil && !proto.Equal(&reply, from) || from == nil && len(got.Reply) != 0 {
		t.Fatalf("got %v, want %v", &reply, from)
	}
}
