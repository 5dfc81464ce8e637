//go:build unix

package testserver

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// query asks the server by psql: a driver would be an import that only the store's package may have.
func query(t *testing.T, p *PostgresServer, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	text, err := exec.CommandContext(ctx, psql(t), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, p.URL()).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", sql, err, text)
	}
	return strings.TrimSpace(string(text))
}

func psql(t *testing.T) string {
	t.Helper()
	bin, err := findPostgres()
	if err != nil {
		t.Fatal(err)
	}
	if path := filepath.Join(bin, "psql"); executable(path) {
		return path
	}
	path, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	return path
}

func TestPostgresKeepsWhatItCommitted(t *testing.T) {
	p := PrivatePostgres(t, PostgresConfig{Settings: map[string]string{"max_connections": "17"}})
	url := p.URL()
	query(t, p, "CREATE TABLE n (n int)")
	if got := query(t, p, "SHOW max_connections"); got != "17" {
		t.Errorf("got max_connections %s, want 17", got)
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGINT} {
		query(t, p, "INSERT INTO n VALUES (1)")
		if err := p.Restart(sig); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, p, "SELECT count(*) FROM n"); got != "3" {
		t.Errorf("got %s rows, want 3", got)
	}
	if p.URL() != url {
		t.Errorf("got %s after the restarts, want %s", p.URL(), url)
	}
	if got := query(t, p, "SHOW fsync"); got != "on" {
		t.Errorf("got fsync %s, want on", got)
	}
}

// After a kill the backends of the old server must be gone when Stop answers: a commit on its way would land behind the restart.
func TestPostgresStopWaitsForTheBackends(t *testing.T) {
	p := PrivatePostgres(t, PostgresConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, psql(t), "-X", "-c", "SELECT pg_sleep(600)", p.URL())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for query(t, p, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == "0" {
		if ctx.Err() != nil {
			t.Fatal("the query did not start")
		}
	}
	began := time.Now()
	if err := p.Restart(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("the query of the killed server ended well")
	}
	if took := time.Since(began); took > stopMax {
		t.Errorf("restart took %v", took)
	}
}

func TestFrozenServerCanBeStopped(t *testing.T) {
	p := PrivatePostgres(t, PostgresConfig{})
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Restart(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

func TestPostgresIsFoundByBothPrograms(t *testing.T) {
	full, client := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{full + "/postgres": 0o755, full + "/initdb": 0o755, client + "/initdb": 0o755} {
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	links := t.TempDir()
	if err := os.Symlink(full+"/postgres", links+"/postgres"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STATEGATE_TEST_CACHE", t.TempDir())
	t.Setenv("STATEGATE_TEST_PGBIN", "")
	for path, want := range map[string]string{full: full, client + ":" + full: full, links: full} {
		t.Setenv("PATH", path)
		if got, err := findPostgres(); err != nil || got != want {
			t.Errorf("PATH=%s: got %s, %v, want %s", path, got, err, want)
		}
	}
	if majorOf("/usr/lib/postgresql/9.6/bin") > majorOf("/usr/lib/postgresql/15/bin") {
		t.Error("9.6 counts as newer than 15")
	}
}
