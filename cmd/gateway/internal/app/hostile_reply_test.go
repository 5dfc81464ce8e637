//go:build unix

package app

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// hostileReply is what a function answers for one id. Unless fine, it fails that call as a whole, again and again.
type hostileReply struct {
	name   string
	script script
	kind   string // what is counted of it, as of Hooks.Call
	says   string // part of what an operator is shown of the address
	fine   bool   // it is no failure: the record is finished without effects
}

// body answers 200 with a content type; "" leaves it out.
func body(contentType string, b []byte) script {
	return func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		_, _ = w.Write(b)
	}
}

// raw answers what is no HTTP, or breaks it off, on the bare connection.
func raw(answer string, more func(w io.Writer)) script {
	return func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, answer)
		if more != nil {
			more(c)
		}
	}
}

// pour writes zeros until n are written or the other side has had enough.
func pour(w io.Writer, n int) {
	for piece := make([]byte, 1<<20); n > 0; n -= len(piece) {
		if _, err := w.Write(piece[:min(n, len(piece))]); err != nil {
			return
		}
	}
}

// drip answers headers and then a byte now and then, for ever.
func drip(w http.ResponseWriter, r *http.Request, _ *batchRequest) {
	w.Header().Set("Content-Type", protocol.ContentType)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = w.Write([]byte{0})
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

const okHead = "HTTP/1.1 200 OK\r\nContent-Type: " + protocol.ContentType + "\r\n"

// transportReplies are wrong in the way they come.
func transportReplies() []hostileReply {
	hundred := 100 << 20
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	pour(z, hundred)
	_ = z.Close()
	good := effects(send(target("test", "count", "never")))
	return []hostileReply{
		{name: "100 MB", kind: "bad_reply", says: "larger than the bound of 33554432 bytes",
			script: raw(okHead+fmt.Sprintf("Content-Length: %d\r\n\r\n", hundred), func(w io.Writer) { pour(w, hundred) })},
		{name: "100 MB of unknown length", kind: "bad_reply", says: "larger than the bound of 33554432 bytes",
			script: func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
				w.Header().Set("Content-Type", protocol.ContentType)
				pour(w, hundred)
			}},
		{name: "gzip bomb", kind: "bad_reply", says: "larger than the bound of 33554432 bytes",
			script: func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
				w.Header().Set("Content-Type", protocol.ContentType)
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(bomb.Bytes())
			}},
		{name: "broken gzip", kind: "bad_reply", says: "read reply",
			script: raw(okHead+"Content-Encoding: gzip\r\nContent-Length: 24\r\n\r\nthis is no gzip, really!", nil)},
		{name: "never ends", kind: "timeout", says: "no complete reply within the attempt's time-out", script: drip},
		{name: "never begins", kind: "timeout", says: "no complete reply within the attempt's time-out",
			script: func(_ http.ResponseWriter, r *http.Request, _ *batchRequest) { <-r.Context().Done() }},
		{name: "headers never end", kind: "bad_reply", says: "not HTTP",
			script: raw(okHead+"X-A: ", func(w io.Writer) { pour(w, hundred) })},
		{name: "truncated", kind: "bad_reply", says: "cut short",
			script: raw(okHead+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(good), good[:len(good)/2]), nil)},
		{name: "truncated chunks", kind: "bad_reply", says: "cut short", script: raw(okHead+"Transfer-Encoding: chunked\r\n\r\nff\r\nabc", nil)},
		{name: "not HTTP", kind: "bad_reply", says: "not HTTP", script: raw("SSH-2.0-OpenSSH_9.2\r\n\r\n", nil)},
		{name: "wrong content type", kind: "bad_reply", says: `content type "text/html"`, script: body("text/html", good)},
		{name: "no content type", kind: "bad_reply", says: "no content type", script: body("", good)},
		{name: "nothing at all", kind: "bad_reply", says: "no content type", script: body("", nil)},
		{name: "nothing but a content type", kind: "ok", fine: true, script: body(protocol.ContentType, nil)},
		{name: "500 with control characters", kind: "status", says: `\x1b[31mred`,
			script: func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
				http.Error(w, "\x1b[31mred\a and more text behind it", http.StatusInternalServerError)
			}},
		{name: "redirect", kind: "status", says: "redirects are not followed",
			script: func(w http.ResponseWriter, r *http.Request, _ *batchRequest) {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}},
	}
}

