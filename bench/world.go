//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/internal/testserver"
)

// roleVariable makes the program another one: its child that serves functions.
const roleVariable = "STATEGATE_TEST_BENCH_ROLE"

// world is the servers and processes that one store is measured with.
type world struct {
	store     string
	folder    string
	profile   string
	kafka     *testserver.KafkaServer
	postgres  *testserver.PostgresServer // nil with another store
	client    *kgo.Client
	functions *exec.Cmd
	url       string // of the functions
	gateway   *exec.Cmd
	admin     string
	runs      int
}

const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: %[1]s
  consumerGroupId: bench
  startupPosition: {type: earliest}
  topics: [{topic: %[3]s, valueType: test/event, targets: [test/count]}]
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "%[2]s/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: %[1]s
  deliverySemantic: {type: exactly-once, transactionTimeout: 30s}
`

func newWorld(ctx context.Context, store, profile string) (w *world, err error) {
	w = &world{store: store, profile: profile}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.folder, err = os.MkdirTemp("", "stategate-bench-"); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(w.folder, "gateway"), "github.com/stategate/stategate/cmd/gateway")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build the gateway: %w", err)
	}
	if w.kafka, err = testserver.StartKafka(testserver.KafkaConfig{}); err != nil {
		return nil, err
	}
	if store == "postgres" {
		if w.postgres, err = testserver.StartPostgres(testserver.PostgresConfig{}); err != nil {
			return nil, err
		}
	}
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr())); err != nil {
		return nil, err
	}
	return w, w.startFunctions()
}

func (w *world) close() {
	w.stopGateway()
	if w.functions != nil {
		_ = w.functions.Process.Kill()
		_ = w.functions.Wait()
	}
	if w.client != nil {
		w.client.Close()
	}
	if w.kafka != nil {
		_ = w.kafka.Close()
	}
	if w.postgres != nil {
		_ = w.postgres.Close()
	}
	_ = os.RemoveAll(w.folder)
}

// serveFunctions is the child.
func serveFunctions() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	fmt.Fprintln(os.Stderr, http.Serve(l, &testfunction.Handler{}))
}

func (w *world) startFunctions() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.functions = exec.Command(self)
	w.functions.Env = append(os.Environ(), roleVariable+"=functions")
	w.functions.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := w.functions.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.functions.Start(); err != nil {
		return fmt.Errorf("start the functions: %w", err)
	}
	line := make([]byte, 100)
	n, err := out.Read(line)
	w.url = strings.TrimSpace(string(line[:n]))
	return err
}

// topics makes the topics of a run: one to read, one to write.
func (w *world) topics(ctx context.Context, names ...string) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, 4, 1
		request.Topics = append(request.Topics, t)
	}
	_, err := request.RequestWith(ctx, w.client)
	return err
}

// startGateway starts it on a store of this run's own and answers when it is ready.
func (w *world) startGateway(ctx context.Context, topic string) error {
	w.runs++
	file := filepath.Join(w.folder, "module.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, moduleText, w.kafka.Addr(), w.url, topic), 0o600); err != nil {
		return err
	}
	store := "sqlite:" + filepath.Join(w.folder, fmt.Sprintf("run%d.db", w.runs))
	if w.postgres != nil {
		store = fmt.Sprintf("%s&schema=run%d", w.postgres.URL(), w.runs)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.admin = l.Addr().String()
	_ = l.Close()
	w.gateway = exec.CommandContext(ctx, filepath.Join(w.folder, "gateway"), "run", "--module", file, "--store", store, "--admin", w.admin, "--log-level", "warn")
	w.gateway.Stderr = os.Stderr
	w.gateway.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.gateway.Start(); err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); ; {
		response, err := http.Get("http://" + w.admin + "/readyz")
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-limit:
			return errors.New("the gateway is not ready after 30 s")
		}
	}
}

func (w *world) stopGateway() {
	if w.gateway == nil {
		return
	}
	_ = w.gateway.Process.Signal(syscall.SIGTERM)
	_ = w.gateway.Wait()
	w.gateway = nil
}

// cpu is what each process has used so far.
func (w *world) cpu() map[string]time.Duration {
	used := map[string]time.Duration{"gateway": cpuOf(w.gateway.Process.Pid), "kafka": cpuOf(w.kafka.PID()), "function": cpuOf(w.functions.Process.Pid)}
	if w.postgres != nil {
		used["store"] = cpuOfFamily(w.postgres.PID())
	}
	return used
}

// cpuOf reads the CPU time of a process from /proc (utime and stime, in ticks of 10 ms).
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	return ticks(fields[11]) + ticks(fields[12])
}

// cpuOfFamily adds the process's children: those that live, and those that it has waited for.
func cpuOfFamily(pid int) time.Duration {
	sum := cpuOf(pid)
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		sum += ticks(fields[13]) + ticks(fields[14])
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range bytes.Fields(children) {
		var n int
		if _, err := fmt.Sscan(string(child), &n); err == nil {
			sum += cpuOf(n)
		}
	}
	return sum
}

func ticks(field []byte) time.Duration {
	var n int64
	_, _ = fmt.Sscan(string(field), &n)
	return time.Duration(n) * 10 * time.Millisecond
}

// memory is the highest resident memory of the gateway, in MiB.
func (w *world) memory() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.gateway.Process.Pid))
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}
