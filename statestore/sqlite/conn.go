package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
)

// conn is one connection with its prepared statements, which live as long as it does. It speaks to the driver without
// database/sql between: a commit is thousands of small statements on one connection, and one of 1,000 rows took a quarter longer
// through that package's pool, locks and conversions. One goroutine uses a conn at a time.
//
// Statements run without a context: the driver would start a goroutine for each. Callers look at theirs between statements.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt
	named []driver.NamedValue // of the statement that is started
}

func dial(dsn string) (*conn, error) {
	raw, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: map[string]driver.Stmt{}}, nil
}

func (c *conn) close() error {
	var all error
	for _, s := range c.stmts {
		all = errors.Join(all, s.Close())
	}
	c.stmts = nil
	return errors.Join(all, c.raw.Close())
}

func (c *conn) prepare(sql string, args []driver.Value) (driver.Stmt, error) {
	s := c.stmts[sql]
	if s == nil {
		var err error
		if s, err = c.raw.Prepare(sql); err != nil {
			return nil, fmt.Errorf("prepare %.60q: %w", sql, err)
		}
		c.stmts[sql] = s
	}
	c.named = c.named[:0]
	for i, a := range args {
		c.named = append(c.named, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s, nil
}

// exec runs a statement and answers how many rows it changed. Arguments are int64, []byte, string or nil.
func (c *conn) exec(sql string, args ...driver.Value) (changed int64, err error) {
	s, err := c.prepare(sql, args)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.named)
	clear(c.named) // large values must not stay
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query calls each for the rows of an answer until it says that it needs no more. What a row holds belongs to the caller.
func (c *conn) query(sql string, args []driver.Value, each func(r row) (more bool, err error)) (err error) {
	s, err := c.prepare(sql, args)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.named)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	r := make(row, len(rows.Columns()))
	for {
		if err := rows.Next(r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if more, err := each(r); err != nil || !more {
			return err
		}
	}
}

// one answers the only row of an answer; nil: there is none.
func (c *conn) one(sql string, args ...driver.Value) (found row, err error) {
	err = c.query(sql, args, func(r row) (bool, error) {
		found = r
		return false, nil
	})
	return found, err
}

// args are the arguments of a query.
func args(values ...driver.Value) []driver.Value { return values }

// row is the columns of a row.
type row []driver.Value

func (r row) int(i int) int64   { n, _ := r[i].(int64); return n }
func (r row) num(i int) uint64  { return uint64(r.int(i)) }
func (r row) blob(i int) []byte { b, _ := r[i].([]byte); return b }
func (r row) text(i int) string { s, _ := r[i].(string); return s }
func (r row) flag(i int) bool   { return r.int(i) != 0 }
func (r row) isNull(i int) bool { return r[i] == nil }

// begin starts a transaction that writes. It waits for other programs that do, not longer than ctx.
func (c *conn) begin(ctx context.Context) error {
	s, err := c.prepare(`BEGIN IMMEDIATE`, nil)
	if err == nil {
		_, err = s.(driver.StmtExecContext).ExecContext(ctx, c.named)
	}
	return err
}
