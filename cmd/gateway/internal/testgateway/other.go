//go:build unix

package testgateway

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Other is a server that a test needs beside the gateway: the test binary itself in another role, which its environment tells it.
type Other struct {
	t       *testing.T
	name    string
	addr    string
	log     string
	env     []string
	Process *Process // its last life
}

// NewOther makes one that is not started. env is what tells the binary its role; addr is where it must listen.
func NewOther(t *testing.T, name, log string, env func(addr string) []string) *Other {
	t.Helper()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	o := &Other{t: t, name: name, addr: addr, log: log, env: env(addr)}
	t.Cleanup(func() { o.Process.End() })
	return o
}

// URL is where it serves, in all its lives.
func (o *Other) URL() string { return "http://" + o.addr }

// Start returns when it serves.
func (o *Other) Start() {
	o.t.Helper()
	self, err := os.Executable()
	if err != nil {
		o.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = CleanEnviron(o.env...)
	if o.Process, err = Spawn(o.name, o.log, cmd); err != nil {
		o.t.Fatal(err)
	}
	Poll(o.t, o.name+" to listen", func() (bool, string) {
		if !o.Process.Runs() {
			o.t.Fatalf("%s ended:\n%s", o.name, Tail(o.log, 4<<10))
		}
		c, err := net.DialTimeout("tcp", o.addr, time.Second)
		if err != nil {
			return false, err.Error()
		}
		_ = c.Close()
		return true, ""
	})
}

// Kill is kill -9.
func (o *Other) Kill() {
	o.t.Helper()
	if err := o.Process.Kill(); err != nil {
		o.t.Fatal(err)
	}
}
