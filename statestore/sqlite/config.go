package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says where a store is and how ownership of it is judged. Only Path is needed.
type Config struct {
	// Path is the file. Its folder must exist and be writable: SQLite keeps PATH-wal and PATH-shm beside it, and PATH.lock
	// says which process owns it. The file is made when it is missing. It must be on a disk of this machine: SQLite's locks
	// do not work over a network.
	Path string
	// Existing refuses to make a store: the file must be one already.
	Existing bool
	// Lease is how long Owner shows a member that says nothing. Default 3 s, at least 100 ms. It decides about a takeover only
	// where files cannot be locked: elsewhere an owner keeps the store as long as its process lives.
	Lease time.Duration
	// BusyTimeMax is how long a statement waits for another program that writes to the file. Default 5 s. Too short, and a
	// backup makes commits fail, to be made again; too long, and a program that keeps the file locked is noticed late.
	BusyTimeMax time.Duration
	// Readers is how many connections read at the same time. Default 3.
	Readers int
	// Log takes what people should know: waiting, taking over, a file that cannot be locked. Default slog.Default().
	Log *slog.Logger
}

const (
	leaseDefault    = 3 * time.Second
	leaseMin        = 100 * time.Millisecond
	busyTimeDefault = 5 * time.Second
	readersDefault  = 3
)

// validate fills in defaults, looks at the place of the file and makes the path that of the file itself: two gateways that reach
// it by different links must meet at the same lock.
func (c *Config) validate() error {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Lease == 0 {
		c.Lease = leaseDefault
	}
	if c.Lease < leaseMin {
		return fmt.Errorf("lease of %v: at least %v is needed", c.Lease, leaseMin)
	}
	if c.BusyTimeMax <= 0 {
		c.BusyTimeMax = busyTimeDefault
	}
	if c.Readers <= 0 {
		c.Readers = readersDefault
	}
	if c.Path == "" {
		return errors.New("the store's path is empty; name a file")
	}
	if strings.ContainsRune(c.Path, 0) {
		return fmt.Errorf("path %q holds a NUL byte", c.Path)
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return fmt.Errorf("path %q: %w", c.Path, err)
	}
	c.Path, err = place(path)
	return err
}

// place answers where the file of a path really is. Nothing is opened: closing any descriptor of the file would end the locks
// that SQLite's other connections of this process have on it.
func place(path string) (string, error) {
	dir := filepath.Dir(path)
	real, err := filepath.EvalSymlinks(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("folder %s does not exist; make it, or name a file in another one", dir)
	case err != nil:
		return "", fmt.Errorf("folder %s: %w", dir, err)
	}
	switch info, err := os.Stat(real); {
	case err != nil:
		return "", fmt.Errorf("folder %s: %w", dir, err)
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a folder; the store's file needs one", dir)
	}
	file := filepath.Join(real, filepath.Base(path))
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if link, err := os.Lstat(file); err == nil && link.Mode()&fs.ModeSymlink != 0 { // else somebody has made the file just now
			return "", fmt.Errorf("%s is a link to a file that does not exist; remove it or make the file", path)
		}
		return file, nil
	case err != nil:
		return "", fmt.Errorf("%s: %w", path, err)
	case info.IsDir():
		return "", fmt.Errorf("%s is a folder; name a file in it", path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file; name another one", path)
	}
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := writable(file); err != nil {
		return "", fmt.Errorf("%s cannot be written: %w; change its mode or owner, or name another file", path, err)
	}
	return file, nil
}

// dsn is the file in the driver's form. What may mean something in a URL is escaped. The driver runs pragmas in alphabetical order,
// whatever the order here, so journal_mode has a key of its own, which comes behind them: it fixes the page_size of a new file.
func (c *Config) dsn(pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", c.BusyTimeMax.Milliseconds()),
		"foreign_keys(0)",
		"temp_store(MEMORY)",
	}, pragmas...)}
	q.Set("_journal_mode", "WAL")
	q.Set("_txlock", "immediate")
	return c.url(q)
}

// lookDSN is for a look at a file that may be another program's: it sets nothing that stays.
func (c *Config) lookDSN() string {
	return c.url(url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", c.BusyTimeMax.Milliseconds()), "query_only(1)"}})
}

func (c *Config) url(q url.Values) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(c.Path), RawQuery: q.Encode()}
	if !strings.HasPrefix(u.Path, "/") { // a drive letter
		u.Path = "/" + u.Path
	}
	return u.String()
}
