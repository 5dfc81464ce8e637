//go:build !unix

package endpoint

import "syscall"

// canProbe: what comes over a connection that nobody reads cannot be seen here, so connections are left to net/http, which reads them always.
const canProbe = false

// probe is that of no connection.
type probe struct{}

func (*probe) begin(syscall.RawConn) {}

func (*probe) silent() bool { return true }
