//go:build unix

package app

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// hostileSends declares endpoints that take names to other places of a URL.
const hostileSends = `---
kind: io.statefun.endpoints.v2/http
spec: {functions: host/*, urlPathTemplate: "http://{function.name}:1/"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: query/*, urlPathTemplate: "${URL}/query?name={function.name}"}
`

// hostileSend is a message that can be delivered to nobody.
type hostileSend struct {
	name   string
	to     *protocol.Address // nil: none
	reason string
	detail string
}

func hostileSendsToNobody() []hostileSend {
	name := func(s string) *protocol.Address { return target("test", s, "id") }
	all := []hostileSend{
		{"unknown function", target("shop", "nobody", "id"), "unknown function", "no endpoint of the module serves shop/nobody"},
		{"unknown namespace that looks like one", target("test/count", "x", "id"), "unknown function", "no endpoint"},
		{"no address", nil, "bad address", "has no name"},
		{"no name", target("test", "", "id"), "bad address", "has no name"},
		{"id above the limit", target("test", "count", strings.Repeat("i", api.IDBytesMax+1)), "bad address", "id of 65537 bytes"},
		{"namespace above the limit", target(strings.Repeat("n", api.NameBytesMax+1), "count", "id"), "bad address", "at most 512 each"},
		{"name above the limit", name(strings.Repeat("n", api.NameBytesMax+1)), "bad address", "at most 512 each"},
		{"no host name", target("host", "a b", "id"), "unreachable function", "cannot be part of a host name"},
		{"another host", target("host", "evil.example/x@", "id"), "unreachable function", "cannot be part of a host name"},
	}
	for _, s := range []string{".", "..", "\x00", "a\nb", "a\r\nHost: evil", "\x7f", "\u0085", "x\x1b[2J"} {
		all = append(all, hostileSend{fmt.Sprintf("name %q", s), name(s), "unreachable function", "cannot be part of an URL"})
	}
	return all
}

// dead is the letter that the send becomes.
func (c *hostileSend) dead() api.DeadLetter {
	to := api.Address{Type: api.FunctionType{Namespace: c.to.GetNamespace(), Name: c.to.GetType()}, ID: c.to.GetId()}
	return api.DeadLetter{
		Kind: api.DeadMessage, From: to.Type.String(), Reason: c.reason, Detail: c.detail, Address: to,
		Caller: api.Address{Type: api.FunctionType{Namespace: "test", Name: "say"}, ID: c.name}, TypeName: "test/event", Value: []byte("x"),
	}
}

// TestHostileSends: a message that can be delivered to nobody is set aside alone, never a request; the other effects of the same
// reply stand, and names that can be asked for are asked for at their own place of the URL only.
func TestHostileSends(t *testing.T) {
	t.Parallel()
	a := newArena(t, hostileSends, nil)
	for _, c := range hostileSendsToNobody() {
		healthy := send(target("test", "count", "beside "+c.name))
		for how, hazard := range map[string]effect{"at once": send(c.to), "delayed": sendLater(1, c.to)} {
			t.Run(how+" "+c.name, func(t *testing.T) {
				a.around(t, func() {
					a.say(t, c.name, healthy, hazard, healthy)
					a.deadLetter(t, c.dead())
				})
				a.events["beside "+c.name] += 2
				a.counted(t, "beside "+c.name)
			})
		}
	}
	t.Run("odd names", func(t *testing.T) { a.around(t, func() { oddNames(t, a) }) })
	t.Run("never", func(t *testing.T) { a.around(t, func() { never(t, a) }) })
	for _, uri := range a.functions.uris() {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(u.EscapedPath(), "/"); n != 1 || u.Path == "/" || u.Path == "/." || u.Path == "/.." {
			t.Errorf("a request for %q was made", uri)
		}
	}
	a.finish(t)
}

// say makes test/say answer with the effects.
func (a *arena) say(t *testing.T, id string, all ...effect) {
	t.Helper()
	a.put(t, "say", []byte(id), effects(all...))
}

