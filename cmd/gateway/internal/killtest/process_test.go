//go:build unix

package killtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is one life of a child. It dies with the test binary, however that ends.
type process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait; valid when exited is closed
}

// spawn starts cmd with its output behind what the file log already holds.
func spawn(name, log string, cmd *exec.Cmd) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for the tests
	dieWithParent(cmd.SysProcAttr)
	p := &process{name: name, log: log, cmd: cmd, exited: make(chan struct{})}
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

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) runs() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// endedByItself is in every complaint about a process that nobody has asked to end.
const endedByItself = "has ended by itself"

// last is the last line of a log: the program's own word on why it ended.
func last(log string) string {
	lines := strings.Split(strings.TrimSpace(tail(log, 4<<10)), "\n")
	return lines[len(lines)-1]
}

// kill is kill -9, and waits for the end. A process that has ended by itself before is an error: nobody asked it to.
func (p *process) kill() error {
	if !p.runs() {
		return fmt.Errorf("%s %s: %v: %s", p.name, endedByItself, p.err, last(p.log))
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s ended before it was killed: %v", p.name, p.err)
	}
	return nil
}

// stop is SIGTERM, and waits for the end, which must be a good one.
func (p *process) stop() error {
	if !p.runs() {
		return fmt.Errorf("%s %s: %v: %s", p.name, endedByItself, p.err, last(p.log))
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	limit := time.NewTimer(patience)
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

// end kills what is left, at the end of a test.
func (p *process) end() {
	if p != nil && p.runs() {
		_ = p.signal(syscall.SIGKILL)
		<-p.exited
	}
}

// tail is the end of a file.
func tail(path string, bytes int64) string {
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

// cleanEnviron is the environment without what would configure the gateway or its driver.
func cleanEnviron(add ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STATEGATE_") && !strings.HasPrefix(v, "PG") {
			env = append(env, v)
		}
	}
	return append(env, add...)
}

// freeAddr is a place to listen that nobody has now, below the range that kernels give to outgoing connections: there a client
// that tries again and again to reach a server that is down gets the server's port as its own one day.
func freeAddr() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(18000))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("found no free port")
}
