package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

// Each refusal names the file or the folder, and what to do.
func TestBadPlacesAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	sqlDo(t, foreign, `CREATE TABLE customer (name TEXT)`)
	migrated := filepath.Join(dir, "migrated.db")
	sqlDo(t, migrated, `CREATE TABLE goose_db_version (version_id INTEGER, is_applied INTEGER)`, `INSERT INTO goose_db_version VALUES (1, 1)`,
		`CREATE TABLE a (a)`, `CREATE TABLE b (b)`)
	broken := fresh(t)
	if err := open(t, Config{Path: broken}).Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(broken)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"path is empty", "name a file"}},
		{Config{Path: filepath.Join(dir, "a\x00b")}, []string{"NUL"}},
		{Config{Path: filepath.Join(dir, "no", "such", "x.db")}, []string{filepath.Join(dir, "no", "such"), "does not exist", "make it"}},
		{Config{Path: filepath.Join(file("plain", "x"), "x.db")}, []string{filepath.Join(dir, "plain"), "not a folder"}},
		{Config{Path: dir}, []string{dir, "is a folder", "name a file in it"}},
		{Config{Path: link}, []string{link, "link to a file that does not exist"}},
		{Config{Path: os.DevNull}, []string{os.DevNull, "not a regular file"}},
		{Config{Path: file("text.db", strings.Repeat("not a database\n", 1000))}, []string{filepath.Join(dir, "text.db"), "not a SQLite database", "name another file"}},
		{Config{Path: foreign}, []string{foreign, "another program", "name another file"}},
		{Config{Path: migrated}, []string{migrated, "another program"}},
		{Config{Path: file("short.db", string(content[:len(content)/2-100]))}, []string{filepath.Join(dir, "short.db"), "damaged", "restore a copy"}},
		{Config{Path: filepath.Join(dir, "absent.db"), Existing: true}, []string{filepath.Join(dir, "absent.db"), "no store in it"}},
		{Config{Path: file("empty.db", ""), Existing: true}, []string{filepath.Join(dir, "empty.db"), "no store in it"}},
		{Config{Path: filepath.Join(dir, "x.db"), Lease: time.Millisecond}, []string{"lease of 1ms", "100ms"}},
	} {
		test.cfg.Log = quiet()
		start := time.Now()
		s, err := Open(t.Context(), test.cfg)
		if err == nil {
			_ = s.Close()
			t.Errorf("%q: opened", test.cfg.Path)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", test.cfg.Path, err, want)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%q: refused after %v", test.cfg.Path, took)
		}
		if errors.Is(err, statestore.ErrNewer) {
			t.Errorf("%q: %v", test.cfg.Path, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "text.db")); err != nil || len(got) != 15000 {
		t.Errorf("what is not a database was changed: %d bytes, %v", len(got), err)
	}
}

// Another program's file is as it was before it was refused, and nothing lies beside it: a store makes its journal a WAL, which
// stays, and not every program can read that.
func TestForeignFileIsLeftAlone(t *testing.T) {
	for name, sql := range map[string]string{
		"tables":  `CREATE TABLE customer (name TEXT)`,
		"mark":    `PRAGMA application_id = 7`,
		"goose's": `CREATE TABLE goose_db_version (version_id INTEGER, is_applied INTEGER); CREATE TABLE customer (name TEXT)`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "foreign.db")
			c, err := dial("file:" + path) // of a program that knows nothing of a store
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range strings.Split(sql, "; ") {
				if _, err := c.exec(s); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.close(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil || len(before) == 0 {
				t.Fatalf("%d bytes, %v", len(before), err)
			}
			s, err := Open(t.Context(), Config{Path: path, Log: quiet()})
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "another program") {
				t.Errorf("got %v, want a refusal", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed: %d bytes, were %d, %v", len(after), len(before), err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) != 1 {
				t.Errorf("files %q, %v; want the one that was there", files, err)
			}
		})
	}
}

// What means something in a URL, in SQL or in a shell means nothing in a path.
func TestOddPathsWork(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "a?mode=ro.db", "a#b.db", "a%41b.db", "100%", "ä ö", "a;b.db", "a'b.db", `a"b`, "a&cache=shared", `a\b`, ":memory:", "file:x", "a\nb", "-x"} {
		folder := filepath.Join(dir, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		s := open(t, Config{Path: path})
		c := acquire(t, s, newMember())
		if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 7}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != name && e.Name() != name+".lock" {
				t.Errorf("%q: also made %q", name, e.Name())
			}
		}
		if got := acquire(t, open(t, Config{Path: path}), newMember()); got.NextNumber != 7 {
			t.Errorf("%q: opened again: next number %d, want 7", name, got.NextNumber)
		}
	}
}

// A path that is relative, or that leads over links, is the same store, and the same lock.
func TestPathsOfOneFile(t *testing.T) {
	path := fresh(t)
	a := open(t, Config{Path: path})
	c := acquire(t, a, newMember())
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "file"), filepath.Join(dir, "folder")
	if err := errors.Join(os.Symlink(path, file), os.Symlink(filepath.Dir(path), folder)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(path))
	for _, other := range []string{file, filepath.Join(folder, filepath.Base(path)), filepath.Base(path)} {
		s := open(t, Config{Path: other})
		if s.Identity() != a.Identity() {
			t.Errorf("%s: another store", other)
		}
		standby(t, s, newMember()).none(t, 150*time.Millisecond)
	}
	if err := a.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Error(err)
	}
}

func TestNewerStoreIsRefused(t *testing.T) {
	cfg := Config{Path: fresh(t), Log: quiet()}
	waiting := open(t, cfg)
	makeNewer(t, cfg)
	_, err := Open(t.Context(), cfg)
	if !errors.Is(err, statestore.ErrNewer) || !strings.Contains(err.Error(), cfg.Path) || !strings.Contains(err.Error(), "version 2, this program knows up to 1") {
		t.Errorf("got %v, want ErrNewer with the file and both versions", err)
	}
	if _, err := waiting.Acquire(t.Context(), newMember(), nil); !errors.Is(err, statestore.ErrNewer) {
		t.Errorf("claim of a store that was migrated meanwhile: %v, want ErrNewer", err)
	}
}

// Many make the file at the same time, and all find the same one.
func TestManyOpenAtOnce(t *testing.T) {
	cfg := Config{Path: fresh(t), Log: quiet()}
	const handles = 6
	ids := make(chan string)
	for range handles {
		go func() {
			s, err := Open(t.Context(), cfg)
			if err != nil {
				ids <- err.Error()
				return
			}
			id := s.Identity()
			if err := s.Close(); err != nil {
				id = err.Error()
			}
			ids <- id
		}()
	}
	first := <-ids
	for range handles - 1 {
		if id := <-ids; id != first || len(id) != 36 {
			t.Errorf("got %q and %q", first, id)
		}
	}
}

// The settings that durability and room depend on are those of the file and of the connection that writes.
func TestSettings(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	acquire(t, s, newMember())
	<-s.writer.turn
	defer func() { s.writer.turn <- struct{}{} }()
	for pragma, want := range map[string]any{
		"journal_mode": "wal", "synchronous": int64(2), "page_size": int64(pageBytes), "foreign_keys": int64(0),
		"busy_timeout": int64(5000), "application_id": int64(applicationID), "wal_autocheckpoint": int64(1000),
	} {
		if r, err := s.writer.conn.one(`PRAGMA ` + pragma); err != nil || r[0] != want {
			t.Errorf("%s is %v, %v; want %v", pragma, r, err, want)
		}
	}
}
