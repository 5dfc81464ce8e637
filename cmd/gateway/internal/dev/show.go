package dev

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// users are those of the sample, each once, in the order in which they come.
func users() []string {
	seen := map[string]bool{}
	var out []string
	for _, v := range sample {
		if !seen[v.user] {
			seen[v.user] = true
			out = append(out, v.user)
		}
	}
	return out
}

// show prints the sample's state, asked of the admin side as anybody would, and checks it.
func show(ctx context.Context, admin string, out io.Writer) error {
	want := expected()
	for _, user := range users() {
		seen, err := seenOf(ctx, admin, user)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "state example/visits/%s: seen = %d\n", user, seen)
		if int(seen) != len(want[user]) {
			return fmt.Errorf("state of %s: got %d visits, want %d", user, seen, len(want[user]))
		}
	}
	return nil
}

func seenOf(ctx context.Context, admin, user string) (int32, error) {
	where := (&url.URL{Scheme: "http", Host: admin, Path: "/v1/addresses/example/visits/" + user}).String()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask for the state: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask for the state: GET %s: %s %s", where, response.Status, body)
	}
	var address struct {
		State []struct {
			Name  string
			Value []byte
		}
	}
	if err := json.Unmarshal(body, &address); err != nil {
		return 0, fmt.Errorf("read the state: %w", err)
	}
	for _, s := range address.State {
		if s.Name != "seen" {
			continue
		}
		var wrapped protocol.IntWrapper
		if err := proto.Unmarshal(s.Value, &wrapped); err != nil {
			return 0, fmt.Errorf("read the state: %w", err)
		}
		return wrapped.Value, nil
	}
	return 0, fmt.Errorf("%s has no state %q: %s", user, "seen", body)
}

// typed makes records of lines. It ends with its input, or with the process.
func typed(ctx context.Context, cfg Config, k *kafka) {
	lines := bufio.NewScanner(cfg.In)
	for lines.Scan() {
		user, page, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if user == "" {
			continue
		}
		if err := k.put(ctx, visits, user, page); err != nil {
			fmt.Fprintln(cfg.Out, err)
		}
	}
}

// stay says what to try, plays the sample's records once so that there is something to see, and prints results as they come.
func stay(ctx context.Context, cfg Config, k *kafka) error {
	admin := cfg.Admin.Addr().String()
	fmt.Fprintf(cfg.Out, `the gateway runs; Ctrl-C ends it. Type a user and a page ("ada /notes") for another record. In another terminal, try:
  curl %[1]s/v1/addresses/example/visits/ada     # the state of one address
  curl %[1]s/readyz                              # how it is
  curl %[1]s/metrics                             # what it does
  kcat -P -b %[2]s -t visits -K:         # put records in, as key:value lines (kcat is a client for Kafka)
`, "http://"+admin, k.address)
	for _, v := range sample {
		if err := k.put(ctx, visits, v.user, v.page); err != nil {
			return err
		}
		fmt.Fprintf(cfg.Out, "in   %s: %s = %s\n", visits, v.user, v.page)
	}
	go typed(ctx, cfg, k)
	err := k.read(ctx, greetings, func(r *kgo.Record) bool {
		fmt.Fprintf(cfg.Out, "out  %s: %s = %s\n", greetings, r.Key, r.Value)
		return true
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
