//go:build unix

package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// grace is how long an egress waits for a topic that does not exist.
const grace = 5 * time.Second

// TestHostileMissingTopics: topics that do not exist hold up the others of their egress once and for all of them together, then their
// outputs are set aside at once; nothing that could be delivered is lost or turned round, and when a topic is made, it is used.
func TestHostileMissingTopics(t *testing.T) {
	t.Parallel()
	a := newArena(t, "", nil)
	said := func(n int) effect {
		return write("test/out", kafkaRecord(a.prefix+"said", "beside", fmt.Append(nil, n)))
	}
	nowhere := func(topic, value string) effect {
		return write("test/out", kafkaRecord(a.prefix+topic, "k", []byte(value)))
	}
	dead := func(id, topic, value string) {
		t.Helper()
		a.deadLetter(t, api.DeadLetter{
			Kind: api.DeadOutput, From: "test/out", Reason: "missing topic", Detail: "topic " + a.prefix + topic + " does not exist", Offset: -1,
			Address:  api.Address{Type: api.FunctionType{Namespace: "test", Name: "say"}, ID: id},
			TypeName: protocol.TypeKafkaProducerRecord, Value: kafkaRecord(a.prefix+topic, "k", []byte(value)).Value,
		})
	}
	a.around(t, func() {}) // everything is warm
	began := time.Now()
	a.around(t, func() {
		a.say(t, "one", said(1), nowhere("missing1", "a"), said(2), nowhere("missing2", "b"), nowhere("missing1", "c"), said(3))
		a.topics.want(t, "said", "beside", "1")
		if took := time.Since(began); took > grace {
			t.Errorf("what stands before a missing topic came after %v", took)
		}
		a.topics.want(t, "said", "beside", "1", "2", "3")
		if took := time.Since(began); took < grace || took > 2*grace-time.Second {
			t.Errorf("two missing topics held others up for %v, want %v and once", took, grace)
		}
		dead("one", "missing1", "a")
		dead("one", "missing2", "b")
		dead("one", "missing1", "c")
	})
	if text := a.reasons(t); !strings.Contains(text, "2 topics do not exist, "+a.prefix+"missing1 for one") {
		t.Errorf("the status says %q, want the missing topics", text)
	}

	began = time.Now()
	a.around(t, func() {
		a.say(t, "two", nowhere("missing2", "d"), said(4), nowhere("missing1", "e"), said(5))
		a.topics.want(t, "said", "beside", "1", "2", "3", "4", "5")
		dead("two", "missing2", "d")
		dead("two", "missing1", "e")
	})
	if took := time.Since(began); took > grace-time.Second {
		t.Errorf("topics that are known to be missing held others up for %v", took)
	}
	untilUsed(t, a)
	a.finish(t)
}

// untilUsed makes one of the missing topics and writes to it until it takes what it is sent. What came before is a dead letter.
func untilUsed(t *testing.T, a *arena) {
	t.Helper()
	a.create(t, "missing1", nil)
	a.topics.read(t, a, "missing1")
	limit := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	sent := 0
	for len(a.topics.keys("missing1")) == 0 {
		id := fmt.Sprint("three ", sent)
		a.say(t, id, write("test/out", kafkaRecord(a.prefix+"missing1", "k", []byte(id))))
		sent++
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("a topic that was made is not used")
		}
	}
	a.readLetters(t)
	refused := 0
	for i := range a.letters {
		if d := &a.letters[i]; !a.claimed[d.Number] {
			if d.Reason != "missing topic" || d.Address.ID != fmt.Sprint("three ", refused) {
				t.Fatalf("got dead letter %s, want the missing topic's number %d", show(d), refused)
			}
			a.claimed[d.Number] = true
			refused++
		}
	}
	var want []string
	for n := refused; n < sent; n++ {
		want = append(want, fmt.Sprint("three ", n))
	}
	a.topics.want(t, "missing1", "k", want...)
}
