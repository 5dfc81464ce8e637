//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// needKafka skips the test where Kafka is absent, as other tests do.
func needKafka(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("measures with real servers")
	}
	testserver.Kafka(t)
}

// The smallest run of everything: each cell is there, has its measures, and none is empty.
func TestSmallestRun(t *testing.T) {
	needKafka(t)
	path := filepath.Join(t.TempDir(), "result.json")
	var out bytes.Buffer
	err := command(t.Context(), []string{"-store", "sqlite", "-floor=false", "-gateway", builtGateway(t), "-workload", "count,timers", "-records", "2000", "-seconds", "0.25", "-json", path, "-targets"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	r, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	costs := []string{"records_per_second", "program_us", "kafka_us", "function_us", "allocs", "alloc_bytes", "store_bytes", "resident_mib", "calls_per_record", "records_per_commit"}
	for _, tt := range []struct {
		workload, mode, semantic string
		measures                 []string
	}{
		{countWorkload, single, exactlyOnce, costs},
		{countWorkload, batch, exactlyOnce, costs},
		{countWorkload, bulk, exactlyOnce, costs},
		{countWorkload, bulk, atLeastOnce, costs},
		{timerWorkload, bulk, exactlyOnce, costs},
		{slowRate, bulk, exactlyOnce, []string{"p50_ms", "p99_ms", "max_ms", "asked_per_second"}},
		{fastRate, single, exactlyOnce, []string{"p50_ms", "p99_ms", "max_ms"}},
		{fastRate, bulk, atLeastOnce, []string{"p50_ms", "p99_ms"}},
		{latencyWorkload + "80 % of the drain", bulk, exactlyOnce, []string{"p50_ms", "p99_ms", "asked_per_second"}},
		{httpWorkload, bulk, exactlyOnce, []string{"p50_ms", "bare_p50_ms", "records_per_second"}},
		{killWorkload, bulk, exactlyOnce, []string{"gap_ms"}},
		{idleWorkload, bulk, exactlyOnce, []string{"ready_ms", "resident_mib"}},
	} {
		for _, name := range tt.measures {
			c := cell{Subject: gatewaySubject, Store: sqliteStore, Workload: tt.workload, Mode: tt.mode, Semantic: tt.semantic}
			v, ok := r.find(c, name)
			// A process that did little may not have used a tick of CPU time.
			if !ok || v <= 0 && !strings.HasSuffix(name, "_us") {
				t.Errorf("%s: %s is %v (measured: %v)", c.id(), name, v, ok)
			}
		}
	}
	// Modes are what they say: with a request per call a call has one message.
	if v, _ := r.find(cell{Subject: gatewaySubject, Store: sqliteStore, Workload: countWorkload, Mode: single, Semantic: exactlyOnce}, "calls_per_record"); v < 0.99 {
		t.Errorf("%v calls per record, want 1", v)
	}
	for _, want := range []string{"records/s", "timers", "start to ready", "sqlite: HTTP call", "not measured: postgres: count in bulk", "80 % of the drain, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

// The gateway that is measured gives the profile, whichever it is.
func TestProfileIsKept(t *testing.T) {
	needKafka(t)
	path := filepath.Join(t.TempDir(), "profile")
	err := command(t.Context(), []string{"-store", "sqlite", "-gateway", builtGateway(t), "-part", "drain", "-workload", timerWorkload, "-records", "2000", "-profile", path}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(profile, []byte{0x1f, 0x8b}) { // of gzip, as profiles are
		t.Errorf("%d bytes, %v; they begin with %x", len(profile), err, profile[:min(4, len(profile))])
	}
}

// A gateway that does not work is an error that says why, not a figure.
func TestBrokenGatewayIsAnError(t *testing.T) {
	needKafka(t)
	w, err := newWorld(t.Context(), worldConfig{store: sqliteStore})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	c := cell{Subject: gatewaySubject, Store: sqliteStore, Workload: countWorkload, Mode: single, Semantic: exactlyOnce}
	r, err := w.newRun(t.Context(), programs{gateway: "/bin/false"}, c, workloads[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close(t.Context())
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err == nil {
		t.Error("a program that fails stopped in order")
	}
}
