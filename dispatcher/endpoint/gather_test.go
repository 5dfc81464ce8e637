package endpoint

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// replied is a FromFunctions with one answer. Replies are not looked into here, so any bytes are one.
func replied(number int, reply string) []byte {
	var b []byte
	b = protowire.AppendVarint(append(b, 1<<3), uint64(number))
	b = protowire.AppendString(append(b, 2<<3|2), reply)
	return protowire.AppendBytes([]byte{1<<3 | 2}, b)
}

func refusal(number int, status uint32, reason string, retryMillis uint64) []byte {
	b, err := proto.Marshal(&protocol.FromFunctions{Answers: []*protocol.FromFunctions_Answer{{Number: uint32(number), Answer: &protocol.FromFunctions_Answer_Failure{
		Failure: &protocol.FromFunctions_Failure{Status: status, Reason: reason, RetryAfterMs: retryMillis}}}}})
	if err != nil {
		panic(err)
	}
	return b
}

func startBulk(w http.ResponseWriter) {
	w.Header().Set("Content-Type", bulkContentType)
	w.Header().Set(bulkHeader, "1; calls=256")
}

// gathered is what a bulk has told.
type gathered struct {
	t       testing.TB
	pieces  int
	sents   int // how often the body was given back
	bulk    int
	replies map[int]string
	fails   map[int]*Failure
	rooms   []int64 // of large answers, which the test gives back
}

func gather(t testing.TB) *gathered {
	return &gathered{t: t, replies: map[int]string{}, fails: map[int]*Failure{}}
}

func (g *gathered) told(bulk int, answers []Answer) {
	g.bulk = bulk
	g.pieces++
	for _, a := range answers {
		_, replied := g.replies[a.Number]
		if g.fails[a.Number] != nil || replied {
			g.t.Errorf("call %d is told twice", a.Number)
		}
		if (a.Reply == nil) == (a.Failure == nil) {
			g.t.Errorf("call %d: reply %x beside failure %v", a.Number, a.Reply, a.Failure)
		}
		if a.Room > 0 {
			g.rooms = append(g.rooms, a.Room)
		}
		if a.Failure != nil {
			g.fails[a.Number] = a.Failure
			continue
		}
		g.replies[a.Number] = string(a.Reply)
	}
}

func (g *gathered) sent() { g.sents++ }

// want compares the replies, "number:reply" in order of the numbers.
func (g *gathered) want(replies ...string) {
	g.t.Helper()
	got := []string{}
	for n := range 2000 {
		if r, ok := g.replies[n]; ok {
			got = append(got, fmt.Sprintf("%d:%s", n, r))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(replies) {
		g.t.Errorf("got %.200q, want %.200q", got, replies)
	}
	if g.sents != 1 {
		g.t.Errorf("the body was given back %d times", g.sents)
	}
}

func wantRest(t *testing.T, rest *Failure, kind Kind, text string) {
	t.Helper()
	switch {
	case rest == nil && kind != 0:
		t.Errorf("nothing is left, want %s, %q", kind, text)
	case rest != nil && (rest.Kind != kind || !strings.Contains(rest.Text, text)):
		t.Errorf("the rest is %s, %q, want %s, %q", rest.Kind, rest.Text, kind, text)
	}
}

// bothVersions runs a test over HTTP/1.1 and HTTP/2.
func bothVersions(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, c *Client), change ...func(*Spec)) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, serve(t, handler, change...)) })
	t.Run("HTTP/2", func(t *testing.T) { test(t, serve2(t, "http", 0, handler).client(t, change...)) })
}

// set is texts that come from many goroutines.
type set struct {
	mu  sync.Mutex
	all map[string]bool // guarded by mu
}

func (s *set) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[text] = true
}

func (s *set) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = map[string]bool{}
}

func (s *set) different() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// pieces hands out a stream in pieces.
type pieces struct {
	rest []byte
	size func() int
	err  error // after them
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, p.err
	}
	n := min(max(p.size(), 1), len(into), len(p.rest))
	copy(into, p.rest[:n])
	p.rest = p.rest[n:]
	return n, nil
}
