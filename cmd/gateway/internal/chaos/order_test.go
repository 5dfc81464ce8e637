//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// asked is an order that an account may run.
type asked struct {
	input
	account string
	order   order
}

// judgeOutputs says what is wrong with outputs, by the events alone.
func judgeOutputs(inputs []input, accounts, audits map[string][]output) (wrong []string) {
	may := map[string]asked{}
	audited := map[string][]input{}
	for _, in := range inputs {
		ids, orders := in.orders(in.key, 0)
		for i, id := range ids {
			may[orders[i].op] = asked{in, id, orders[i]}
		}
		if strings.HasPrefix(in.source, topicPairs+"/") {
			audited[in.key] = append(audited[in.key], in)
		}
	}
	ran := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		wrong = append(wrong, judgeAccount(id, accounts[id], may, ran)...)
	}
	for _, op := range slices.Sorted(maps.Keys(may)) {
		m := may[op]
		switch n := ran[op]; {
		case m.kind == kindCancel && n > 0:
			wrong = append(wrong, fmt.Sprintf("order %s of %s was cancelled, and ran %d times", op, m.key, n))
		case m.kind == kindRace && n > 1, m.kind != kindRace && m.kind != kindCancel && n != 1:
			wrong = append(wrong, fmt.Sprintf("order %s (%s) of %s ran %d times", op, m.kind, m.key, n))
		}
	}
	return append(wrong, judgeAudits(audited, audits)...)
}

// judgeAccount goes through the outputs of one account: each one more than the one before, each an order that was given to it, the
// balance going on from where it was, and those that went the same way in the order in which they were sent.
func judgeAccount(id string, outputs []output, may map[string]asked, ran map[string]int) (wrong []string) {
	complain := func(i int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("account %s, output %d (%v): %s", id, i+1, outputs[i].result, fmt.Sprintf(format, args...)))
	}
	balance := 0
	last := map[string]int64{} // by the way that orders went: the offset of the last event
	for i, o := range outputs {
		ran[o.op]++
		m, known := may[o.op]
		switch {
		case !known:
			complain(i, "nobody has given this order")
			continue
		case m.account != id:
			complain(i, "the order is for %s", m.account)
		case o.how != m.kind || o.n != m.n:
			complain(i, "the order is %v", m.event)
		}
		if o.count != i+1 {
			complain(i, "the count is not %d", i+1)
		}
		if o.old != balance || o.new != apply(o.how, o.n, o.old) {
			complain(i, "the balance was %d", balance)
		}
		balance = o.new
		if o.partition != outputs[0].partition {
			complain(i, "it is in partition %d, the first is in %d", o.partition, outputs[0].partition)
		}
		if o.wrong != "" {
			complain(i, "%s", o.wrong)
		}
		if way := wayOf(m); way != "" {
			if before, ok := last[way]; ok && m.offset < before {
				complain(i, "a later one of %s has overtaken it", way)
			}
			last[way] = m.offset
		}
	}
	return wrong
}

// wayOf names the way by which an order comes to its account, where that keeps order: from one partition by one front, either at
// once or by the chain.
func wayOf(m asked) string {
	switch m.kind {
	case kindAdd, kindSet, kindFan, kindWeigh:
		return m.source + " " + m.key
	case kindChain:
		return m.source + " " + m.key + " by the chain"
	}
	return ""
}

// judgeAudits: the outputs of a key are its events, in the order in which they stand in their partition.
func judgeAudits(audited map[string][]input, audits map[string][]output) (wrong []string) {
	keys := maps.Clone(audited)
	for key := range audits {
		keys[key] = audited[key]
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		want, got := []string{}, []string{}
		for _, in := range audited[key] {
			want = append(want, in.op)
		}
		for i, o := range audits[key] {
			got = append(got, o.op)
			if o.count != i+1 {
				wrong = append(wrong, fmt.Sprintf("audit %s: count %d of output %d", key, o.count, i+1))
			}
		}
		if !slices.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			wrong = append(wrong, fmt.Sprintf("audit %s: got %d outputs, want %d; from output %d on got %v, want %v", key, len(got), len(want), at+1, short(got[at:]), short(want[at:])))
		}
	}
	return wrong
}

func short(ops []string) []string { return ops[:min(len(ops), 8)] }
