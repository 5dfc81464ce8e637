//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

// profileSeconds is how long a profile is taken.
const profileSeconds = 3

// profiler keeps a CPU profile of the gateway at work in a file: operators are given one where /metrics is.
type profiler struct {
	path string
	done chan error
}

// begin takes one in the background; wait for done before the gateway is stopped.
func (p *profiler) begin(ctx context.Context, admin string, c cell) {
	p.done = make(chan error, 1)
	go func() { p.done <- p.keep(ctx, admin, c) }()
}

func (p *profiler) keep(ctx context.Context, admin string, c cell) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, profileSeconds), nil)
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