// oddNames calls functions whose names would mean something else in a URL if they were not escaped.
func oddNames(t *testing.T, a *arena) {
	t.Helper()
	names := map[string]string{
		"own/../../etc":   "/own%2F..%2F..%2Fetc",
		"own?x=1#f":       "/own%3Fx=1%23f",
		"own%2e%2e%2f":    "/own%252e%252e%252f",
		"own ü 😀":         "/own%20%C3%BC%20%F0%9F%98%80",
		"own;a,b&c=d+e@:": "/own%3Ba%2Cb&c=d+e@:",
		`own\"<>|{}`:      "/own%5C%22%3C%3E%7C%7B%7D",
	}
	for name, uri := range names {
		a.tell(t, name, "odd "+name)
		a.counted(t, "odd "+name)
		if a.functions.requests(uri) == 0 {
			t.Errorf("function %q was not asked for as %s but as one of %q", name, uri, a.functions.uris())
		}
	}
	a.say(t, "query", send(target("query", "own&name=other#x", "in a query")))
	a.events["in a query"]++
	a.counted(t, "in a query")
	if uri := "/query?name=own%26name%3Dother%23x"; a.functions.requests(uri) == 0 {
		t.Errorf("the name is not escaped in the query: got %q", a.functions.uris())
	}
}

// never sends what is due at the end of time, replaces and cancels it, and cancels what never was.
func never(t *testing.T, a *arena) {
	t.Helper()
	later := func(ms int64, token string) effect {
		return func(r *response) {
			sendLater(ms, target("test", "count", "never"))(r)
			r.DelayedInvocations[len(r.DelayedInvocations)-1].CancellationToken = token
		}
	}
	hostile := "\x00'; DROP TABLE timers; --" + strings.Repeat("t", 60<<10)
	a.say(t, "never", later(math.MaxInt64, ""), later(math.MaxInt64, hostile), later(math.MaxInt64-1, hostile), cancelLater("what never was"),
		cancelLater(hostile), send(target("test", "count", "beside never")))
	a.events["beside never"]++
	a.counted(t, "beside never")
}

// hostileOutputs declares an egress of each other semantic, beside test/out.
const hostileOutputs = `---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/again
  address: ${KAFKA}
  deliverySemantic: {type: at-least-once}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/once
  address: ${KAFKA}
  deliverySemantic: {type: none}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/wide
  address: ${KAFKA}
  deliverySemantic: {type: exactly-once, transactionTimeout: 10s}
  properties: [max.request.size: 4000000]
`

// hostileOutput is an output that no egress can deliver.
type hostileOutput struct {
	name   string
	value  *protocol.TypedValue
	reason string
	detail string
}

func hostileOutputsFor(a *arena) []hostileOutput {
	topic := func(name string) *protocol.TypedValue { return kafkaRecord(name, "k", []byte("v")) }
	said := a.prefix + "said"
	return []hostileOutput{
		{"wrong type", typed("io.statefun.types/string", []byte("hello")), "wrong type", "io.statefun.types/string"},
		{"no type", typed("", kafkaRecord(said, "k", nil).Value), "wrong type", `type ""`},
		{"unreadable", typed(protocol.TypeKafkaProducerRecord, []byte("\xff\xff\xff")), "unreadable record", ""},
		{"truncated", typed(protocol.TypeKafkaProducerRecord, kafkaRecord(said, "key", []byte("value")).Value[:9]), "unreadable record", ""},
		{"empty", typed(protocol.TypeKafkaProducerRecord, nil), "invalid topic", "the topic is empty"},
		{"topic with a space", topic("not a topic"), "invalid topic", "only letters"},
		{"topic with a NUL", topic(said + "\x00"), "invalid topic", "only letters"},
		{"topic ..", topic(".."), "invalid topic", "is not a name"},
		{"topic above the limit", topic(strings.Repeat("t", 250)), "invalid topic", "at most 249"},
		{"record above max.request.size", kafkaRecord(said, "k", make([]byte, 5<<20)), "record too large", "max.request.size allows"},
		{"record above the topic's limit", kafkaRecord(a.prefix+"small", "k", make([]byte, 50<<10)), "record too large", a.prefix + "small"},
		{"no key for a compacted topic", kafkaRecord(a.prefix+"compact", "", []byte("v")), "refused by Kafka", a.prefix + "compact"},
	}
}

