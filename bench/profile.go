//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// profileVariable says where the gateway that is built for profiles serves them.
const profileVariable = "STATEGATE_TEST_BENCH_PROFILE"

// profileText is added to the gateway while it is built; what is shipped serves no profiles.
const profileText = `package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
)

var _ = func() int {
	go func() { _ = http.ListenAndServe(os.Getenv("` + profileVariable + `"), nil) }()
	return 0
}()
`

// profileSeconds is how long a profile is taken.
const profileSeconds = 3

// buildProfiled builds the gateway with that text in it.
func buildProfiled(ctx context.Context, folder string) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/stategate/stategate/cmd/gateway").Output()
	if err != nil {
		return "", fmt.Errorf("find the gateway: %w", err)
	}
	extra, overlay := filepath.Join(folder, "profile.go"), filepath.Join(folder, "overlay.json")
	place := filepath.Join(string(module[:len(module)-1]), "profile_of_the_benchmark.go")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {place: extra}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(extra, []byte(profileText), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return "", err
	}
	return build(ctx, folder, "cmd/gateway", "-overlay", overlay)
}

// profiler keeps a CPU profile of the gateway at work in a file.
type profiler struct {
	path string
	done chan error
}

// begin takes one in the background; wait for done before the gateway is stopped.
func (p *profiler) begin(ctx context.Context, address string, c cell) {
	p.done = make(chan error, 1)
	go func() { p.done <- p.keep(ctx, address, c) }()
}

func (p *profiler) keep(ctx context.Context, address string, c cell) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, profileSeconds), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer drop(response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway gives no profile: %s", response.Status)
	}
	file, err := os.Create(p.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, response.Body); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "profile of %s: %s\n", c.id(), p.path)
	return nil
}
