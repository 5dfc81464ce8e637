//go:build unix

package sdktest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// stories are what an application does with its SDK, each on ids of its own, so that all can run at a time.
var stories = []struct {
	name string
	tell func(t *testing.T, w *world)
}{
	{"values", values}, {"expiration", expirations}, {"caller", caller}, {"delayed", delayed}, {"egress", egress},
	{"throws", throws}, {"undeclared", undeclared}, {"async", async}, {"emptyID", emptyID},
}

// values: state of every built-in type and of custom ones is set, read, changed, zero and unset, each distinct.
func values(t *testing.T, w *world) {
	w.send(t, "values", "v", "show", "set all", "show", "bump all", "show", "zero all", "show", "bump all", "show",
		"delete int string blob", "show", "delete all", "delete all", "show", "bump all", "show")
	for _, k := range kinds(t, w.language) {
		after := "unset"
		if !slices.Contains([]string{"int", "string", "blob"}, k.name) {
			after = k.one
		}
		w.out.expect(t, "out-values", "v "+k.name, "unset", k.sample, k.next, k.zero, k.one, after, "unset", k.one)
	}
}

// expirations: a value goes a time after it was written, or after the last call, and not before.
func expirations(t *testing.T, w *world) {
	for try := range 5 {
		if expirationsOf(t, w, fmt.Sprint("e", try)) {
			return
		}
	}
	t.Error("this machine is too slow to call a function often enough")
}

// expirationsOf is false when calls were so far apart that nothing follows.
func expirationsOf(t *testing.T, w *world, id string) (shown bool) {
	const margin = 20 * time.Millisecond // for clocks that count milliseconds
	var before, after time.Time          // of a call
	n, lines := 0, []string(nil)
	call := func(verb string) (written, called bool) {
		n++
		before = time.Now()
		w.send(t, "expiring", id, fmt.Sprint(verb, " ", n))
		var got []string
		w.out.until(t, "the answer to "+verb, func() (bool, string) {
			got = w.out.of("out-expiring", id)
			return len(got) >= n, fmt.Sprintf("%q", got)
		})
		after = time.Now()
		last := got[len(got)-1]
		for _, c := range []struct{ written, called bool }{{true, true}, {false, true}, {true, false}, {false, false}} {
			if last == fmt.Sprintf("%d written=%s called=%s", n, mark(c.written), mark(c.called)) {
				lines = append(lines, last)
				return c.written, c.called
			}
		}
		t.Fatalf("got %q", last)
		return false, false
	}
	defer func() { w.out.expect(t, "out-expiring", id, lines...) }()
	if written, called := call("set"); !written || !called {
		t.Fatal("the function does not see what it has just written")
	}
	setBefore, setAfter := before, after
	tick := time.NewTicker(expiration / 4)
	defer tick.Stop()
	seen := false
	for {
		<-tick.C
		lastBefore := before
		written, called := call("show")
		if after.Sub(lastBefore) >= expiration-margin {
			return false // nothing is known of what the calls keep
		}
		if !called {
			t.Errorf("a value that is kept by calls was gone %v after the last", after.Sub(lastBefore))
		}
		if !written && after.Sub(setBefore) < expiration-margin {
			t.Errorf("a value was gone %v after it was written", after.Sub(setBefore))
		}
		if written && before.Sub(setAfter) > expiration+margin {
			t.Errorf("a value was there %v after it was written", before.Sub(setAfter))
		}
		seen = seen || written
		if !written {
			break
		}
	}
	<-time.After(expiration + margin)
	if written, called := call("show"); written || called {
		t.Errorf("got written %v, called %v long after the last call", written, called)
	}
	return seen
}

func mark(set bool) string {
	if set {
		return "x"
	}
	return "-"
}

// caller: messages of every type go to another function, which answers whoever called.
func caller(t *testing.T, w *world) {
	for _, k := range kinds(t, w.language) {
		w.send(t, "asker", "q-"+k.name, "ask "+k.name+" r-"+k.name)
		w.out.expect(t, "out-asker", "q-"+k.name, "asked for nobody")
		w.out.expect(t, "out-answerer", "r-"+k.name, "1 for apps.fns/asker/q-"+k.name)
		w.out.expect(t, "out-asker", "q-"+k.name+" 1 apps.fns/answerer/r-"+k.name+" "+k.name, k.sample)
	}
	w.send(t, "asker", "q", "ask int r", "ask string r", "ask int r")
	w.out.expect(t, "out-asker", "q", "asked for nobody", "asked for nobody", "asked for nobody")
	w.out.expect(t, "out-answerer", "r", "1 for apps.fns/asker/q", "2 for apps.fns/asker/q", "3 for apps.fns/asker/q")
	w.out.expect(t, "out-asker", "q 1 apps.fns/answerer/r int", "\x0d\x07\x00\x00\x00")
	w.out.expect(t, "out-asker", "q 2 apps.fns/answerer/r string", kinds(t, w.language)[5].sample)
	w.out.expect(t, "out-asker", "q 3 apps.fns/answerer/r int", "\x0d\x07\x00\x00\x00")
}

