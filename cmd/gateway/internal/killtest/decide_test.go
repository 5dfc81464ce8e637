//go:build unix

package killtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// decide lets the lane go on as an operator does, and answers the number of the output that it goes on with.
func (s *single) decide(deliver string) (next uint64) {
	s.t.Helper()
	response, err := http.Post(s.g.Admin()+"/v1/egresses/test/out/lanes/0/decide", "application/json", strings.NewReader(`{"deliver":`+deliver+`}`))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	var answer struct{ Next uint64 }
	if err := json.Unmarshal(body, &answer); response.StatusCode != http.StatusOK || err != nil {
		s.t.Fatalf("decide for %s: %d %s, %v", deliver, response.StatusCode, body, err)
	}
	s.g.Until("the lane to go on", func(r testgateway.Readiness) bool { return !r.Says("stands still") })
	return answer.Next
}

// saysCommand fails the test when /readyz does not show the command whole.
func (s *single) saysCommand(reason string) {
	s.t.Helper()
	r := s.g.Until("degraded by "+reason, func(r testgateway.Readiness) bool { return r.Says(reason) })
	if !r.Says("gateway egresses decide test/out --lane 0 --deliver stored|new|NUMBER") {
		s.t.Errorf("got %v, want the command", r)
	}
}

// TestCursorForgottenDecided: an operator who knows the last output that was delivered decides for the one behind it: each output is there
// once. The gateway is killed on the way, once the decision is answered.
func TestCursorForgottenDecided(t *testing.T) {
	s := newSingle(t)
	s.count(300)
	s.deleteGroup(s.lanes()[0])
	s.start(s.g)
	s.allow(100)
	s.halted("cursor lost", 100)
	s.saysCommand("cursor lost")
	if next := s.decide("301"); next != 301 {
		t.Errorf("the lane goes on with %d, want 301", next)
	}
	s.g.Kill()
	s.start(s.g)
	want, _ := s.finish(t)
	s.g.Stop()
	s.verify(s.topic("counts"), want)
	if lines := s.g.Logged("an operator has decided what the lane delivers"); len(lines) != 1 {
		t.Errorf("the log tells of %q", lines)
	}
}

// TestStoreOlderDecided: an operator who goes on with an older copy of the store has all that it has delivered: what was delivered behind
// the copy is there twice, and nothing is missing.
func TestStoreOlderDecided(t *testing.T) {
	s := newSingle(t)
	s.count(200)
	s.files(func(name string) error {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name+".copy", data, 0o644)
	})
	want := s.count(300)
	s.files(os.Remove)
	s.files(func(name string) error { return os.Rename(name+".copy", name) })
	s.start(s.g)
	s.halted("store is older", 300)
	s.saysCommand("store is older")
	next := int(s.decide(`"stored"`))
	if next < 1 || next > 201 { // what is delivered goes from the store a little later
		t.Errorf("the lane goes on with %d, want 201 or what is stored below", next)
	}
	all := 500 + 501 - next
	s.out.untilCount(all)
	s.g.Stop()
	if n := s.out.settle(); n != all {
		t.Errorf("got %d outputs, want 500, and those from %d on again", n, next)
	}
	for key, l := range s.out.lines() {
		first := []int{}
		for _, v := range l.values {
			if !slices.Contains(first, v) {
				first = append(first, v)
			}
		}
		if judged := judgeLine(&line{values: first}, want[key]); judged.String() != "" {
			t.Errorf("%s: got %v: %s", key, l.values, fmt.Sprint(judged))
		}
	}
}
