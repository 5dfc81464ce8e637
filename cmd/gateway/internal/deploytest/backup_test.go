//go:build unix

package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// TestBackupSQLite makes a copy of a store under load by the commands of docs/OPERATIONS.md, and goes back to it.
func TestBackupSQLite(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("NOT RUN: there is no sqlite3")
	}
	folder, backup := t.TempDir(), t.TempDir()
	places := strings.NewReplacer("/var/lib/stategate", folder, "/backup", backup)
	backsUp(t, "sqlite:"+filepath.Join(folder, "stategate.db"), "SQLite", places, nil, filepath.Join(backup, "stategate.db"))
}

// TestBackupPostgres does so with PostgreSQL.
func TestBackupPostgres(t *testing.T) {
	for _, program := range []string{"pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("NOT RUN: there is no " + program)
		}
	}
	backup := t.TempDir()
	server := testserver.Postgres(t)
	backsUp(t, server.URL(), "PostgreSQL", strings.NewReplacer("/backup", backup), []string{"STORE=" + server.URL()}, filepath.Join(backup, "stategate.dump"))
}

// backsUp: the copy is a moment between the begin and the end of its making, for all keys; the gateway works on while it is made; and after a
// restore it goes on from there.
func backsUp(t *testing.T, store, kind string, places *strings.Replacer, environ []string, file string) {
	never := func() { t.Error("the gateway is to be stopped for a backup") }
	backup, restore := commandsOf(t, "Backup with "+kind), commandsOf(t, "Restore with "+kind)
	s := newShop(t, store)
	s.gateway.Open()
	end := s.load()
	s.untilAnswered(5 * keys)
	_, least, _ := s.counts()
	runCommands(t, backup, places, environ, never, never)
	most, _, _ := s.counts()
	s.untilAnswered(5 * keys)
	end()
	sent, answered, _ := s.counts()
	if sent != answered {
		t.Errorf("sent %v, answered %v", sent, answered)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Fatalf("the copy: %v", err)
	}
	stopped := false
	runCommands(t, restore, places, environ, func() { s.gateway.Stop(); stopped = true }, s.gateway.Open)
	if !stopped || s.gateway.Lives != 2 {
		t.Errorf("stopped %v, %d lives", stopped, s.gateway.Lives)
	}
	back := 0
	for key := range keys {
		n, err := s.call(key)
		if err != nil {
			t.Fatal(err)
		}
		if n--; n < least[key] || n > most[key] { // it has counted this one, too
			t.Errorf("key %d is %d after the restore, and was from %d to %d while the copy was made", key, n, least[key], most[key])
		}
		back += answered[key] - n
	}
	if back <= 0 {
		t.Error("the restored store is not older than the one before: nothing was restored")
	}
	if again, err := s.call(0); err != nil || again < 2 {
		t.Errorf("it goes on with %d, %v", again, err)
	}
	s.gateway.Stop()
}