// delayed: messages come after their time, in its order, and not when they were cancelled or replaced before. What must not come
// was due before the last that comes.
func delayed(t *testing.T, w *world) {
	w.send(t, "alarm", "a", "after 0 now")
	w.send(t, "alarm", "b", "token 2000 t first", "cancel t", "token 2000 t second", "after 1000 early", "after 3000 last")
	w.send(t, "alarm", "c", "token 2000 t slow", "token 500 t quick", "after 3000 last")
	w.send(t, "alarm", "d", "token 2000 t one", "replace 1000 t two", "token 2000 u other", "after 3000 last")
	w.send(t, "alarm", "e", "to 100 f hello")
	w.send(t, "alarm", "g", "cancel nothing", "after 0 on")
	began := time.Now()
	w.out.expect(t, "out-alarm", "a", "now from apps.fns/alarm/a")
	w.out.expect(t, "out-alarm", "g", "on from apps.fns/alarm/g")
	w.out.expect(t, "out-alarm", "f", "hello from apps.fns/alarm/e")
	w.out.expect(t, "out-alarm", "d", "two from apps.fns/alarm/d", "other from apps.fns/alarm/d", "last from apps.fns/alarm/d")
	w.out.expect(t, "out-alarm", "c", "quick from apps.fns/alarm/c", "last from apps.fns/alarm/c")
	w.out.expect(t, "out-alarm", "b", "early from apps.fns/alarm/b", "second from apps.fns/alarm/b", "last from apps.fns/alarm/b")
	if took := time.Since(began); took < 2500*time.Millisecond {
		t.Errorf("what was to come after 3 s came after %v", took)
	}
}

// egress: records with a key and without, of text, bytes and numbers as the SDK writes them and of every type, in order.
func egress(t *testing.T, w *world) {
	w.send(t, "writer", "w", "write")
	want := []string{"text", "\x00\x01\xfe\xff", "\x00\x00\x01\x02"}
	for _, k := range kinds(t, w.language) {
		want = append(want, k.sample)
	}
	w.out.expect(t, "out-writer", "w", want...)
	w.out.expect(t, "out-writer", keyless, "keyless")
	w.out.expect(t, "out-counter", "w", "elsewhere")
}

// throws: a call that fails is made again, later messages of its address wait, others do not.
func throws(t *testing.T, w *world) {
	w.send(t, "flaky", "f1", "fail 7 one", "pass two")
	w.send(t, "flaky", "f2", "pass other")
	w.out.expect(t, "out-flaky", "f1", "one", "two")
	w.out.expect(t, "out-flaky", "f2", "other")
	if first := w.out.all("out-flaky")[0]; first.key != "f2" {
		t.Errorf("the first output is of %q: a function that throws has delayed another key", first.key)
	}
}

// undeclared: a message to a function that no endpoint serves is set aside, and what the same call did besides stands.
func undeclared(t *testing.T, w *world) {
	w.send(t, "stray", "s", "send")
	w.out.expect(t, "out-stray", "s", "sent")
	var letters []deadLetter
	testgateway.Poll(t, "the dead letter", func() (bool, string) {
		letters = w.deadLetters(t)
		return len(letters) > 0, "none"
	})
	l := letters[0]
	if len(letters) != 1 || l.Kind != "message" || l.Address.Namespace != "apps.lost" || l.Address.Name != "nobody" || l.Address.ID != "s" ||
		l.TypeName != "io.statefun.types/string" || string(l.Value) != "\x0a\x05hello" {
		t.Errorf("got dead letters %+v, want the message to apps.lost/nobody alone", letters)
	}
}

// async: functions that answer later see their messages one after the other all the same, and others run meanwhile.
func async(t *testing.T, w *world) {
	var words, want []string
	last := "-"
	for i := range 20 {
		word := fmt.Sprint("w", i)
		words, want, last = append(words, word), append(want, last+" "+word), word
	}
	w.send(t, "patient", "p", words...)
	for i := range 5 {
		w.send(t, "patient", fmt.Sprint("p", i), "one")
	}
	for i := range 5 {
		w.out.expect(t, "out-patient", fmt.Sprint("p", i), "- one")
	}
	w.out.expect(t, "out-patient", "p", want...)
}

// emptyID: a record with an empty key is delivered, as StateFun delivers it. Python's SDK refuses such a message whatever the function
// does, so that address waits, alone, and says why.
func emptyID(t *testing.T, w *world) {
	w.send(t, "patient", "", "hello")
	if w.language != "python" {
		w.out.expect(t, "out-patient", keyless, "- hello")
		return
	}
	testgateway.Poll(t, "the address to say what is wrong", func() (bool, string) {
		v := w.address(t, "apps.fns/patient", "")
		return strings.HasPrefix(v.LastError, "status 500") && v.Mailbox.Messages == 1, fmt.Sprintf("%+v", v)
	})
}
