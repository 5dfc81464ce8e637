package dev

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	readyEvery  = 50 * time.Millisecond
	readyAskMax = 2 * time.Second
)

// asker asks a program whether it is ready. It remembers no connection and uses no proxy.
var asker = &http.Client{Timeout: readyAskMax, Transport: &http.Transport{DisableKeepAlives: true}}

// awaitReady returns when the program is ready, by the way that the module says, or ctx ends.
func (p *process) awaitReady(ctx context.Context) {
	ask := func() bool { return true }
	switch r := &p.spec.Ready; {
	case r.Line != "":
		return // who reads the output sees it
	case r.URL != "":
		ask = func() bool { return answers(ctx, r.URL) }
	case r.Port != 0:
		ask = func() bool { return takes(ctx, r.Port) }
	}
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	if ctx.Err() == nil {
		p.isReady()
	}
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := asker.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	_ = response.Body.Close()
	return response.StatusCode/100 == 2
}

func takes(ctx context.Context, port int) bool {
	dialer := net.Dialer{Timeout: readyAskMax}
	c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return c.Close() == nil
}
