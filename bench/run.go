//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	gatewaySubject = "gateway"
	floorSubject   = "floor"
	ownSubject     = "floor, own batches"

	exactlyOnce = "exactly-once"
	atLeastOnce = "at-least-once"
)

// run is a subject at work on a store, topics and functions of its own.
type run struct {
	w    *world
	cell cell
	load workload
	// name tells the topics and the store of this run from those of all others; keys begin with it.
	name    string
	in, out string
	// partitions of the topic of records.
	partitions int
	// batch is how many records a batch of the floor may have, where that is not left to it.
	batch int
	// kafkaOut is where the egress finds Kafka.
	kafkaOut string
	programs programs
	admin    string // of the gateway
	listen   string // the same, for events by HTTP
	program  *exec.Cmd
	profiler *profiler // nil: none is kept
}

// programs are what is measured, as files.
type programs struct {
	gateway, floor string
}

// newRun prepares one: topics, but nothing started.
func (w *world) newRun(ctx context.Context, p programs, c cell, load workload, partitions int) (*run, error) {
	w.runs++
	r := &run{w: w, cell: c, load: load.in(c.Mode), name: fmt.Sprintf("run%d", w.runs), partitions: partitions, kafkaOut: w.kafka.Addr(), programs: p}
	r.in, r.out = r.name+"-in", r.name+"-"+r.load.topic
	if err := w.topic(ctx, r.in, partitions); err != nil {
		return nil, err
	}
	return r, w.topic(ctx, r.out, partitionsOut)
}

// start starts the subject, on what the run's store holds by now.
func (r *run) start(ctx context.Context) error {
	command := r.gateway
	if r.cell.Subject != gatewaySubject {
		command = r.floor
	}
	cmd, err := command(ctx)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(r.file("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd.Stderr = log
	if err := spawn(cmd); err != nil {
		return err
	}
	r.program = cmd
	return nil
}

// logShown is how much of a subject's log an error tells.
const logShown = 2000

// explain adds to an error what the subject has said last.
func (r *run) explain(err error) error {
	if err == nil {
		return nil
	}
	text, _ := os.ReadFile(r.file("log"))
	if len(text) == 0 {
		return err
	}
	return fmt.Errorf("%w; the last that the %s said:\n%s", err, r.cell.Subject, text[max(0, len(text)-logShown):])
}

// stop ends it in order.
func (r *run) stop() error {
	if r.program == nil {
		return nil
	}
	err := end(r.program, syscall.SIGTERM)
	r.program = nil
	return err
}

// kill ends it as a crash does.
func (r *run) kill() error {
	err := end(r.program, syscall.SIGKILL)
	r.program = nil
	return err
}

// close is for every way out: what still runs is killed, and the topics are deleted.
func (r *run) close(ctx context.Context) {
	if r.program != nil {
		_ = r.kill()
	}
	r.w.forget(ctx, r.in, r.out)
	for _, file := range []string{r.file("log"), r.file("db"), r.file("db-wal"), r.file("db-shm")} {
		_ = os.Remove(file)
	}
}

// outputs opens a reader of what the run writes.
func (r *run) outputs() (*outputs, error) {
	return newOutputs(r.w.kafka.Addr(), r.out, r.cell.Semantic == atLeastOnce)
}

// prefix begins the keys of the run.
func (r *run) prefix() string { return r.name + "-" }

func (r *run) file(extension string) string { return filepath.Join(r.w.folder, r.name+"."+extension) }

// functionsURL is where the run's functions are served: the path says which topics they write to and whether they announce bulk calls.
func (r *run) functionsURL() string {
	return fmt.Sprintf("%s/%s/%s/%d", r.w.url, r.name, r.cell.Mode, r.load.state)
}

// url is where the gateway calls them.
func (r *run) url() string {
	if r.load.apart {
		return r.functionsURL() + "/{function.name}"
	}
	return r.functionsURL()
}

// warmRecords are worked off before anything is measured, so that connections are open, the states' names are known, bulk calls are
// announced, and Kafka has made what it makes at first use.
const warmRecords = 500

const warmKey = "warm"

// warm lets the subject work a little.
func (r *run) warm(ctx context.Context, o *outputs) error {
	value := r.load.payload()
	var failed error // promises run one after the other, and Flush waits for them
	for i := range warmRecords {
		record := &kgo.Record{Topic: r.in, Key: strconv.AppendInt([]byte(r.prefix()+warmKey), int64(i), 10), Value: value}
		r.w.client.Produce(ctx, record, func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) })
	}
	if err := errors.Join(r.w.client.Flush(ctx), failed); err != nil {
		return err
	}
	return o.await(ctx, warmRecords*r.load.fan, nil, nil)
}

// wants are the outputs of so many records, and of those that warmed the run.
func (r *run) wants(records int) map[string]int {
	want := r.load.wants(r.prefix(), records)
	warm := r.load
	warm.keys = warmRecords
	maps.Copy(want, warm.wants(r.prefix()+warmKey, warmRecords))
	return want
}

// only are the same, and nothing is in doubt.
func (r *run) only(records int) expected { return expected{counts: r.wants(records)} }

// fill writes the records from begin to end, which nobody can read before release.
func (r *run) fill(ctx context.Context, begin, end int) error {
	value := r.load.payload()
	if err := r.w.hoard.BeginTransaction(); err != nil {
		return err
	}
	var failed error
	for i := begin; i < end; i++ {
		r.w.hoard.Produce(ctx, &kgo.Record{Topic: r.in, Key: r.load.key(r.prefix(), i), Value: value}, func(_ *kgo.Record, err error) {
			failed = errors.Join(failed, err)
		})
	}
	return errors.Join(r.w.hoard.Flush(ctx), failed)
}

// release lets what was filled in be read.
func (r *run) release(ctx context.Context) error { return r.w.hoard.EndTransaction(ctx, kgo.TryCommit) }

// ready waits until the gateway says that it works: one that waits for another to end is ready, too, for those who ask.
func (r *run) ready(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		if r.works(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return errors.New("the gateway does not work after a minute")
		}
	}
}

func (r *run) works(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer drop(response.Body)
	var told struct{ Role string }
	return response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(&told) == nil && told.Role == "active"
}
