// Command gateway is the program: its commands and their flags, and what it says to people and to shells. What it does is
// done by the packages below and beside it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// newRoot is the program with all its commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gateway",
		Short: "Calls remote functions with their state, exactly once",
		Long: `gateway runs applications of remote functions: it reads events, calls the function that each is for with the state of
its address, and keeps what it answers - exactly once. It reads the module.yaml of StateFun applications as it is.`,
		Version:       version.Read().String(),
		SilenceErrors: true, // execute tells them
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help()
			return usage("a command is missing")
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(&cobra.Group{ID: runGroup, Title: "Write and run an application:"}, &cobra.Group{ID: seeGroup, Title: "See and mend one that runs:"})
	addTo(root, runGroup, newInit(), newDev(), newCheck(), newRun(), newConfig())
	addTo(root, seeGroup, newStatus(), newStuck(), newFunctions(), newAddresses(), newState(), newTimers(), newIngresses(), newEgresses(), newDeadLetters(), newMembers(), newModule(),
		newSettings(), newAudit(), newLogLevel())
	root.AddCommand(newGuard(), newVersion())
	root.SetHelpCommand(newHelp())
	noFiles(root)
	return root
}

// Groups of commands in --help.
const (
	runGroup = "run"
	seeGroup = "see"
)

func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
	}
	root.AddCommand(commands...)
}

// execute runs one command line and answers its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return executeRoot(ctx, newRoot(), args, stdout, stderr)
}

func executeRoot(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		err = notStarted(root, args, err)
	}
	return exitWith(stderr, cmd, err)
}
