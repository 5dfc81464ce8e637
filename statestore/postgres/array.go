package postgres

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
)

// byteas is a bytea[] on its way, in the form that the wire wants: each element is written where it is sent from. An array of slices
// costs several allocations and two copies of each element.
type byteas struct {
	wire []byte
	n    int
}

// The binary format of an array of one dimension: dimensions, whether there are NULLs, type of the elements, how many, number of the
// first; then each element behind its length.
const (
	arrayHead  = 20
	arrayCount = 12
)

func newByteas(room int) *byteas {
	b := append(make([]byte, 0, arrayHead+room), 0, 0, 0, 1, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, pgtype.ByteaOID)
	return &byteas{wire: append(b, 0, 0, 0, 0, 0, 0, 0, 1)}
}

// add writes one element: what f appends.
func (a *byteas) add(f func(b []byte) []byte) {
	at := len(a.wire)
	a.wire = f(append(a.wire, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(a.wire[at:], uint32(len(a.wire)-at-4))
	a.n++
}

// done is the array with the number of its elements.
func (a *byteas) done() *byteas {
	binary.BigEndian.PutUint32(a.wire[arrayCount:], uint32(a.n))
	return a
}

// elements takes it apart.
func (a *byteas) elements() [][]byte {
	all := make([][]byte, 0, a.n)
	for rest := a.wire[arrayHead:]; len(rest) > 0; {
		end := 4 + binary.BigEndian.Uint32(rest)
		all = append(all, rest[4:end])
		rest = rest[end:]
	}
	return all
}

// byteasCodec teaches a connection what byteas are; all else is as it was.
type byteasCodec struct{ pgtype.Codec }

func (c byteasCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ours := value.(*byteas); !ours {
		return c.Codec.PlanEncode(m, oid, format, value)
	}
	if format == pgtype.BinaryFormatCode {
		return byteasPlan{}
	}
	return byteasText{m, oid}
}

type byteasPlan struct{}

func (byteasPlan) Encode(value any, buf []byte) ([]byte, error) {
	return append(buf, value.(*byteas).wire...), nil
}

// byteasText is for sessions that are told to send everything as text, as some poolers want it (default_query_exec_mode in the URL).
type byteasText struct {
	m   *pgtype.Map
	oid uint32
}

func (p byteasText) Encode(value any, buf []byte) ([]byte, error) {
	return p.m.Encode(p.oid, pgtype.TextFormatCode, value.(*byteas).elements(), buf)
}

// teachByteas makes a connection take byteas as arguments.
func teachByteas(m *pgtype.Map) {
	known, _ := m.TypeForOID(pgtype.ByteaArrayOID) // each map begins with it
	m.RegisterType(&pgtype.Type{Name: known.Name, OID: known.OID, Codec: byteasCodec{known.Codec}})
	m.RegisterDefaultPgType((*byteas)(nil), known.Name)
}
