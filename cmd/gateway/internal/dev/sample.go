package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The sample application counts visits and greets: module.yaml and sdk/go/example.
const (
	visits    = "visits"
	greetings = "greetings"
)

// visit is one record of the sample.
type visit struct{ user, page string }

var sample = []visit{
	{"ada", "/"}, {"grace", "/"}, {"ada", "/engines"}, {"ada", "/notes"}, {"grace", "/compilers"}, {"linus", "/"},
}

// expected is what the sample must answer: for each user its greetings, in order.
func expected() map[string][]string {
	want := map[string][]string{}
	for _, v := range sample {
		n := len(want[v.user]) + 1
		text := fmt.Sprintf("Welcome, %s! Visit 1: %s", v.user, v.page)
		if n > 1 {
			text = fmt.Sprintf("Welcome back, %s! Visit %d: %s", v.user, n, v.page)
		}
		want[v.user] = append(want[v.user], text)
	}
	return want
}

// play puts the sample's records in, shows what comes out, and reports whether it is what must come out, and when the first came.
func play(ctx context.Context, k *kafka, out *screen) (first time.Time, err error) {
	if k == nil {
		return first, errors.New("the module is not the sample's: it reads no topic")
	}
	for _, v := range sample {
		if _, err := k.put(ctx, visits, v.user, []byte(v.page)); err != nil {
			return first, err
		}
		out.print("in   %s: %s = %s", visits, v.user, v.page)
	}
	got, n := map[string][]string{}, 0
	for n < len(sample) && ctx.Err() == nil {
		_, records, _ := k.read(ctx, greetings, n)
		if first.IsZero() {
			first = time.Now()
		}
		for _, r := range records {
			got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
			out.print("out  %s: %s = %s", greetings, r.Key, r.Value)
		}
		n += len(records)
	}
	want := expected()
	for user := range want {
		if !slices.Equal(got[user], want[user]) {
			return first, fmt.Errorf("greetings of %s: got %q, want %q (%d of %d results came)", user, got[user], want[user], n, len(sample))
		}
	}
	return first, nil
}
