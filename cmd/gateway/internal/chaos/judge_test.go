//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// input is an event as it stands in its topic.
type input struct {
	event
	key    string
	source string // topic and partition
	offset int64
}

// judge lets everything come out, looks whether anything is left, and judges outputs and states by what went in.
func (a *arena) judge() {
	a.t.Helper()
	for _, c := range a.clients {
		c.finish(a.t)
	}
	_, acked, _ := a.ledger.counts()
	inputs := a.inputs(acked)
	a.tell("all is sent: %d events", len(inputs))
	certain, audits := 0, 0
	for _, in := range inputs {
		switch in.kind {
		case kindAdd, kindSet, kindChain, kindDelay, kindWeigh:
			certain++
		case kindFan:
			certain += fanWidth
		}
		if strings.HasPrefix(in.source, topicPairs+"/") {
			audits++
		}
	}
	a.out.untilCount(certain + audits)
	a.rest()
	wrong := a.states()
	for _, m := range []*member{a.standby, a.active} {
		m.up = false
		m.Stop()
	}
	a.close(topicAccounts, topicAudits)
	a.out.untilEnd()
	wrong = append(wrong, judgeOutputs(inputs, a.out.accounts, a.out.audits)...)
	wrong = append(wrong, a.again()...)
	wrong = append(wrong, a.histories()...)
	if len(wrong) > 0 {
		shown := wrong[:min(len(wrong), complaintsMax)]
		a.t.Errorf("%s: %d things are wrong (seed %d):\n  %s", violation, len(wrong), a.seed, strings.Join(shown, "\n  "))
		for _, w := range wrong {
			a.tell("wrong: %s", w)
		}
	}
}

// inputs reads the topics of events anew: n events, each once.
func (a *arena) inputs(n int) (all []input) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(a.world.kafka.Addr()), kgo.ConsumeTopics(a.topic(topicEvents), a.topic(topicPairs)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	a.must(err)
	defer kafka.Close()
	seen := map[string]bool{}
	for len(all) < n {
		fetches := kafka.PollFetches(ctx)
		if ctx.Err() != nil {
			a.t.Fatalf("the topics hold %d events, and the broker has acknowledged %d", len(all), n)
		}
		fetches.EachRecord(func(k *kgo.Record) {
			e, err := parseEvent(string(k.Value))
			a.must(err)
			if seen[e.op] {
				a.t.Fatalf("event %s stands in its topic twice: the test is broken", e.op)
			}
			seen[e.op] = true
			all = append(all, input{e, string(k.Key), fmt.Sprintf("%s/%d", strings.TrimPrefix(k.Topic, a.prefix), k.Partition), k.Offset})
		})
	}
	return all
}

// busy are the metrics that are all 0 when nothing waits.
var busy = []string{
	"stategate_mailbox_messages", "stategate_timers_due_soon", "stategate_outbox_records", "stategate_uncommitted_effects",
	"stategate_calls_in_flight", "stategate_addresses_backing_off", "stategate_ingress_lag_records", "stategate_dead_letters", "stategate_degraded",
}

// rest waits until nothing is left over: no mail, no timer, no output, no record, no row.
func (a *arena) rest() {
	a.t.Helper()
	began := a.ledger.now()
	testgateway.Poll(a.t, violation+": nothing to be left over", func() (bool, string) {
		a.check()
		all := a.active.Samples()
		if len(all) == 0 {
			return false, "no metrics"
		}
		left := ""
		for _, name := range busy {
			if n := all.Sum(name, nil); n != 0 {
				left += fmt.Sprintf(" %s: %v", name, n)
			}
		}
		if left == "" {
			left = a.leftovers()
		}
		return left == "", left
	})
	a.tell("nothing is left over, %v after the last output", a.ledger.now()-began)
}

// view is what the admin API says of an address, as far as it matters here.
type view struct {
	State []struct {
		Name  string `json:"name"`
		Value []byte `json:"value"`
	} `json:"state"`
	Mailbox struct {
		Messages *int64 `json:"messages"`
		Stored   int64  `json:"stored"`
	} `json:"mailbox"`
}

func (a *arena) view(function, id string) (v view) {
	a.t.Helper()
	path := fmt.Sprintf("/v1/addresses/%s/%s/%s?raw=true", namespace, function, url.PathEscape(id))
	status, body, err := a.active.Get(path)
	if err == nil && status != 200 {
		err = fmt.Errorf("status %d: %s", status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	if err != nil {
		a.t.Fatalf("GET %s: %v", path, err)
	}
	return v
}

// states compares what is committed with the last output of each address. All of them are in their topics by now, but the reader may
// not have read the last ones yet.
func (a *arena) states() []string {
	a.t.Helper()
	for limit := time.Now().Add(patience); ; {
		wrong := a.compareStates()
		if len(wrong) == 0 || time.Now().After(limit) {
			return wrong
		}
		a.pass(lookEvery)
	}
}

func (a *arena) compareStates() (wrong []string) {
	a.t.Helper()
	a.out.mu.Lock()
	accounts, audits := maps.Clone(a.out.accounts), maps.Clone(a.out.audits)
	a.out.mu.Unlock()
	look := func(function, state, id string, want string) {
		v := a.view(function, id)
		got := ""
		for _, s := range v.State {
			if s.Name == state {
				got = string(s.Value)
			}
		}
		if got = strings.Join(strings.Fields(got)[:min(len(strings.Fields(got)), len(strings.Fields(want)))], " "); got != want {
			wrong = append(wrong, fmt.Sprintf("state of %s %s is %q, its last output says %q", function, id, got, want))
		}
		if v.Mailbox.Messages == nil || *v.Mailbox.Messages != 0 || v.Mailbox.Stored != 0 {
			wrong = append(wrong, fmt.Sprintf("mailbox of %s %s is not empty: %+v", function, id, v.Mailbox))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		last := accounts[id][len(accounts[id])-1]
		look("account", stateAccount, id, fmt.Sprintf("%d %d", last.count, last.new))
	}
	for _, id := range slices.Sorted(maps.Keys(audits)) {
		look("audit", stateAudit, id, fmt.Sprint(len(audits[id])))
	}
	a.tell("looked at the states of %d addresses", len(accounts)+len(audits))
	return wrong
}

// again reads the outputs anew: a second reader must see what the first one saw while all went wrong around it.
func (a *arena) again() (wrong []string) {
	a.t.Helper()
	fresh := newReader(a.t, a.world, kgo.ReadCommitted(), false)
	fresh.untilEnd()
	for name, all := range map[string][2]map[string][]output{
		topicAccounts: {a.out.accounts, fresh.accounts}, topicAudits: {a.out.audits, fresh.audits},
	} {
		same := maps.EqualFunc(all[0], all[1], func(x, y []output) bool {
			return slices.EqualFunc(x, y, func(x, y output) bool { return x.result == y.result && x.partition == y.partition })
		})
		if !same {
			wrong = append(wrong, "a second reader sees other outputs in "+name)
		}
	}
	all := a.uncommitted()
	a.t.Logf("%d outputs at read_committed, %d records at read_uncommitted: %d were in transactions that were aborted", fresh.count(), all, all-fresh.count())
	if all <= fresh.count() && a.kills >= manyKills {
		a.t.Errorf("no transaction was aborted in %d kills: a reader at read_uncommitted would have seen the same", a.kills)
	}
	return wrong
}

// uncommitted counts what a reader sees that does not ask for read_committed.
func (a *arena) uncommitted() int {
	a.t.Helper()
	r := newReader(a.t, a.world, kgo.ReadUncommitted(), true)
	r.untilEnd()
	return r.count()
}
