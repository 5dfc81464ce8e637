package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
func show(ctx context.Context, admin string, out *screen) error {
	want := expected()
	for _, user := range users() {
		seen, err := seenOf(ctx, admin, user)
		if err != nil {
			return err
		}
		out.print("state example/visits/%s: seen = %d", user, seen)
		if int(seen) != len(want[user]) {
			return fmt.Errorf("state of %s: got %d visits, want %d", user, seen, len(want[user]))
		}
	}
	return nil
}

func seenOf(ctx context.Context, admin, user string) (int32, error) {
	where := admin + "/v1/addresses/example/visits/" + url.PathEscape(user)
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
			Value json.RawMessage // of the built-in type int: a number
		}
	}
	if err := json.Unmarshal(body, &address); err != nil {
		return 0, fmt.Errorf("read the state: %w", err)
	}
	for _, s := range address.State {
		if s.Name != "seen" {
			continue
		}
		var seen int32
		if err := json.Unmarshal(s.Value, &seen); err != nil {
			return 0, fmt.Errorf("read the state: %w", err)
		}
		return seen, nil
	}
	return 0, fmt.Errorf("%s has no state %q: %s", user, "seen", body)
}
