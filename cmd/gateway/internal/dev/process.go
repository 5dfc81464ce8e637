package dev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// process is one program of the module's development section, life after life.
type process struct {
	spec  module.Process
	guard []string // command line that calls Guard
	vars  []string // of the environment, behind this one's
	once  bool     // it is not started again
	out   *screen
	ready chan struct{} // closed when it was ready for the first time
	first sync.Once
}

// stopMax is how long a program may take to end when it is asked to.
const stopMax = 5 * time.Second

// check says why the program cannot be started.
func (p *process) check() error {
	name := p.spec.Command[0]
	err := error(nil)
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.spec.Directory, name)
		}
		_, err = os.Stat(name)
	} else {
		_, err = exec.LookPath(name)
	}
	if err != nil {
		return fmt.Errorf("%s: process %s: %w", p.spec.Place, p.spec.Name, err)
	}
	return nil
}

// run keeps the program running until ctx ends; then it ends it and all that it has started.
func (p *process) run(ctx context.Context) error {
	for pause := p.spec.RestartAfter; ; pause = min(2*pause, p.spec.RestartAtMost) {
		began := time.Now()
		err := p.live(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if p.once {
			return fmt.Errorf("process %s has ended: %w", p.spec.Name, err)
		}
		if time.Since(began) > p.spec.RestartAtMost { // it has worked: what comes now is another trouble
			pause = p.spec.RestartAfter
		}
		p.out.step(bad, "ended", "%s (%v); it is started again in %v", p.spec.Name, err, pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// asks is the signal that asks the program to end. "go run" removes what it has built only when it is interrupted.
func (p *process) asks() syscall.Signal {
	if c := p.spec.Command; len(c) > 1 && filepath.Base(c[0]) == "go" && c[1] == "run" {
		return syscall.SIGINT
	}
	return syscall.SIGTERM
}

// endedBy is the command that sends a signal to a group.
func endedBy(s syscall.Signal, group int) string {
	if s == syscall.SIGINT {
		return fmt.Sprintf("kill -INT -- %d", group)
	}
	return fmt.Sprintf("kill -- %d", group)
}

// errZero is why a program ended that says that all is well.
var errZero = errors.New("exit status 0")

// live is one life: it returns when the program and all of its group have ended.
func (p *process) live(ctx context.Context) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command(p.guard[0], append(append([]string{}, p.guard[1:]...), p.spec.Command...)...)
	cmd.Dir, cmd.Env = p.spec.Directory, append(os.Environ(), p.vars...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a group of its own: Ctrl-C is for the gateway
	cmd.Stdout, cmd.Stderr = write, write
	alive, err := cmd.StdinPipe() // held open as long as this process lives; see Guard
	if err == nil {
		err = cmd.Start()
	}
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return err
	}
	group := -cmd.Process.Pid
	if !p.once { // the guard takes no signal for itself: it is its group that ends
		p.out.step(dim, "runs", "%s; %s ends it, and it is started again", p.spec.Name, endedBy(p.asks(), group))
	}
	life, end := context.WithCancel(ctx)
	defer end()
	silent := make(chan struct{}) // closed when nobody holds the output any more
	go func() { defer close(silent); p.lines(read) }()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	var asking sync.WaitGroup
	asking.Go(func() { p.awaitReady(life) })
	defer asking.Wait()
	defer end()

	select {
	case err = <-exited: // what it has started would hold its port, for one
	case <-ctx.Done():
		_ = syscall.Kill(group, p.asks())
		limit := time.NewTimer(stopMax)
		defer limit.Stop()
		select { // not on its exit alone: what it has started may still be finishing
		case <-silent:
		case <-limit.C:
		}
		_ = syscall.Kill(group, syscall.SIGKILL)
		err = <-exited
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	_ = alive.Close()
	leave := time.AfterFunc(stopMax, func() { _ = read.Close() }) // somebody who left the group may hold the output
	<-silent
	if leave.Stop() {
		_ = read.Close()
	}
	if err == nil {
		err = errZero
	}
	return err
}

// lineBytesMax is what is shown of a line in one; a longer one is shown in pieces.
const lineBytesMax = 16 << 10

// lines shows the output.
func (p *process) lines(from io.Reader) {
	r := bufio.NewReaderSize(from, lineBytesMax)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			text := strings.TrimRight(string(line), "\r\n")
			p.out.said(p.spec.Name, text)
			if p.spec.Ready.Line != "" && strings.Contains(text, p.spec.Ready.Line) {
				p.isReady()
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (p *process) isReady() {
	p.first.Do(func() { close(p.ready) })
}

// environment is what the program finds beside this process's environment.
func environment(spec *module.Process, ports map[string]string) (vars []string) {
	for name, value := range ports {
		vars = append(vars, name+"="+value)
	}
	for name, value := range spec.Environment {
		vars = append(vars, name+"="+value)
	}
	return vars
}
