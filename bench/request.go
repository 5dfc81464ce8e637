//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

const (
	asksWarm = 100 // requests that are not judged
	asksIdle = 500 // one after the other
	askers   = 64  // clients at once
)

// requests measures calls by HTTP with a reply: alone on an idle gateway, beside the same function asked without a gateway, and
// many at once. Each reply is the count of its id: 1, 2, 3 ...
func (w *world) requests(ctx context.Context, p programs, c cell, load workload, length time.Duration) (map[string]float64, error) {
	r, err := w.newRun(ctx, p, c, load, 1)
	if err != nil {
		return nil, err
	}
	defer r.close(ctx)
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers}}
	defer client.CloseIdleConnections()
	took, err := alone(func(n int) error { return r.ask(ctx, client, "idle", n) })
	if err != nil {
		return nil, err
	}
	bare, err := alone(func(int) error { return r.askBare(ctx, client) })
	if err != nil {
		return nil, err
	}
	values, err := r.together(ctx, client, length)
	if err != nil {
		return nil, err
	}
	values["p50_ms"], values["p99_ms"], values["bare_p50_ms"] = quantile(took, 0.5), quantile(took, 0.99), quantile(bare, 0.5)
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	return values, r.stop()
}

// alone times requests that follow each other.
func alone(ask func(n int) error) ([]time.Duration, error) {
	var took []time.Duration
	for n := range asksWarm + asksIdle {
		began := time.Now()
		if err := ask(n + 1); err != nil {
			return nil, err
		}
		if n >= asksWarm {
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took, nil
}

// together lets many clients ask, each its own id, and measures what a request costs.
func (r *run) together(ctx context.Context, client *http.Client, length time.Duration) (map[string]float64, error) {
	from, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	asked, failed := make([]int, askers), make([]error, askers)
	deadline := time.Now().Add(length)
	for i := range askers {
		wg.Go(func() {
			id := "asker" + strconv.Itoa(i)
			for failed[i] == nil && time.Now().Before(deadline) {
				asked[i]++
				failed[i] = r.ask(ctx, client, id, asked[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	to, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, a := range asked {
		n += a
	}
	return to.since(from, n), nil
}

// ask asks the gateway; the reply must be the nth count of the id.
func (r *run) ask(ctx context.Context, client *http.Client, id string, nth int) error {
	reply, err := post(ctx, client, "http://"+r.listen+"/v1/call/test/ask/"+id, "application/octet-stream", []byte("?"))
	if err != nil {
		return err
	}
	if string(reply) != strconv.Itoa(nth) {
		return fmt.Errorf("id %s: the reply is %.40q, want %d: lost or doubled", id, reply, nth)
	}
	return nil
}

// askBare asks the function itself, as the gateway does.
func (r *run) askBare(ctx context.Context, client *http.Client) error {
	body, err := proto.Marshal(&protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: &protocol.ToFunction_InvocationBatchRequest{
		Target: &protocol.Address{Namespace: "test", Type: "ask", Id: "bare"},
		State:  []*protocol.ToFunction_PersistedValue{{StateName: "n"}},
		Invocations: []*protocol.ToFunction_Invocation{{
			Caller:   &protocol.Address{Namespace: "io.stategate", Type: "reply", Id: "bare"},
			Argument: &protocol.TypedValue{Typename: "io.stategate.types/bytes", HasValue: true, Value: []byte("?")},
		}},
	}}})
	if err != nil {
		return err
	}
	reply, err := post(ctx, client, r.url(), protocol.ContentType, body)
	if err == nil && len(reply) == 0 {
		err = errors.New("the function's reply is empty")
	}
	return err
}

func post(ctx context.Context, client *http.Client, url, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer drop(response.Body)
	reply, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, response.Status, reply)
	}
	return reply, err
}
