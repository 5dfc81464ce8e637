//go:build unix

package endpoint

import "syscall"

const canProbe = true

// probe looks for what has come over a connection that is not being read.
type probe struct {
	raw    syscall.RawConn // nil where there is none
	look   func(fd uintptr)
	one    [1]byte
	failed error
}

func (p *probe) begin(raw syscall.RawConn) {
	p.raw = raw
	p.look = func(fd uintptr) { _, p.failed = syscall.Read(int(fd), p.one[:]) }
}

// silent reports whether nothing has come: no bytes and no end. What has come is not kept, and such a connection not used.
func (p *probe) silent() bool {
	if p.raw == nil {
		return true
	}
	err := p.raw.Control(p.look) // not p.raw.Read, which minds the deadline of a read that is over
	return err == nil && (p.failed == syscall.EAGAIN || p.failed == syscall.EWOULDBLOCK)
}
