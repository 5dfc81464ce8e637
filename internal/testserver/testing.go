//go:build unix

package testserver

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
)

// common are the servers that the tests of this binary share.
var common struct {
	kafka    shared[*KafkaServer]
	secure   shared[*KafkaServer]
	postgres shared[*PostgresServer]
	kinesis  shared[*KinesisServer]
}

// shared is a server that the first test starts that asks for it.
type shared[S io.Closer] struct {
	once   sync.Once
	server S
	err    error
}

func (c *shared[S]) open(start func() (S, error)) (S, error) {
	c.once.Do(func() { c.server, c.err = start() })
	return c.server, c.err
}

func (c *shared[S]) close() error {
	c.once.Do(func() { c.err = errors.New("the tests are over") })
	if c.err != nil {
		return nil
	}
	return c.server.Close()
}

// left out are the tests that were skipped, by what they need.
var leftOut struct {
	mu    sync.Mutex
	tests map[string][]string
}

// Main runs the tests, ends the shared servers, and says what was left out for want of a server. TestMain hands its answer to
// os.Exit.
func Main(m *testing.M) int {
	code := m.Run()
	if err := errors.Join(common.kafka.close(), common.secure.close(), common.postgres.close(), common.kinesis.close()); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		code = max(code, 1)
	}
	leftOut.mu.Lock()
	defer leftOut.mu.Unlock()
	for _, why := range slices.Sorted(maps.Keys(leftOut.tests)) {
		say(fmt.Sprintf("NOT RUN: %d tests (%s)", len(leftOut.tests[why]), why))
	}
	return code
}

// say prints a line that must be seen. "go test ./..." keeps what a passing package prints to itself, so the line goes to the
// terminal too, when there is one.
func say(line string) {
	fmt.Println(line)
	if testing.Verbose() {
		return
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
		_, _ = fmt.Fprintln(tty, line)
		_ = tty.Close()
	}
}

// Kafka is the broker that the tests of this binary share. Nobody may stop it.
func Kafka(t testing.TB) *KafkaServer {
	t.Helper()
	k, err := common.kafka.open(func() (*KafkaServer, error) { return StartKafka(KafkaConfig{}) })
	need(t, err)
	return k
}

// SecureKafka is the broker with listeners that ask who comes which the tests of this binary share. Nobody may stop it.
func SecureKafka(t testing.TB) *KafkaServer {
	t.Helper()
	k, err := common.secure.open(func() (*KafkaServer, error) { return StartKafka(KafkaConfig{Secure: true}) })
	need(t, err)
	return k
}

// Postgres is the server that the tests of this binary share. Nobody may stop it.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	p, err := common.postgres.open(func() (*PostgresServer, error) { return StartPostgres(PostgresConfig{}) })
	need(t, err)
	return p
}

// Kinesis is the stand-in for Kinesis that the tests of this binary share. Nobody may stop it.
func Kinesis(t testing.TB) *KinesisServer {
	t.Helper()
	k, err := common.kinesis.open(StartKinesis)
	need(t, err)
	return k
}

// PrivateKafka is a broker for this test alone, ended with it.
func PrivateKafka(t testing.TB, cfg KafkaConfig) *KafkaServer {
	t.Helper()
	k, err := StartKafka(cfg)
	need(t, err)
	endWith(t, k.server)
	return k
}

// PrivatePostgres is a server for this test alone, ended with it.
func PrivatePostgres(t testing.TB, cfg PostgresConfig) *PostgresServer {
	t.Helper()
	p, err := StartPostgres(cfg)
	need(t, err)
	endWith(t, p.server)
	return p
}

func endWith(t testing.TB, s *server) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.name, s.Log())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// need skips the test when the server is absent and may be, and fails it for any other error.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
		return
	case errors.Is(err, ErrAbsent) && !required():
		leftOut.mu.Lock()
		if leftOut.tests == nil {
			leftOut.tests = map[string][]string{}
		}
		if why := err.Error(); !slices.Contains(leftOut.tests[why], t.Name()) {
			leftOut.tests[why] = append(leftOut.tests[why], t.Name())
		}
		leftOut.mu.Unlock()
		t.Skip("NOT RUN: " + err.Error())
	default:
		t.Fatal(err)
	}
}

// required: an absent server is a failure.
func required() bool {
	for _, name := range []string{"STATEGATE_TEST_REQUIRE", "CI"} {
		switch os.Getenv(name) {
		case "", "0", "false":
		default:
			return true
		}
	}
	return false
}
