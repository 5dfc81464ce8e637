package postgres

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// rawRows reads the columns of rows where they have arrived. To scan a row into variables costs several allocations for each of its
// columns, which is more than all else that a load does.
type rawRows struct {
	fields []pgconn.FieldDescription
	types  *pgtype.Map
	row    [][]byte
	err    error // the first of this row
}

// bytes is the bytea in a column, nil for NULL. It is valid until the next row.
func (r *rawRows) bytes(column int) []byte {
	raw := r.row[column]
	if raw == nil || r.fields[column].Format == pgtype.BinaryFormatCode {
		return raw
	}
	var b []byte
	r.scan(column, &b)
	return b
}

// number is the bigint in a column, 0 for NULL.
func (r *rawRows) number(column int) int64 {
	raw := r.row[column]
	switch {
	case raw == nil:
		return 0
	case r.fields[column].Format == pgtype.BinaryFormatCode && len(raw) == 8:
		return int64(binary.BigEndian.Uint64(raw))
	}
	var n int64
	r.scan(column, &n)
	return n
}

// scan is for sessions that are told to answer everything as text, as some poolers want it (default_query_exec_mode in the URL).
func (r *rawRows) scan(column int, to any) {
	f := &r.fields[column]
	if err := r.types.Scan(f.DataTypeOID, f.Format, r.row[column], to); err != nil && r.err == nil {
		r.err = err
	}
}
