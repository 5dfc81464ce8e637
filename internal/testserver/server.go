//go:build unix

package testserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrAbsent is in the error of a start when the server is not installed: skip what needs it, or install it. The text says how.
var ErrAbsent = errors.New("not installed")

// errPort: somebody else listens on the server's port.
var errPort = errors.New("address already in use")

// Bounds of waiting. They are far above what is usual (seconds), for a busy machine is no fault of the server.
const (
	startMax  = 2 * time.Minute
	stopMax   = 30 * time.Second
	closeMax  = 5 * time.Second  // until a server that nobody needs any more is killed
	regainMax = 10 * time.Second // how long a restart tries to get its port again
)

// server is a program that can be started, stopped, killed and started again on the same data.
type server struct {
	name    string
	ready   string // in the line that says that it serves
	orphan  syscall.Signal
	folder  *folder
	journal *journal
	command func() *exec.Cmd // a fresh one for each start
	with    []io.Closer      // what ends with it

	mu      sync.Mutex
	process *process // the last one
	closed  bool
}

// process is one life of a server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts the server again on its data and its port after a Stop, and answers when it serves.
func (s *server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for deadline := time.Now().Add(regainMax); ; {
		err := s.start()
		if !errors.Is(err, errPort) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the other one's end cannot be waited for
	}
}

func (s *server) start() error {
	if s.closed {
		return fmt.Errorf("start %s: it is closed", s.name)
	}
	if s.process.runs() {
		return fmt.Errorf("start %s: it runs", s.name)
	}
	mark, ready := s.journal.size(), s.journal.await(s.ready)
	p := &process{cmd: s.command(), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = s.journal, s.journal
	// The end of the output is the end of the whole family (Postgres after SIGKILL: its backends end a moment later, and until
	// then it cannot start again).
	p.cmd.WaitDelay = stopMax
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Setpgid = true // an interrupt from the terminal is for the tests, which then end it
	dieWithParent(p.cmd.SysProcAttr, s.orphan)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // see dieWithParent
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.process = p
	limit := time.NewTimer(startMax)
	defer limit.Stop()
	select {
	case <-ready:
		return nil
	case <-limit.C:
		_ = p.end(syscall.SIGKILL, closeMax)
		return fmt.Errorf("start %s: not ready after %v; its log:\n%s", s.name, startMax, s.journal.since(mark))
	case <-p.exited:
	}
	text := s.journal.since(mark)
	if strings.Contains(text, "Address already in use") {
		return fmt.Errorf("start %s: %w; its log:\n%s", s.name, errPort, text)
	}
	return fmt.Errorf("start %s: it ended; its log:\n%s", s.name, text)
}

// Stop ends the server with a signal and answers when it has ended: SIGTERM is an orderly stop, SIGKILL a crash. What is asked of
// a server that ended before is done.
func (s *server) Stop(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.end(sig, stopMax); err != nil {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	return nil
}

// Restart is Stop and Start.
func (s *server) Restart(sig syscall.Signal) error {
	if err := s.Stop(sig); err != nil {
		return err
	}
	return s.Start()
}

// Signal sends a signal and waits for nothing: SIGSTOP freezes the server, SIGCONT lets it go on. Of Postgres only the first
// process gets it: its backends go on.
func (s *server) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.process.runs() {
		return fmt.Errorf("signal %s: it does not run", s.name)
	}
	return s.process.cmd.Process.Signal(sig)
}

// PID is the process id of the server's first process, 0 when it does not run.
func (s *server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.process.runs() {
		return 0
	}
	return s.process.cmd.Process.Pid
}

// Log is the end of what the server has written.
func (s *server) Log() string { return s.journal.since(0) }

// Close kills the server and removes its data. Closing again does nothing.
func (s *server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	_ = s.process.end(s.orphan, closeMax) // killed when it does not obey
	s.journal.close()
	err := s.folder.remove()
	for _, c := range s.with {
		err = errors.Join(err, c.Close())
	}
	return err
}

func (p *process) runs() bool {
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

// end sends the signal and waits for the end; a process that does not obey is killed, and that is an error.
func (p *process) end(sig syscall.Signal, patience time.Duration) error {
	if !p.runs() {
		return nil
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // one that is frozen hears nothing else
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-p.exited:
		return nil
	case <-limit.C:
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("still there %v after %v: killed", patience, sig)
	}
}

// newServer makes a server with a folder of its own, not started.
func newServer(kind, name, ready string, orphan syscall.Signal) (*server, error) {
	f, err := newFolder(kind)
	if err != nil {
		return nil, err
	}
	j, err := newJournal(filepath.Join(f.path, "log"))
	if err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return &server{name: name, ready: ready, orphan: orphan, folder: f, journal: j}, nil
}

// startSomewhere starts a new server; place gives it other ports, again when somebody was quicker to take them.
func (s *server) startSomewhere(place func() error) error {
	var err error
	for range 5 {
		if err = place(); err != nil {
			break
		}
		s.mu.Lock()
		err = s.start()
		s.mu.Unlock()
		if err == nil {
			return nil
		}
		if !errors.Is(err, errPort) {
			break
		}
	}
	return errors.Join(err, s.Close())
}
