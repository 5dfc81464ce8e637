package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

// Exit codes.
const (
	exitDone   = 0 // ended as asked
	exitFailed = 1 // the same command may succeed later
	exitUsage  = 2 // the command line or a setting is wrong
)

// errReported ends a command with exitFailed when it has said already what is wrong.
var errReported = errors.New("it is said already")

// usageError is a command line that cannot be meant so.
type usageError string

func (e usageError) Error() string { return string(e) }

func usage(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// exitWith says what is wrong, with the remedy, and answers the exit code.
func exitWith(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errReported) {
		return exitFailed
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(stderr, "gateway: %s\n", table.Text(line)) // it may repeat what others have sent
	}
	var wrong usageError
	var value *config.ValueError
	if errors.As(err, &wrong) || errors.As(err, &value) {
		fmt.Fprintf(stderr, "%s --help tells what there is.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// wordForm is what of a command line is repeated. Anything else may be an URL with a password in it.
var wordForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,40}$`)

// about names what was given, where it may be repeated.
func about(what, prefix, given string) string {
	if wordForm.MatchString(given) {
		return what + " " + prefix + given
	}
	return what
}

// flagError words the errors of the flag library anew: some of them repeat the whole argument.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && (unknown.GetSpecifiedName() == "o" || unknown.GetSpecifiedName() == "output"):
		return usage("%s has no -o: it is for commands that list or show something, as in gateway stuck -o json", strings.TrimPrefix(cmd.CommandPath(), "gateway "))
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usage("unknown flag: flags begin with two dashes, as in --help; put -- before a value that begins with a dash")
	case errors.As(err, &unknown):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		text := about("unknown flag", "--", unknown.GetSpecifiedName())
		if near := nearest.Word("--"+unknown.GetSpecifiedName(), known); near != "" {
			text += ": did you mean " + near + "?"
		}
		return usageError(text)
	case errors.As(err, &missing):
		return usage("flag --%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "bool":
		return usage("flag --%s: want true or false", invalid.GetFlag().Name)
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "duration":
		return usage("flag --%s: want a time such as 2s or 1m", invalid.GetFlag().Name)
	case errors.As(err, &invalid) && (invalid.GetFlag().Value.Type() == "int" || invalid.GetFlag().Value.Type() == "uint32"):
		return usage("flag --%s: want a number", invalid.GetFlag().Name)
	case errors.As(err, &invalid):
		return usage("flag --%s cannot have this value", invalid.GetFlag().Name)
	}
	return usage("want flags as --NAME VALUE or --NAME=VALUE")
}

// noArguments refuses arguments without repeating them.
func noArguments(cmd *cobra.Command, args []string) error {
	if watch := cmd.Flags().Lookup("watch"); len(args) > 0 && watch != nil && watch.Changed {
		return usage("flag --watch: want its value as in --watch=5s")
	}
	if len(args) > 0 {
		return usage("%s takes no arguments, only flags; got %d", cmd.Name(), len(args))
	}
	return nil
}

// notStarted is why a command line led to no command.
func notStarted(root *cobra.Command, args []string, err error) error {
	if _, _, unknown := root.Find(args); unknown != nil {
		return unknownCommand(root, args)
	}
	if errors.As(err, new(usageError)) {
		return err
	}
	return usage("the arguments of the command are not right")
}

// unknownCommand names the commands that there are.
func unknownCommand(root *cobra.Command, args []string) error {
	var known []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	given := ""
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			given = a
			break
		}
	}
	return usage("%s: %s", about("unknown command", "", given), nearest.Guess(given, known))
}
