//go:build unix

package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignalThatIsIgnored: a process that a script has put into the background began with the interrupt ignored, and so it is again when
// nobody asks for it: the second one ends it all the same.
func TestSecondSignalThatIsIgnored(t *testing.T) {
	if os.Getenv("STATEGATE_TEST_SECOND") != "" {
		defer tellOfEnd(slog.Default())()
		came := make(chan os.Signal, 2)
		signal.Notify(came, os.Interrupt)
		for range 2 { // one behind the other: two at once are one
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			<-came
		}
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, ignored := range []string{"", "trap '' INT; "} {
		cmd := exec.CommandContext(ctx, "sh", "-c", ignored+`exec "$0" -test.run='^TestSecondSignalThatIsIgnored$'`, self)
		cmd.Env = append(os.Environ(), "STATEGATE_TEST_SECOND=1")
		text, _ := cmd.CombinedOutput()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if ended := status.Signaled() && status.Signal() == syscall.SIGINT; ended == (ignored != "") || !ended && status.ExitStatus() != 128+int(syscall.SIGINT) {
			t.Errorf("%q: it ended with %v: %s", ignored, cmd.ProcessState, text)
		}
	}
}
