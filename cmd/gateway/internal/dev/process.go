package dev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is the program that serves the functions.
type process struct {
	url  string
	done chan struct{} // closed when it has ended
	err  error         // why, once done is closed
	cmd  *exec.Cmd
}

// stopMax is how long the functions may take to end by themselves.
const stopMax = 5 * time.Second

// listening is what the program writes to its output when it is ready, before its URL.
const listening = "listening on "

// startFunctions starts the command and waits until it says where it listens. What it writes goes to out, line by line.
func startFunctions(ctx context.Context, command []string, out io.Writer) (*process, error) {
	p := &process{done: make(chan struct{}), cmd: exec.Command(command[0], command[1:]...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that "go run" and its child end together
	p.cmd.WaitDelay = stopMax
	read, write := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = write, write
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the functions (%s): %w", strings.Join(command, " "), err)
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = write.Close()
		close(p.done)
	}()
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), listening); ok {
				select {
				case ready <- url:
				default:
				}
				continue
			}
			fmt.Fprintf(out, "  functions | %s\n", lines.Text())
		}
		_, _ = io.Copy(io.Discard, read) // a line that is too long ends the scanner, not the program
	}()
	select {
	case p.url = <-ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("the functions (%s) ended before they listened: %w", strings.Join(command, " "), p.ended())
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	}
}

// ended is why the program ended.
func (p *process) ended() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// stop ends the program and all that it has started.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopMax):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}
