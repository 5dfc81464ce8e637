package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// errNotMeant ends a command whose question was not answered with yes.
var errNotMeant = errors.New("nothing is done")

// One rule for all commands: what cannot be taken back, or concerns many things at once, is asked about on a terminal, and needs --yes elsewhere.
// Whatever would be refused is refused before anybody is asked.

// confirm asks whether what cannot be taken back is meant. Where nobody can be asked it wants --yes.
func confirm(cmd *cobra.Command, yes bool, what string) error {
	if yes {
		return nil
	}
	if !canAsk(cmd) {
		return usage("%s needs --yes where nobody can be asked: %s", strings.TrimPrefix(cmd.CommandPath(), "gateway "), what)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s. Type yes: ", what)
	answer, err := readAnswer(cmd)
	if err != nil {
		return err
	}
	if answer != "yes" {
		return errNotMeant
	}
	return nil
}

func registerYes(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("yes", false, "do not ask whether it is meant; needed where nobody can be asked")
}

// canAsk: somebody sees the question and can answer it.
func canAsk(cmd *cobra.Command) bool {
	in, ok := cmd.InOrStdin().(*os.File)
	return ok && isatty.IsTerminal(in.Fd()) && isScreen(cmd.ErrOrStderr())
}

// readAnswer reads a line, or ends with the command.
func readAnswer(cmd *cobra.Command) (string, error) {
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() { // a terminal that nobody types at ends with the program only
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1<<10)).ReadString('\n')
		done <- read{line, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && r.err != io.EOF {
			return "", r.err
		}
		return strings.TrimSpace(r.line), nil
	case <-cmd.Context().Done():
		fmt.Fprintln(cmd.ErrOrStderr())
		return "", errNotMeant
	}
}
