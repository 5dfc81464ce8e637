//go:build unix

package testserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// PostgresConfig says which server to start. The zero value works.
type PostgresConfig struct {
	// Settings of the server, as in postgresql.conf: "max_connections" and the like. Default: PostgreSQL's own.
	Settings map[string]string
}

// PostgresServer is a PostgreSQL with an empty database "postgres" and the superuser "postgres". It syncs its log to disk, as in
// production.
type PostgresServer struct {
	*server
	port int
}

// StartPostgres makes a new cluster, starts it and answers when it serves. The error is ErrAbsent when PostgreSQL is not installed.
func StartPostgres(cfg PostgresConfig) (*PostgresServer, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	// SIGQUIT ends it at once and without order, as SIGKILL does, but takes its backends and its shared memory with it.
	s, err := newServer("postgres", "PostgreSQL", "database system is ready to accept connections", syscall.SIGQUIT)
	if err != nil {
		return nil, err
	}
	p := &PostgresServer{server: s}
	data := filepath.Join(s.folder.path, "data")
	credential, err := p.user()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	run := func(program string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, program), args...)
		c.Dir = s.folder.path
		c.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		// The words in the log are waited for; a locale of the machine's would change them, and PG... would change the server.
		c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") })
		c.Env = append(c.Env, "LC_ALL=C")
		return c
	}
	initdb := run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
	if text, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, text), s.Close())
	}
	s.command = func() *exec.Cmd {
		args := []string{"-D", data, "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="}
		for _, name := range slices.Sorted(maps.Keys(cfg.Settings)) {
			args = append(args, "-c", name+"="+cfg.Settings[name])
		}
		return run("postgres", args...)
	}
	if err := s.startSomewhere(func() (err error) { p.port, err = freePort(); return err }); err != nil {
		return nil, err
	}
	return p, nil
}

// URL is where the server's database is. It stays the same through restarts.
func (p *PostgresServer) URL() string {
	return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", p.Addr())
}

// Addr is the server's host:port. It stays the same through restarts.
func (p *PostgresServer) Addr() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// user is who the server runs as, nil for the one that runs the tests. PostgreSQL refuses to run as root.
func (p *PostgresServer) user() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(p.folder.path, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// findPostgres is a folder that holds both programs. A link on PATH is followed: the other one need not be beside the link, and
// a machine may have the client's programs on PATH only.
func findPostgres() (string, error) {
	var candidates []string
	if dir := os.Getenv("STATEGATE_TEST_PGBIN"); dir != "" {
		candidates = append(candidates, dir)
	} else {
		for _, program := range []string{"postgres", "initdb"} {
			if path, err := exec.LookPath(program); err == nil {
				if real, err := filepath.EvalSymlinks(path); err == nil {
					path = real
				}
				candidates = append(candidates, filepath.Dir(path))
			}
		}
		if text, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
			candidates = append(candidates, strings.TrimSpace(string(text)))
		}
		packaged, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		slices.SortFunc(packaged, func(a, b string) int { return majorOf(b) - majorOf(a) })
		candidates = append(candidates, packaged...)
		if cache, err := cacheFolder(); err == nil {
			candidates = append(candidates, filepath.Join(cache, "postgres", "bin"))
		}
	}
	for _, dir := range candidates {
		if executable(filepath.Join(dir, "postgres")) && executable(filepath.Join(dir, "initdb")) {
			return filepath.Abs(dir)
		}
	}
	return "", fmt.Errorf("start PostgreSQL: %w: run scripts/postgres.sh", ErrAbsent)
}

func majorOf(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
