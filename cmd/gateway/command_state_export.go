package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/statefile"
	"github.com/stategate/stategate/statestore"
)

func newStateExport() *cobra.Command {
	var functions []string
	var prefix, output string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the state of addresses as JSON Lines",
		Long: `export writes what the store holds at one moment: what is known of the states of functions, and a line for each value. It
may be done while a gateway works on the store. The last line says how many values there are; a file without it is not whole.
Messages that wait, timers, outputs and positions are not in it: it says how many the store holds.`,
		Example: `  gateway state export --store postgres://gateway@db/app -o state.jsonl
  gateway state export --function shop/cart --prefix customer-7 | jq .`,
		Args: noArguments,
	}
	load := registerStore(cmd)
	cmd.Flags().StringArrayVar(&functions, "function", nil, "only addresses of this function type, NAMESPACE/NAME; may be given again")
	cmd.Flags().StringVar(&prefix, "prefix", "", "only addresses whose id begins with this")
	cmd.Flags().StringVarP(&output, "output", "o", "-", "file to write, complete or not at all; - is standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, log, err := load()
		if err != nil {
			return err
		}
		only := make([]api.FunctionType, len(functions))
		for i, f := range functions {
			if only[i], err = statefile.ParseFunction(f); err != nil {
				return usage("flag --function: %v", err)
			}
		}
		store, err := openExisting(cmd.Context(), cfg, log)
		if err != nil {
			return err
		}
		defer store.Close() // nothing was written to it
		return export(cmd, store, statefile.ExportConfig{Store: store, Identity: store.Identity(), Functions: only, IDPrefix: prefix, Now: time.Now()}, output)
	}
	return cmd
}

func export(cmd *cobra.Command, store statestore.Store, cfg statefile.ExportConfig, output string) error {
	stderr := cmd.ErrOrStderr()
	cfg.Progress = statefile.NewProgress(stderr, "exported", isTerminal(stderr))
	cfg.Holding = func(h statestore.Holding) {
		if rest := left(h); rest != "" {
			fmt.Fprintf(stderr, "gateway: the store also holds %s: they are not exported\n", rest)
		}
	}
	if m, ok, err := store.Owner(cmd.Context()); err == nil && ok {
		fmt.Fprintf(stderr, "gateway: a gateway works on the store (%s): the file is as of now\n", ownerName(m))
	}
	var done statefile.Exported
	err := writeOutput(output, cmd.OutOrStdout(), func(w io.Writer) (err error) {
		done, err = statefile.Export(cmd.Context(), cfg, w)
		return err
	})
	cfg.Progress.Clear()
	switch {
	case err != nil && cmd.Context().Err() != nil && output == "-":
		return fmt.Errorf("interrupted after %d values: the output is not whole", done.Values)
	case err != nil && cmd.Context().Err() != nil:
		return fmt.Errorf("interrupted after %d values: %s is not written", done.Values, output)
	case err != nil:
		return fmt.Errorf("export: %w", err)
	}
	fmt.Fprintf(stderr, "exported %s of %s in %v\n", number(int(done.Values), "value"), plural(done.Addresses, "address", "addresses"), cfg.Progress.Took().Round(time.Millisecond))
	if done.Expired > 0 {
		fmt.Fprintf(stderr, "left out %s whose time is over\n", number(int(done.Expired), "value"))
	}
	return nil
}

// left names what an export leaves in the store; "" when it leaves nothing that matters.
func left(h statestore.Holding) (text string) {
	for _, of := range []struct {
		n         int64
		one, many string
	}{
		{h.Messages, "message that waits", "messages that wait"}, {h.Timers, "delayed message", "delayed messages"},
		{h.Outputs, "output that may not be delivered yet", "outputs that may not be delivered yet"}, {h.DeadLetters, "dead letter", "dead letters"},
	} {
		if of.n == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += plural(of.n, of.one, of.many)
	}
	return text
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// writeOutput lets write make a file, which has its name only when it is whole; or write to standard output, or to what is no
// regular file.
func writeOutput(output string, stdout io.Writer, write func(io.Writer) error) error {
	if output == "-" {
		return write(stdout)
	}
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(output, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	if target, err := filepath.EvalSymlinks(output); err == nil {
		output = target // what a link names is written anew, and the link stays one
	}
	folder, name := filepath.Split(output)
	if name == "" {
		return usage("flag --output: want the name of a file")
	}
	removeParts(folder, name)
	f, err := os.CreateTemp(filepath.Clean(folder), "."+name+".part-*") // readable by its owner only: state may be anybody's secret
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), output)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what is wrong is told already
	}
	return err
}

// partAge is when a part of a file is nobody's any more: an export writes all the time, and one that could not for as long does
// not find its part again and says so.
const partAge = time.Hour

// removeParts removes what exports that were killed have left of a file.
func removeParts(folder, name string) {
	entries, _ := os.ReadDir(filepath.Clean(folder)) // who cannot read the folder may still write to it
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), "."+name+".part-")
		if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > partAge {
			_ = os.Remove(filepath.Join(folder, e.Name())) // the next one tries again
		}
	}
}

// within waits no longer than a bound; without one, as long as ctx.
func within(ctx context.Context, bound time.Duration) (context.Context, context.CancelFunc) {
	if bound <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, bound)
}