// TestHostileOutputs: an output that cannot be delivered is set aside alone, by every delivery semantic, and what stands before and
// behind it in the same batch is delivered once and in order.
func TestHostileOutputs(t *testing.T) {
	t.Parallel()
	a := newArena(t, hostileOutputs, nil)
	a.create(t, "small", map[string]string{"max.message.bytes": "10000"})
	a.create(t, "compact", map[string]string{"cleanup.policy": "compact"})
	a.topics.read(t, a, "small")
	for _, egress := range []string{"test/out", "test/again", "test/once", "test/wide"} {
		for _, c := range hostileOutputsFor(a) {
			t.Run(egress+" "+c.name, func(t *testing.T) { a.around(t, func() { a.refused(t, egress, &c) }) })
		}
	}
	t.Run("above the broker's limit", func(t *testing.T) {
		a.around(t, func() {
			a.refused(t, "test/wide", &hostileOutput{"above the broker's limit", kafkaRecord(a.prefix+"said", "k", make([]byte, 2<<20)), "record too large", a.prefix + "said"})
		})
	})
	for name, unknown := range map[string]string{"unknown": "test/nowhere", "without a name": "/", "with a long name": "no/" + strings.Repeat("e", 600)} {
		t.Run("egress "+name, func(t *testing.T) {
			a.around(t, func() {
				value := kafkaRecord(a.prefix+"said", "k", []byte("v"))
				a.say(t, t.Name(), write("test/out", kafkaRecord(a.prefix+"said", t.Name(), []byte("1"))), write(unknown, value), write("test/out", kafkaRecord(a.prefix+"said", t.Name(), []byte("2"))))
				a.deadLetter(t, api.DeadLetter{
					Kind: api.DeadOutput, From: unknown, Reason: "unknown egress", Detail: "the module declares no egress", Value: value.Value, TypeName: value.Typename,
					Address: api.Address{Type: api.FunctionType{Namespace: "test", Name: "say"}, ID: t.Name()},
				})
				a.topics.want(t, "said", t.Name(), "1", "2")
			})
		})
	}
	t.Run("more than a batch of a topic", func(t *testing.T) { a.around(t, func() { tooMuchTogether(t, a) }) })
	a.finish(t)
	if got := a.topics.keys("said"); slices.Contains(got, "k") {
		t.Error("a refused record was delivered")
	}
}

// refused writes the output between two healthy ones of the same reply.
func (a *arena) refused(t *testing.T, egress string, c *hostileOutput) {
	t.Helper()
	id := egress + " " + c.name
	said := func(n int) effect { return write(egress, kafkaRecord(a.prefix+"said", id, fmt.Append(nil, n))) }
	before := a.seen.count("refused " + egress)
	reply := effects(said(1), said(2), write(egress, c.value), said(3), said(4))
	a.functions.misbehave("say", id, replying(reply)) // it may be larger than a record that brings it
	a.put(t, "say", []byte(id), noArgument)
	a.deadLetter(t, api.DeadLetter{
		Kind: api.DeadOutput, From: egress, Reason: c.reason, Detail: c.detail, Offset: -1, TypeName: c.value.Typename, Value: c.value.Value,
		Address: api.Address{Type: api.FunctionType{Namespace: "test", Name: "say"}, ID: id},
	})
	want := a.topics.want
	if egress == "test/again" || egress == "test/once" { // what stands beside a refused output may come again
		want = a.topics.wantRepeated
	}
	want(t, "said", id, "1", "2", "3", "4")
	hostileUntil(t, "it is counted as refused", func() bool { return a.seen.count("refused "+egress) == before+1 })
}

var noArgument = []byte{}

// tooMuchTogether writes records of which each passes and all together are more than their topic takes in a batch.
func tooMuchTogether(t *testing.T, a *arena) {
	t.Helper()
	var all []effect
	var want []string
	for i := range 20 {
		value := strings.Repeat(fmt.Sprint(i%10), 3000)
		want = append(want, value)
		all = append(all, write("test/out", kafkaRecord(a.prefix+"small", "together", []byte(value))))
	}
	a.say(t, "together", all...)
	a.topics.want(t, "small", "together", want...)
}
