//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/internal/testserver"
)

const (
	sqliteStore   = "sqlite"
	postgresStore = "postgres"
)

// partitionsOut is how many partitions the topics of outputs have; those of records have as many unless a run wants others.
const partitionsOut = 4

// hoardMax bounds how long a topic is filled; it is the longest that Kafka allows by default.
const hoardMax = 15 * time.Minute

// world is the servers and processes that one store is measured with.
type world struct {
	store     string
	folder    string
	kafka     *testserver.KafkaServer
	postgres  *testserver.PostgresServer // nil with another store
	db        *pgx.Conn                  // to ask postgres how much it has done; nil with another store
	client    *kgo.Client                // writes records at once, without linger: latencies count from when they were due
	hoard     *kgo.Client                // fills topics in transactions: all that was written can be read at one moment
	functions *exec.Cmd
	url       string // of the functions
	runs      int
}

// worldConfig says what is to be there. The zero value works: SQLite.
type worldConfig struct {
	store    string
	settings map[string]string // of PostgreSQL, beside its own
	proxies  int               // further ways to Kafka
}

func newWorld(ctx context.Context, cfg worldConfig) (*world, error) {
	w := &world{store: cfg.store}
	if err := w.open(ctx, cfg); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) open(ctx context.Context, cfg worldConfig) (err error) {
	if w.folder, err = os.MkdirTemp("", "stategate-bench-"); err != nil {
		return err
	}
	if w.kafka, err = testserver.StartKafka(testserver.KafkaConfig{Proxies: cfg.proxies}); err != nil {
		return err
	}
	if cfg.store == postgresStore {
		if w.postgres, err = testserver.StartPostgres(testserver.PostgresConfig{Settings: cfg.settings}); err != nil {
			return err
		}
		if w.db, err = pgx.Connect(ctx, w.postgres.URL()); err != nil {
			return err
		}
	}
	acks := []kgo.Opt{kgo.SeedBrokers(w.kafka.Addr()), kgo.RecordPartitioner(partitioner())}
	if w.client, err = kgo.NewClient(append(acks, kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1_000_000))...); err != nil {
		return err
	}
	if w.hoard, err = kgo.NewClient(append(acks, kgo.TransactionalID("bench"), kgo.TransactionTimeout(hoardMax),
		kgo.MaxBufferedRecords(50_000), kgo.MaxBufferedBytes(64<<20))...); err != nil {
		return err
	}
	return w.startFunctions()
}

// partitioner is Kafka's own for records with a key; marks of the end name their partition.
func partitioner() kgo.Partitioner {
	byKey := kgo.StickyKeyPartitioner(nil)
	return kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		of := byKey.ForTopic(topic)
		return func(r *kgo.Record, n int) int {
			if string(r.Key) == endKey {
				return int(r.Partition)
			}
			return of.Partition(r, n)
		}
	})
}

func (w *world) close() {
	if w.functions != nil {
		_ = w.functions.Process.Kill()
		_ = w.functions.Wait()
	}
	for _, c := range []*kgo.Client{w.client, w.hoard} {
		if c != nil {
			c.Close()
		}
	}
	if w.db != nil {
		_ = w.db.Close(context.Background())
	}
	if w.kafka != nil {
		_ = w.kafka.Close()
	}
	if w.postgres != nil {
		_ = w.postgres.Close()
	}
	_ = os.RemoveAll(w.folder)
}

// startFunctions starts this program again, in its other role.
func (w *world) startFunctions() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.functions = exec.Command(self)
	w.functions.Env = append(os.Environ(), roleVariable+"="+functionsRole)
	w.functions.Stderr = os.Stderr
	out, err := w.functions.StdoutPipe()
	if err != nil {
		return err
	}
	if err := spawn(w.functions); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	w.url = strings.TrimSpace(line)
	return err
}

// topic makes a topic.
func (w *world) topic(ctx context.Context, name string, partitions int) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(partitions), 1
	request.Topics = append(request.Topics, t)
	response, err := request.RequestWith(ctx, w.client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w", name, err)
		}
	}
	return nil
}

// forget deletes topics: a long run must not fill the disk.
func (w *world) forget(ctx context.Context, names ...string) {
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TopicNames = names
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		request.Topics = append(request.Topics, t)
	}
	_, _ = request.RequestWith(ctx, w.client)
}

// freeAddress is one that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// build makes a program of this repository.
func build(ctx context.Context, folder, pkg string) (string, error) {
	path := filepath.Join(folder, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/stategate/stategate/"+pkg)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return path, nil
}

// end stops a process: in order, or as a crash.
func end(cmd *exec.Cmd, sig syscall.Signal) error {
	if cmd == nil || cmd.ProcessState != nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if sig == syscall.SIGKILL {
			return nil
		}
		return err
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		return errors.Join(fmt.Errorf("%s was killed: it did not stop", filepath.Base(cmd.Path)), <-ended)
	}
}

// drop reads a body to its end, so that its connection can be used again.
func drop(body io.ReadCloser) {
	_, _ = io.Copy(io.Discard, body)
	_ = body.Close()
}
