//go:build unix

package migrationtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// world is a broker of its own with the application's topics, the application, and a folder in which the commands run.
type world struct {
	t      *testing.T
	doc    *document
	folder string
	broker string
	admin  string // of the gateway that is asked
	store  string // of the gateway that the application moves into
	run    string // the topic of this export
	client *kgo.Client
	out    *kgo.Client // of all results
	ahead  map[string][]string
}

var partitions = map[string]int32{"adds": 3, "state-export": 3, "state-restore": 3, "state-delays": 3, "carts": 1, "wallets": 1}

func newWorld(t *testing.T, store string) *world {
	t.Helper()
	w := &world{t: t, doc: readDocument(t), folder: t.TempDir(), store: store, ahead: map[string][]string{}}
	python := filepath.Join(testserver.SDK(t, "python"), "bin", "python")
	k, err := testserver.StartKafka(testserver.KafkaConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	w.broker = k.Addr()
	w.client = w.connect(kgo.ProducerLinger(0))
	w.createTopics()
	w.out = w.connect(kgo.ConsumeTopics("carts", "wallets"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))

	app, err := filepath.Abs(filepath.Join(root, "testdata/statefun/migration"))
	if err != nil {
		t.Fatal(err)
	}
	listen, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	w.module(app, listen)
	functions := exec.Command(python, "-B", filepath.Join(app, "functions.py"))
	functions.Env = append(os.Environ(), "LISTEN="+listen)
	process, err := testgateway.Spawn("functions", filepath.Join(w.folder, "functions.log"), functions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.End)
	testgateway.Poll(t, "the functions to listen", func() (bool, string) {
		c, err := net.Dial("tcp", listen)
		if err != nil {
			return false, err.Error()
		}
		_ = c.Close() // it has answered
		return true, ""
	})
	w.tools()
	return w
}

func (w *world) connect(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(w.broker))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

// module is the application's, at other addresses.
func (w *world) module(app, functions string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(app, "module.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	moved := strings.NewReplacer("localhost:9092", w.broker, "localhost:8000", functions).Replace(string(text))
	if err := os.WriteFile(filepath.Join(w.folder, "module.yaml"), []byte(moved), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// tools puts the programs that the document's commands name into one folder.
func (w *world) tools() {
	w.t.Helper()
	bin := filepath.Join(w.folder, "bin")
	self, err := os.Executable()
	if err == nil {
		err = os.Mkdir(bin, 0o755)
	}
	if err == nil {
		err = os.Symlink(testgateway.Binary(w.t), filepath.Join(bin, "gateway"))
	}
	for name := range tools {
		if err == nil {
			err = os.WriteFile(filepath.Join(bin, name), fmt.Appendf(nil, "#!/bin/sh\n%s=%s exec %s \"$@\"\n", toolVariable, name, self), 0o755)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// fresh begins a run.
func (w *world) fresh() {
	w.t.Helper()
	_, name, _ := strings.Cut(w.step("fresh"), "Created topic ")
	name, _, ok := strings.Cut(name, ".")
	if !ok || name == w.run {
		w.t.Fatalf("the run after %q is %q", w.run, name)
	}
	w.run = name
}

// step runs the commands of a step of the document, as they stand there.
func (w *world) step(name string) (output string) {
	w.t.Helper()
	text, err := w.try(name)
	if err != nil {
		w.t.Fatalf("step %s: %v\n%s\n%s", name, err, w.doc.steps[name], text)
	}
	return text
}

// says is a step whose output has a text.
func (w *world) says(name, want string) {
	w.t.Helper()
	if out := w.step(name); !strings.Contains(out, want) {
		w.t.Errorf("%s says, want %q:\n%s", name, want, out)
	}
}

// try is a step that may fail.
func (w *world) try(name string) (output string, err error) {
	w.t.Helper()
	commands, ok := w.doc.steps[name]
	if !ok {
		w.t.Fatalf("the document has no step %s", name)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = w.folder
	cmd.Env = testgateway.CleanEnviron("BROKERS="+w.broker, "ADMIN="+w.admin, "STATEGATE_STORE="+w.store, "RUN="+w.run, "PATH="+filepath.Join(w.folder, "bin")+":"+os.Getenv("PATH"))
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// gateway is one that runs the application on a store.
func (w *world) gateway(name, store string) *testgateway.Gateway {
	w.t.Helper()
	g := testgateway.New(w.t, w.folder, name, nil, "--module", "module.yaml", "--store", store)
	g.Open()
	for i, arg := range g.Args {
		if arg == "--admin" {
			w.admin = g.Args[i+1]
		}
	}
	return g
}

// add puts something into a cart.
func (w *world) add(id, item string, quantity int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
	defer cancel()
	value := fmt.Sprintf(`{"item": %q, "quantity": %d}`, item, quantity)
	if err := w.client.ProduceSync(ctx, &kgo.Record{Topic: "adds", Key: []byte(id), Value: []byte(value)}).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// expect waits for the next result of a topic, which must be this one.
func (w *world) expect(topic, want string) {
	w.t.Helper()
	if got := w.next(topic, want); got != want {
		w.t.Errorf("%s: got %q, want %q", topic, got, want)
	}
}

// next is the next result of a topic.
func (w *world) next(topic, want string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
	defer cancel()
	for len(w.ahead[topic]) == 0 {
		w.out.PollFetches(ctx).EachRecord(func(r *kgo.Record) { w.ahead[r.Topic] = append(w.ahead[r.Topic], string(r.Value)) })
		if ctx.Err() != nil {
			w.t.Fatalf("waited for %q in %s", want, topic)
		}
	}
	got := w.ahead[topic][0]
	w.ahead[topic] = w.ahead[topic][1:]
	return got
}

func (w *world) createTopics() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
	defer cancel()
	if err := createTopics(ctx, w.client, partitions); err != nil {
		w.t.Fatal(err)
	}
}

// caughtUp waits until the group has committed the end of a topic that was written to from outside: that is what "no lag" means.
func (w *world) caughtUp(topic string, records int64) {
	w.t.Helper()
	testgateway.Poll(w.t, "the group to have read "+topic, func() (bool, string) {
		offsets, err := committed(w.t.Context(), w.client, "shop")
		sum := int64(0)
		for _, o := range offsets {
			if o.topic == topic {
				sum += o.offset
			}
		}
		return err == nil && sum == records, fmt.Sprintf("%d of %d, %v", sum, records, err)
	})
}
