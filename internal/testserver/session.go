//go:build unix

package testserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// PostgresSession is a superuser's connection to a PostgresServer. It speaks just enough of the protocol to look at a server and
// to disturb it, and needs no driver. It is for one goroutine.
type PostgresSession struct {
	conn net.Conn
	in   *bufio.Reader
}

// queryMax bounds one question.
const queryMax = 30 * time.Second

const protocolVersion = 3 << 16

// Session opens a connection.
func (p *PostgresServer) Session() (*PostgresSession, error) {
	conn, err := net.DialTimeout("tcp", p.Addr(), dialMax)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	s := &PostgresSession{conn: conn, in: bufio.NewReader(conn)}
	start := binary.BigEndian.AppendUint32(nil, protocolVersion)
	start = append(start, "user\x00postgres\x00database\x00postgres\x00application_name\x00testserver\x00\x00"...)
	if _, err = s.ask(start); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return s, nil
}

// Query runs one or more statements and answers the rows of all, as text; NULL is "".
func (s *PostgresSession) Query(sql string) ([][]string, error) {
	rows, err := s.ask(append([]byte(sql), 0), 'Q')
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", sql, err)
	}
	return rows, nil
}

// Close ends the connection.
func (s *PostgresSession) Close() error { return s.conn.Close() }

// ask sends a message and reads until the server is ready for the next.
func (s *PostgresSession) ask(body []byte, kind ...byte) (rows [][]string, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(queryMax)); err != nil {
		return nil, err
	}
	message := binary.BigEndian.AppendUint32(kind, uint32(len(body)+4))
	if _, err := s.conn.Write(append(message, body...)); err != nil {
		return nil, err
	}
	var failed error
	for {
		kind, body, err := s.read()
		if err != nil {
			return nil, errors.Join(failed, err)
		}
		switch kind {
		case 'Z':
			return rows, failed
		case 'E':
			failed = errors.New(complaint(body))
		case 'D':
			row, err := columns(body)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		case 'R':
			if len(body) < 4 || binary.BigEndian.Uint32(body) != 0 {
				return nil, errors.New("the server asks for a password")
			}
		}
	}
}

func (s *PostgresSession) read() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > 64<<20 {
		return 0, nil, fmt.Errorf("message %q of %d bytes", head[0], n)
	}
	body = make([]byte, n-4)
	_, err = io.ReadFull(s.in, body)
	return head[0], body, err
}

// complaint is the message of an error.
func complaint(body []byte) string {
	var text []string
	for field := range strings.SplitSeq(string(body), "\x00") {
		if field != "" && strings.ContainsRune("CMD", rune(field[0])) { // code, message, detail
			text = append(text, field[1:])
		}
	}
	return strings.Join(text, ": ")
}

// columns are those of one row.
func columns(body []byte) (row []string, err error) {
	short := errors.New("a row ends early")
	if len(body) < 2 {
		return nil, short
	}
	n := binary.BigEndian.Uint16(body)
	body = body[2:]
	for range n {
		if len(body) < 4 {
			return nil, short
		}
		size := int32(binary.BigEndian.Uint32(body))
		if body = body[4:]; size < 0 {
			row = append(row, "")
			continue
		}
		if int(size) > len(body) {
			return nil, short
		}
		row, body = append(row, string(body[:size])), body[size:]
	}
	return row, nil
}
