//go:build unix

package testgateway

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/stategate/stategate/internal/testserver"
)

// Process is one life of a child. It dies with the test binary, however that ends.
type Process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait; valid when exited is closed
}

// Spawn starts cmd with its output behind what the file log already holds.
func Spawn(name, log string, cmd *exec.Cmd) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for the tests
	dieWithParent(cmd.SysProcAttr)
	p := &Process{name: name, log: log, cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // see dieWithParent
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Runs: it has not ended.
func (p *Process) Runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal and waits for nothing.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// EndedByItself is in every complaint about a process that nobody has asked to end.
const EndedByItself = "has ended by itself"

// Last is the Last line of a log: the program's own word on why it ended.
func Last(log string) string {
	lines := strings.Split(strings.TrimSpace(Tail(log, 4<<10)), "\n")
	return lines[len(lines)-1]
}

// Kill is Kill -9, and waits for the end. A process that has ended by itself before is an error: nobody asked it to.
func (p *Process) Kill() error {
	if !p.Runs() {
		return fmt.Errorf("%s %s: %v: %s", p.name, EndedByItself, p.err, Last(p.log))
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s ended before it was killed: %v", p.name, p.err)
	}
	return nil
}

// Stop is SIGTERM, and waits for the end, which must be a good one.
func (p *Process) Stop() error {
	if !p.Runs() {
		return fmt.Errorf("%s %s: %v: %s", p.name, EndedByItself, p.err, Last(p.log))
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case <-p.exited:
	case <-limit.C:
		return fmt.Errorf("%s does not stop", p.name)
	}
	if p.err != nil {
		return fmt.Errorf("%s was asked to stop and ended with: %w", p.name, p.err)
	}
	return nil
}

// End kills what is left, at the End of a test.
func (p *Process) End() {
	if p.Runs() {
		_ = p.Signal(syscall.SIGKILL)
		<-p.exited
	}
}

// Tail is the end of a file.
func Tail(path string, bytes int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	from := max(0, info.Size()-bytes)
	text := make([]byte, info.Size()-from)
	n, _ := f.ReadAt(text, from)
	return string(text[:n])
}

// CleanEnviron is the environment without what would configure the gateway or its driver.
func CleanEnviron(add ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STATEGATE_") && !strings.HasPrefix(v, "PG") {
			env = append(env, v)
		}
	}
	return append(env, add...)
}

// FreeAddr is a place to listen that nobody has now, and another each time.
func FreeAddr() (string, error) { return testserver.FreeAddr() }
