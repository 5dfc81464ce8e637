package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/stategate/stategate/statestore"
)

var errClosed = errors.New("store is closed")

// code is SQLite's result without its details; 0: not an error of SQLite.
func code(err error) int {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return 0
	}
	return se.Code() & 0xff
}

// passing reports whether time, or somebody who makes room, mends the error.
func passing(err error) bool {
	switch code(err) {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL, // somebody else writes
		lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, // the disk; out of descriptors
		lib.SQLITE_NOMEM, lib.SQLITE_INTERRUPT:
		return true
	}
	return errors.Is(err, errClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// advice says what a person can do about an error.
func (s *Store) advice(err error) error {
	text := ""
	switch code(err) {
	case lib.SQLITE_FULL:
		text = "the disk is full, make room"
	case lib.SQLITE_IOERR:
		text = "the disk does not read or write, see the system's log"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		text = fmt.Sprintf("another program has kept it locked for %v", s.cfg.BusyTimeMax)
	case lib.SQLITE_READONLY:
		text = "it cannot be written, change the mode or the owner of the file and its folder"
	case lib.SQLITE_NOTADB:
		text = "it is not a SQLite database, name another file"
	case lib.SQLITE_CORRUPT:
		text = "it is damaged, restore a copy"
	case lib.SQLITE_CANTOPEN:
		text = "it cannot be opened, look at the rights on the file and its folder and at the number of open files"
	default:
		return err
	}
	return fmt.Errorf("%s: %s: %w", s.cfg.Path, text, err)
}

// refusal turns an error of something that wrote nothing into ErrUnavailable or a final error.
func (s *Store) refusal(action string, err error) error {
	if errors.Is(err, statestore.ErrUnavailable) || errors.Is(err, statestore.ErrFenced) {
		return fmt.Errorf("%s: %w", action, err)
	}
	if passing(err) {
		return fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, s.advice(err))
	}
	return fmt.Errorf("%s: %w", action, s.advice(err))
}

// doubtful reports whether a COMMIT that ended with err may still count. The last page that a commit writes is the one that says
// that it is whole: when there was no room for a page, or the lock was refused, there is no such commit. After any other
// error it may have been written and only not confirmed (a failed fsync), and a crash would bring it to light.
func doubtful(err error) bool {
	switch code(err) {
	case lib.SQLITE_FULL, lib.SQLITE_BUSY:
		return false
	}
	return true
}
