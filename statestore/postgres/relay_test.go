package postgres

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// way is a road to the server on which a test stands. It is cut where one of the functions answers false.
type way struct {
	ask    func(b []byte) bool               // sees what a client sends, as it comes; nil: lets it through
	answer func(kind byte, body []byte) bool // sees each message of the server, and may change it; nil: lets it through
}

// relay answers the URL to use instead of the server's.
func relay(t *testing.T, srv *testserver.PostgresServer, w way) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { _ = l.Close() })
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(client, srv.Addr()) })
		}
	})
	return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", l.Addr())
}

func (w way) carry(client net.Conn, server string) {
	defer client.Close()
	up, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { w.asks(client, up); _ = client.Close(); _ = up.Close() }()
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(up, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(up, body); err != nil {
			return
		}
		if w.answer != nil && !w.answer(head[0], body) {
			return
		}
		if _, err := client.Write(append(head[:5:5], body...)); err != nil {
			return
		}
	}
}

func (w way) asks(client, up net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if n > 0 && w.ask != nil && !w.ask(b[:n]) {
			return
		}
		if _, e := up.Write(b[:n]); err != nil || e != nil {
			return
		}
	}
}
