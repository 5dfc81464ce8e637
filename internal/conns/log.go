package conns

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// detailMax is how much is logged of what a server says of a connection, in bytes.
const detailMax = 4 << 10

// ErrorLog is for a server's own log: what the others did wrong is told at debug, for whoever reaches the server chooses what it says and
// how often. A panic is a mistake of ours, and that no connection is accepted is known nowhere else. What is said is cut, and an attribute:
// lines are told apart by their text. name is of the server, as in "admin".
func ErrorLog(to *slog.Logger, name string) *log.Logger {
	return log.New(serverLog{to, name}, "", 0)
}

type serverLog struct {
	to   *slog.Logger
	name string
}

func (s serverLog) Write(text []byte) (int, error) {
	level, what := slog.LevelDebug, ": trouble with a connection"
	detail := string(text[:min(len(text), detailMax)])
	switch {
	case strings.HasPrefix(detail, "http: panic serving "):
		level, what = slog.LevelError, ": a request has panicked; its connection is closed"
	case strings.HasPrefix(detail, "http: Accept error: "):
		level, what = slog.LevelWarn, ": no connection can be accepted; it is tried again"
	}
	s.to.Log(context.Background(), level, s.name+what, "detail", strings.TrimSuffix(detail, "\n"))
	return len(text), nil
}
