package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stategate/stategate/statestore"
)

// passing reports whether the server refused for a reason that time, another connection or another server mends.
func passing(pe *pgconn.PgError) bool {
	code := pe.Code
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", // connection
		"28", // who may log in: on a connection that replaces one that worked
		"40", // serialization, deadlock
		"53", // disk full, out of memory, too many connections
		"57", // shutting down, starting up, cancelled, time-out
		"58": // the server's own input and output
		return true
	}
	switch code {
	case "55P03", "55006", // a lock
		"25006",          // read only: this server has become a replica
		"25P02", "25P03", // a transaction that is over
		"26000", // a prepared statement that another session had
		"3D000": // the database is being restored
		return true
	}
	return code == "0A000" && strings.Contains(pe.Message, "cached plan") // the schema was migrated under the session
}

// unknown reports whether the server itself says that it does not know what became of the transaction.
func unknown(code string) bool { return code == "40003" || code == "08007" }

// refusal turns an error of something that wrote nothing into ErrUnavailable or a final error.
func refusal(action string, err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && !passing(pe) && !fatal(pe) {
		return fmt.Errorf("%s: %w", action, err)
	}
	if errors.As(err, &pe) || broken(err) {
		return fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", action, err)
}

// broken reports whether the error is one of the way to the server: no answer, no connection, no time left.
func broken(err error) bool {
	var ce *pgconn.ConnectError
	var ne net.Error
	return errors.As(err, &ce) || errors.As(err, &ne) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errClosed)
}

// verdict judges a commit that ended with err. sent says whether anything of it left, last whether the part that commits did.
//
// An ERROR as answer proves that nothing was committed: the server commits only when all statements have succeeded, and an
// error at the end itself rolls back. A session that ends (FATAL) proves nothing once the last part was sent: it may end
// behind its commit, and a pooler says FATAL when it has lost a server that may still commit. No answer proves nothing either.
func verdict(action string, err error, sent, last bool) error {
	var pe *pgconn.PgError
	answered := errors.As(err, &pe)
	switch {
	case answered && unknown(pe.Code), last && answered && fatal(pe), last && !answered && !pgconn.SafeToRetry(err):
		return fmt.Errorf("%s: %w: %w", action, statestore.ErrDoubt, err)
	case !answered && sent:
		return fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, err)
	}
	return refusal(action, err)
}

func fatal(pe *pgconn.PgError) bool { return pe.Severity == "FATAL" || pe.Severity == "PANIC" }