// messageReplies are whole on the wire and say what cannot be.
func messageReplies() []hostileReply {
	long := typed(protocol.TypeLong, encoded(&protocol.LongWrapper{Value: 7}))
	state := func(name, typeName string) *protocol.FromFunction_PersistedValueSpec {
		return &protocol.FromFunction_PersistedValueSpec{StateName: name, TypeTypename: typeName}
	}
	var many []*protocol.FromFunction_PersistedValueSpec
	for i := range api.StatesPerFunction + 1 {
		many = append(many, state(fmt.Sprintf("s%d", i), "test/x"))
	}
	crowd := protowire.AppendTag(nil, 100, protowire.BytesType)
	crowd = protowire.AppendBytes(crowd, bytes.Repeat([]byte{2<<3 | 2, 0}, protocol.EffectsMax+1))
	nested := bytes.Repeat(protowire.AppendTag(nil, 9, protowire.StartGroupType), 1<<20)
	// Beside each mistake stands a good effect, which must not take place.
	good := send(target("test", "count", "never"))
	const modify, remove = protocol.FromFunction_PersistedValueMutation_MODIFY, protocol.FromFunction_PersistedValueMutation_DELETE
	all := []hostileReply{
		{name: "garbage", says: "decode reply", script: replying([]byte("\xff\xff\xff\xffthis is no protobuf"))},
		{name: "truncated message", says: "decode reply", script: replying(effects(good)[:9])},
		{name: "nested without end", says: "decode reply", script: replying(nested)},
		{name: "id not UTF-8", says: "decode reply", script: replying(bytes.Replace(effects(good), []byte("never"), []byte("ne\xffer"), 1))},
		{name: "a million effects and one", says: "at most 1048576 are allowed", script: replying(crowd)},
		{name: "unregistered state", says: `state "other", which the function has not declared`, script: replying(effects(good, mutate(modify, "other", long)))},
		{name: "unregistered state removed", says: `state "other", which the function has not declared`, script: replying(effects(good, mutate(remove, "other", nil)))},
		{name: "state of another type", says: `to a value of type "test/x"`, script: replying(effects(good, mutate(modify, "n", typed("test/x", nil))))},
		{name: "state without a value", says: `to a value of type ""`, script: replying(effects(good, mutate(modify, "n", nil)))},
		{name: "unknown mutation", says: "unknown kind 7", script: replying(effects(good, mutate(7, "n", long)))},
		{name: "negative delay", says: "delay of -1 ms", script: replying(effects(good, sendLater(-1, target("test", "count", "never"))))},
		{name: "empty token", says: "without a token", script: replying(effects(good, cancelLater("")))},
		{name: "token above the limit", says: "cancellation token of 65537 bytes", script: replying(effects(good, cancelLater(strings.Repeat("t", api.TokenBytesMax+1))))},
		{name: "type name above the limit", says: "type name of 65537 bytes", script: replying(effects(good, write("test/out", typed(strings.Repeat("t", api.TypeNameBytesMax+1), nil))))},
		{name: "asks again", says: "asks for states that the call has carried", script: replying(missing(state("n", protocol.TypeLong)))},
		{name: "asks for nothing", says: "asks for states that the call has carried", script: replying(missing())},
		{name: "asks for another type", says: `declares state "n" with type "test/x"`, script: replying(missing(state("n", "test/x")))},
		{name: "1025 states", says: "more than 1024 states", script: replying(missing(many...))},
		{name: "state name of 10 KB", says: "a name has 1 to 512 bytes", script: replying(missing(state(strings.Repeat("n", 10<<10), "test/x")))},
		{name: "empty state name", says: "a name has 1 to 512 bytes", script: replying(missing(state("", "test/x")))},
		{name: "state with a type name above the limit", says: "type name of 65537 bytes", script: replying(missing(state("t", strings.Repeat("t", api.TypeNameBytesMax+1))))},
	}
	for i := range all {
		all[i].kind = "bad_reply"
	}
	return all
}

// TestHostileReplies: a reply that cannot be used fails its call alone and as a whole. Others of the same function go on, its
// address says what is wrong and tries again, and once the function answers well the message has its effects, once.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	a := newArena(t, "", nil)
	all := append(transportReplies(), messageReplies()...)
	function := func(i int) string { // of its own, to be counted by
		if all[i].kind == "timeout" {
			return "ownbrief"
		}
		return fmt.Sprint("own", i)
	}
	for i := range all {
		a.tell(t, function(i), "healthy "+all[i].name) // its states become known
	}
	for i := range all {
		c, function := &all[i], function(i)
		t.Run(c.name, func(t *testing.T) {
			a.counted(t, "healthy "+c.name)
			a.functions.misbehave(function, c.name, c.script)
			a.tell(t, function, c.name)
			a.failing(t, function, c)
			a.tell(t, function, "healthy "+c.name) // beside the failing one
			a.counted(t, "healthy "+c.name)
			a.functions.behave(function, c.name)
			if c.fine {
				delete(a.events, c.name)
				return
			}
			a.counted(t, c.name)
		})
	}
	a.finish(t)
}

// tell sends an event to a function that counts, through test/say.
func (a *arena) tell(t *testing.T, function, id string) {
	t.Helper()
	a.put(t, "say", []byte("to "+function), effects(send(target("test", function, id))))
	a.events[id]++
}

// failing waits until the script's call has been judged, and looks whether people and metrics are told.
func (a *arena) failing(t *testing.T, function string, c *hostileReply) {
	t.Helper()
	hostileUntil(t, "the call is judged", func() bool {
		v := a.view(t, "test", function, c.name)
		if c.fine {
			return a.functions.called(function, c.name) > 0 && v.Mailbox == 0
		}
		return v.LastError != ""
	})
	if c.fine {
		return
	}
	v := a.view(t, "test", function, c.name)
	if !strings.Contains(v.LastError, c.says) {
		t.Errorf("the address says %q, want something with %q", v.LastError, c.says)
	}
	if v.Mailbox != 1 || v.FailingSince == 0 {
		t.Errorf("the address shows %d messages, failing since %d: want 1 and a time", v.Mailbox, v.FailingSince)
	}
	if metric := "call test/" + function + " " + c.kind; a.seen.count(metric) == 0 {
		t.Errorf("nothing is counted as %q", metric)
	}
	if c.kind == "timeout" {
		hostileUntil(t, "it is stuck, and the status says so", func() bool { return a.reason(t, "stuck") != "" })
	}
}

// reason is the text of the status's reason of a kind, "" when there is none.
func (a *arena) reason(t *testing.T, kind string) string {
	t.Helper()
	for _, r := range a.app.Status(t.Context()).Reasons {
		if r.Kind == kind {
			return r.Text
		}
	}
	return ""
}
