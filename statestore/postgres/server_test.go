package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/google/uuid"
	"github.com/stategate/stategate/statestore"
)

// server is a PostgreSQL of the tests' own, that they may kill.
type server struct {
	bin, dir string
	port     int
	cred     *syscall.Credential
	cmd      *exec.Cmd
	exited   chan struct{}
}

var shared struct {
	once sync.Once
	srv  *server
	err  error
}

func TestMain(m *testing.M) {
	if role := os.Getenv("STATEGATE_POSTGRES_TEST_CHILD"); role != "" {
		child(role)
		return
	}
	code := m.Run()
	if shared.srv != nil {
		shared.srv.kill(syscall.SIGQUIT)
		_ = os.RemoveAll(shared.srv.dir)
	}
	os.Exit(code)
}

// common is the server that tests share; each has a schema of its own there.
func common(t testing.TB) *server {
	t.Helper()
	shared.once.Do(func() { shared.srv, shared.err = newServer() })
	if shared.err != nil {
		absent(t, shared.err)
	}
	return shared.srv
}

// private is a server for one test.
func private(t testing.TB) *server {
	t.Helper()
	s, err := newServer()
	if err != nil {
		absent(t, err)
	}
	t.Cleanup(func() {
		s.kill(syscall.SIGQUIT)
		_ = os.RemoveAll(s.dir)
	})
	return s
}

var errAbsent = errors.New("PostgreSQL is not installed (apt-get install postgresql)")

func absent(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errAbsent) && os.Getenv("STATEGATE_TEST_REQUIRE") == "" && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	t.Fatal(err)
}

func newServer() (*server, error) {
	bin := ""
	if p, err := exec.LookPath("postgres"); err == nil {
		bin = filepath.Dir(p)
	} else if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres"); len(found) > 0 {
		bin = filepath.Dir(found[len(found)-1])
	} else {
		return nil, errAbsent
	}
	dir, err := os.MkdirTemp("", "stategate-postgres-")
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, dir: dir}
	if os.Getuid() == 0 { // the server refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	initdb := s.command("initdb", "-D", dir+"/data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
	if text, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	return s, s.start()
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	return c
}

func (s *server) start() error {
	log, err := os.OpenFile(s.dir+"/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = s.command("postgres", "-D", s.dir+"/data", "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(c *exec.Cmd, done chan struct{}) { _ = c.Wait(); close(done) }(s.cmd, s.exited)
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.url())
		if err == nil {
			_ = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(s.dir + "/log")
	return fmt.Errorf("server did not start: %s", text)
}

// kill ends the server: SIGKILL as a crash, SIGQUIT at once, SIGINT in order.
func (s *server) kill(sig syscall.Signal) {
	_ = s.cmd.Process.Signal(sig)
	<-s.exited
}

func (s *server) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

func (s *server) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// quiet is a log that keeps silent unless the tests are verbose.
func quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// fresh is a schema that no test has used.
func fresh() string { return "t" + uuid.New().String()[:8] }

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet()
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newMember() statestore.Member {
	return statestore.Member{ID: uuid.NewString(), Host: "host", PID: os.Getpid(), Address: "127.0.0.1:8081", Started: time.Now().UTC().Truncate(time.Millisecond)}
}

func acquire(t testing.TB, s *Store, m statestore.Member, egresses ...string) *statestore.Claim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := s.Acquire(ctx, m, egresses)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
