//go:build unix

package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("STATEGATE_TESTSERVER_PARENT"); role != "" {
		parent(role)
		return
	}
	os.Exit(Main(m))
}

const patience = time.Minute

func client(t *testing.T, k *KafkaServer, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Addr()), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(ctx context.Context, c *kgo.Client, topic string) error {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.TimeoutMillis = 20_000
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = topic, 1, 1
	r.Topics = append(r.Topics, ct)
	answer, err := r.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.Topics[0].ErrorCode)
}

// read reads a topic from its start until it has n records.
func read(ctx context.Context, t *testing.T, k *KafkaServer, topic string, n int) []string {
	t.Helper()
	c := client(t, k, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var values []string
	for len(values) < n {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("got %d of %d records: %v", len(values), n, f.Errors())
		}
		f.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func TestKafkaKeepsWhatItAcknowledged(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	k := PrivateKafka(t, KafkaConfig{Properties: map[string]string{"message.max.bytes": "2000"}})
	addr, first := k.Addr(), k.PID()
	c := client(t, k, kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := createTopic(ctx, c, "in"); err != nil {
		t.Fatal(err)
	}
	var want []string
	for round, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for i := range 10 {
			value := fmt.Sprintf("%d/%d", round, i)
			if err := c.ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte(value)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			want = append(want, value)
		}
		if err := k.Stop(sig); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			t.Fatalf("somebody listens on %s after %v", addr, sig)
		}
		if err := k.Start(); err != nil {
			t.Fatal(err)
		}
		if k.Addr() != addr || k.PID() == first {
			t.Errorf("got address %s and process %d, want %s and another than %d", k.Addr(), k.PID(), addr, first)
		}
		if got := read(ctx, t, k, "in", len(want)); !slices.Equal(got, want) {
			t.Errorf("after %v: got %v, want %v", sig, got, want)
		}
	}
	err := c.ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte(strings.Repeat("v", 4000))}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("got %v for a record above message.max.bytes, want %v", err, kerr.MessageTooLarge)
	}
}

func TestKafkaTransactions(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	k := Kafka(t)
	if again := Kafka(t); again != k {
		t.Error("got a second shared broker")
	}
	c := client(t, k, kgo.TransactionalID(t.Name()))
	if err := createTopic(ctx, c, t.Name()); err != nil {
		t.Fatal(err)
	}
	for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: t.Name(), Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := c.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := read(ctx, t, k, t.Name(), 2), []string{"0", "2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTwoKafkasKnowNothingOfEachOther(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, b := Kafka(t), PrivateKafka(t, KafkaConfig{})
	if a.Addr() == b.Addr() {
		t.Fatalf("both are at %s", a.Addr())
	}
	for _, k := range []*KafkaServer{a, b} {
		if err := createTopic(ctx, client(t, k), "same"); err != nil {
			t.Error(err)
		}
	}
}

func TestWrongUse(t *testing.T) {
	p := PrivatePostgres(t, PostgresConfig{})
	if err := p.Start(); err == nil {
		t.Error("got no error from Start of a server that runs")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"Close": p.Close(), "Stop": p.Stop(syscall.SIGTERM)} {
		if err != nil {
			t.Errorf("got %v from %s of a closed server, want nil", err, what)
		}
	}
	if err := p.Start(); err == nil {
		t.Error("got no error from Start of a closed server")
	}
	if err := p.Signal(syscall.SIGSTOP); err == nil {
		t.Error("got no error from Signal to a closed server")
	}
	if p.PID() != 0 {
		t.Errorf("got process %d of a closed server, want 0", p.PID())
	}
	if _, err := StartPostgres(PostgresConfig{Settings: map[string]string{"no_such_setting": "1"}}); err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v for a setting that does not exist, want the server's own words", err)
	}
}

func TestAbsent(t *testing.T) {
	t.Setenv("STATEGATE_TEST_CACHE", t.TempDir())
	t.Setenv("STATEGATE_TEST_PGBIN", t.TempDir())
	if _, err := StartKafka(KafkaConfig{}); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "scripts/kafka.sh "+KafkaVersion) {
		t.Errorf("got %v, want ErrAbsent with the command", err)
	}
	if _, err := StartPostgres(PostgresConfig{}); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "scripts/postgres.sh") {
		t.Errorf("got %v, want ErrAbsent with the command", err)
	}
	for value, want := range map[string]bool{"": false, "0": false, "false": false, "1": true, "true": true} {
		t.Setenv("CI", "")
		t.Setenv("STATEGATE_TEST_REQUIRE", value)
		if got := required(); got != want {
			t.Errorf("STATEGATE_TEST_REQUIRE=%q: got required %v, want %v", value, got, want)
		}
	}
}

// parent is a process that starts a server, says which, and waits to be killed.
func parent(role string) {
	if role == "kafka" {
		k, err := StartKafka(KafkaConfig{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(k.Addr(), k.folder.path)
	} else {
		p, err := StartPostgres(PostgresConfig{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Addr(), p.folder.path)
	}
	_, _ = io.ReadAll(os.Stdin)
}

// A server does not outlive the process that started it, and the next process removes what it left.
func TestServersDieWithTheirParent(t *testing.T) {
	Kafka(t) // or skip
	Postgres(t)
	for _, role := range []string{"kafka", "postgres"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "STATEGATE_TESTSERVER_PARENT="+role)
		stdin, err := cmd.StdinPipe() // held open: the parent must not end by itself
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		var addr, folder string
		if _, err := fmt.Sscan(line, &addr, &folder); err != nil {
			t.Fatalf("%s: got %q from the parent", role, line)
		}
		if c, err := net.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		} else {
			_ = c.Close()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = stdin.Close()
		untilDead(t, addr)
		sweep()
		if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v for the folder of a dead process, want it removed", role, err)
		}
	}
	if _, err := os.Stat(Postgres(t).folder.path); err != nil {
		t.Errorf("the folder of a living process: %v", err)
	}
}

// untilDead waits until nobody listens at the address.
func untilDead(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = c.Close() // at once: Postgres does not end before everybody has left whom it took in while it ended
		if time.Now().After(deadline) {
			t.Fatalf("the server at %s outlives its parent", addr)
		}
	}
}
