//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/internal/testserver"
)

// roleVariable makes this binary the program itself, or the server of functions.
const roleVariable = "STATEGATE_TEST_FLOOR_ROLE"

const partitions = 4

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "floor":
		main()
	case "functions":
		serveFunctions()
	default:
		os.Exit(testserver.Main(m))
	}
}

func serveFunctions() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	fmt.Fprintln(os.Stderr, http.Serve(l, &testfunction.Handler{Bulk: 1 << 20}))
}

var names atomic.Int64

// world is one application: its topics, its schema, and who reads its outputs.
type world struct {
	t        testing.TB
	kafka    *testserver.KafkaServer
	postgres *testserver.PostgresServer
	client   *kgo.Client // produces
	name     string
	batches  string
	function string
	sent     int
}

func newWorld(t testing.TB, batches string) *world {
	w := &world{t: t, kafka: testserver.Kafka(t), postgres: testserver.Postgres(t), name: fmt.Sprintf("floor%d", names.Add(1)), batches: batches}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w.client = client
	request := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range []string{w.name + "-in", "counts"} {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
		request.Topics = append(request.Topics, topic)
	}
	if _, err := request.RequestWith(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	functions, line := w.child("functions")
	_ = functions
	w.function = line
	return w
}

// child starts this binary in another role and answers the first line that it writes.
func (w *world) child(role string, args ...string) (*exec.Cmd, string) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	c := exec.Command(self, args...)
	// sarama has a race of its own in a producer that is fenced: it must not become the child's exit code.
	c.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=exitcode=0")
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	patience := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
	defer patience.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		w.t.Fatalf("%s: %v", role, err)
	}
	return c, strings.TrimSpace(line)
}

func (w *world) start(args ...string) *exec.Cmd {
	c, _ := w.child("floor", append([]string{"-kafka", w.kafka.Addr(), "-postgres", w.postgres.URL(), "-function", w.function,
		"-in", w.name + "-in", "-name", w.name, "-batches", w.batches}, args...)...)
	return c
}

// produce writes n records of keys in turn, beside whatever the test does until it asks for the end.
func (w *world) produce(prefix string, n, keys int) (end func()) {
	value := make([]byte, 100)
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: w.name + "-in", Key: strconv.AppendInt([]byte(w.name+prefix), int64(i%keys), 10), Value: value})
	}
	w.sent += n
	written := make(chan error, 1)
	go func() { written <- w.client.ProduceSync(w.t.Context(), records...).FirstErr() }()
	return func() {
		w.t.Helper()
		if err := <-written; err != nil {
			w.t.Fatal(err)
		}
	}
}

// ends waits for the end of one whose work was taken over. What it had under way is refused; if that was nothing, it finds out with new work.
func (w *world) ends(zombie *exec.Cmd) {
	w.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- zombie.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-time.After(2 * time.Second):
		w.produce("-", 3_000, 3_000)()
		select {
		case err = <-ended:
		case <-time.After(time.Minute):
			w.t.Fatal("whose work was taken over goes on")
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		w.t.Fatalf("whose work was taken over ended with %v", err)
	}
}

// outputs reads and judges.
type outputs struct {
	*world
	client  *kgo.Client
	next    map[string]int
	seen    int
	touched map[int32]bool // partitions, since the last look
}

func (w *world) outputs() *outputs {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return &outputs{world: w, client: client, next: map[string]int{}, touched: map[int32]bool{}}
}

// await reads until n outputs have come. Those of a key are 1, 2, 3 ..., each once.
func (o *outputs) await(n int) {
	o.t.Helper()
	for o.seen < n {
		ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute) // from the output before
		fetches := o.client.PollFetches(ctx)
		cancel()
		if fetches.Empty() {
			o.t.Fatalf("%d of %d outputs came, and no more: %v", o.seen, n, fetches.Err())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			key := string(r.Key)
			if !strings.HasPrefix(key, o.name+"-") {
				return
			}
			if o.next[key]++; string(r.Value) != strconv.Itoa(o.next[key]) {
				o.t.Fatalf("key %s: got %s, want %d: lost, doubled or out of order", key, r.Value, o.next[key])
			}
			o.touched[r.Partition] = true
			o.seen++
		})
	}
}

// finish makes sure that nothing comes twice at the very end, either: in each partition an output of a later record must follow next.
func (o *outputs) finish() {
	o.t.Helper()
	o.await(o.sent)
	clear(o.touched)
	o.produce("-last-", 60, 60)()
	o.await(o.sent)
	if len(o.touched) != partitions {
		o.t.Fatalf("the last outputs are in %d partitions only", len(o.touched))
	}
	if o.seen != o.sent {
		o.t.Errorf("%d outputs of %d records", o.seen, o.sent)
	}
}

var modes = []string{"sarama", "own"}

// TestExactlyOnce kills the program at random moments, and freezes it until a successor is at work: each output comes once and in order.
func TestExactlyOnce(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t, mode)
			const rounds, each, keys = 20, 8_000, 3_000
			o := w.outputs()
			args := []string{"-batch", "700", "-cache", "5600", "-pause", "5ms"}
			p := w.start(args...)
			for round := range rounds {
				written := w.produce("-", each, keys)
				o.await(o.seen + 1 + random.IntN(each))
				time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond) // not for any event: for a moment that nobody chose
				if round%5 < 3 {
					_ = p.Process.Kill()
					_ = p.Wait()
					p = w.start(args...)
					written()
					continue
				}
				zombie := p
				if err := zombie.Process.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				p = w.start(args...)
				written()
				o.await(o.sent)
				if err := zombie.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				w.ends(zombie)
				// If the successor has done nothing since, only what the zombie has left in the store tells the next one.
				_ = p.Process.Kill()
				_ = p.Wait()
				p = w.start(args...)
			}
			o.finish()
			if err := p.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err != nil {
				t.Errorf("stopped: %v", err)
			}
		})
	}
}
