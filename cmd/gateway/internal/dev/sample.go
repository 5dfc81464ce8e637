package dev

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
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

// play puts the sample's records in, prints what comes out, and reports whether it is what must come out, and when the first came.
func play(ctx context.Context, k *kafka, out io.Writer) (first time.Time, err error) {
	for _, v := range sample {
		if err := k.put(ctx, visits, v.user, v.page); err != nil {
			return first, err
		}
		fmt.Fprintf(out, "in   %s: %s = %s\n", visits, v.user, v.page)
	}
	got, left := map[string][]string{}, len(sample)
	err = k.read(ctx, greetings, func(r *kgo.Record) bool {
		if first.IsZero() {
			first = time.Now()
		}
		user := string(r.Key)
		got[user] = append(got[user], string(r.Value))
		fmt.Fprintf(out, "out  %s: %s = %s\n", greetings, user, r.Value)
		left--
		return left > 0
	})
	want := expected()
	for user := range want {
		if !slices.Equal(got[user], want[user]) {
			return first, fmt.Errorf("greetings of %s: got %q, want %q (%d of %d results came, last error: %v)",
				user, got[user], want[user], len(sample)-left, len(sample), err)
		}
	}
	return first, err
}
