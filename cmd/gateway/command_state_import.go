package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/statefile"
	"github.com/stategate/stategate/statestore"
)

// importFlags say what an import may do.
type importFlags struct{ overwrite, skip, wait, check, empty, fresh bool }

func newStateImport() *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Put the state of addresses into a store, from JSON Lines",
		Long: `import reads a file that export has written, or another program, and commits its values as a gateway would; the store is
made where there is none. A file is checked from end to end before anything is written, but for values that the store has already;
standard input is read once, so there what stands before a bad line is written. Import the same again after an interruption, without
--new: what is there already is found to be the same. No gateway may work on the store meanwhile.`,
		Example: `  gateway state import --check state.jsonl
  gateway state import --new --store postgres://gateway@db/app state.jsonl
  gateway state import --overwrite state.jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("import takes one file, or - for standard input; got %d", len(args))
			}
			return nil
		},
	}
	load := registerStore(cmd)
	cmd.Flags().BoolVar(&flags.overwrite, "overwrite", false, "replace values and expirations that are there already and differ; of two lines for one value the last counts")
	cmd.Flags().BoolVar(&flags.skip, "skip-invalid", false, "tell of lines that cannot be used, leave them out and go on")
	cmd.Flags().BoolVar(&flags.wait, "wait", false, "wait until no gateway works on the store")
	cmd.Flags().BoolVar(&flags.check, "check", false, "check the file and write nothing")
	cmd.Flags().BoolVar(&flags.fresh, "new", false, "refuse a store that holds state already: what an earlier import has left would be mixed with the file's")
	cmd.Flags().BoolVar(&flags.empty, "allow-empty", false, "take a file without a value; else that is an error")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		cfg, log, err := load()
		if err != nil {
			return err
		}
		in, name, again, err := openInput(cmd.Context(), args[0], cmd.InOrStdin())
		if err != nil {
			return err
		}
		defer in.Close() // it was only read
		i := importing{cmd: cmd, cfg: cfg, flags: flags, in: in, name: name, patience: 2*cfg.Lease + 5*time.Second}
		if flags.check {
			return i.checkAlone(cmd.Context())
		}
		store, err := openStore(cmd.Context(), cfg, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		i.store = store
		if again != nil {
			if err := i.checkFirst(cmd.Context(), again); err != nil {
				return err
			}
		}
		return i.run(cmd.Context())
	}
	return cmd
}

// openInput answers again for what can be read a second time: it goes back to the start.
func openInput(ctx context.Context, file string, stdin io.Reader) (in io.ReadCloser, name string, again func() error, err error) {
	if file == "-" {
		return interruptible(ctx, stdin), "standard input", nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, "", nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		again = func() error { _, err := f.Seek(0, io.SeekStart); return err }
	}
	return f, file, again, nil
}

// interruptible ends with ctx even where nobody writes what it waits for. Then what reads is left behind: nothing can end that but
// the end of the program.
func interruptible(ctx context.Context, in io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		_ = w.CloseWithError(err) // always nil
	}()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	return r
}

// importing is one import on its way.
type importing struct {
	cmd      *cobra.Command
	cfg      config.Config
	flags    importFlags
	in       io.Reader
	name     string
	store    statestore.Store
	patience time.Duration // for an owner that says nothing, without --wait
	checked  statefile.Checked
}

// what the package is told.
func (i *importing) what(verb string, tell bool) statefile.ImportConfig {
	stderr := i.cmd.ErrOrStderr()
	c := statefile.ImportConfig{Overwrite: i.flags.overwrite, Progress: statefile.NewProgress(stderr, verb, isTerminal(stderr))}
	if i.flags.skip {
		c.Invalid = func(err *statefile.LineError) {
			if tell {
				c.Progress.Clear()
				fmt.Fprintf(stderr, "gateway: left out: %v\n", err)
			}
		}
	}
	return c
}

// worded is an error as people know it.
func worded(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// checkAlone is all that --check does.
func (i *importing) checkAlone(ctx context.Context) error {
	c := i.what("checked", true)
	done, err := statefile.Check(ctx, c, nil, i.name, i.in)
	c.Progress.Clear()
	if err != nil {
		return worded(err)
	}
	if done.Invalid > 0 {
		return fmt.Errorf("%s: %s, and %s that cannot be used", i.name, number(int(done.Values), "value"), number(int(done.Invalid), "line"))
	}
	if done.Values == 0 && !i.flags.empty {
		return i.nothing()
	}
	fmt.Fprintf(i.cmd.OutOrStdout(), "%s: good, %s\n", i.name, held(done))
	counts(i.cmd.OutOrStdout(), done)
	return nil
}

// nothing: a file without a value is nearly always the wrong one, and a move that took it for good would begin with no state.
func (i *importing) nothing() error {
	return fmt.Errorf("%s holds no value: were the functions asked, and was the right topic read? --allow-empty takes it", i.name)
}

// held is how many values a file has.
func held(done statefile.Checked) string {
	text := number(int(done.Values-done.Repeated), "value")
	if done.Repeated > 0 {
		text += fmt.Sprintf(", and %s for values that an earlier line has told", number(int(done.Repeated), "line"))
	}
	return text
}

// counts tells each state with its number of values, to be compared with what is known of the application.
func counts(out io.Writer, done statefile.Checked) {
	for _, s := range done.States {
		fmt.Fprintf(out, "  %s %s (%s): %s\n", s.Function, short(s.State), short(s.TypeName), number(int(s.Values), "value"))
	}
}

// short keeps names of a file from filling the screen, or from steering it.
func short(name string) string {
	const most = 64
	text := strings.Trim(strconv.Quote(name), `"`)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// checkFirst finds bad lines before anything is written.
func (i *importing) checkFirst(ctx context.Context, again func() error) error {
	known, err := holdingOf(ctx, i.store)
	if err != nil {
		return err
	}
	c := i.what("checked", false) // the import tells of lines that are left out
	i.checked, err = statefile.Check(ctx, c, known.Functions, i.name, i.in)
	c.Progress.Clear()
	if err == nil && i.checked.Values == 0 && !i.flags.empty {
		err = i.nothing()
	}
	if err != nil {
		return fmt.Errorf("nothing is written: %w", worded(err))
	}
	return again()
}

// run owns the store for as long as it takes.
func (i *importing) run(ctx context.Context) (err error) {
	claim, err := i.acquire(ctx)
	if err != nil {
		return err
	}
	ctx, stop := i.keep(ctx, claim.Fence)
	defer i.giveBack(ctx, claim.Fence)
	defer stop()
	if i.flags.fresh {
		if err := i.mustBeNew(ctx, claim); err != nil {
			return err
		}
	}
	c := i.what("imported", true)
	c.Target, c.Claim = i.store, claim
	done, err := statefile.Import(ctx, c, i.name, i.in)
	c.Progress.Clear()
	if err == nil && done.Written+done.Same+done.Invalid == 0 && !i.flags.empty { // standard input is not checked before
		return i.nothing()
	}
	sum := fmt.Sprintf("%s written, %d were there already", number(int(done.Written), "value"), done.Same)
	if i.flags.skip {
		sum += fmt.Sprintf(", %s left out", number(int(done.Invalid), "line"))
	}
	if err != nil {
		return fmt.Errorf("%w\nnot whole: %s; import it again when that is mended, what is there is found to be the same", worded(err), sum)
	}
	fmt.Fprintf(i.cmd.ErrOrStderr(), "%s, in %v\n", sum, c.Progress.Took().Round(time.Millisecond))
	counts(i.cmd.ErrOrStderr(), i.checked)
	return nil
}

// giveBack lets others have the store without waiting for the lease to end.
func (i *importing) giveBack(ctx context.Context, fence statestore.Fence) {
	ctx, cancel := within(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	_ = i.store.Release(ctx, fence) // else they wait
}

// mustBeNew refuses a store that holds state, or in which a gateway has kept where it reads on: it would not ask the consumer group.
// The store is ours already, so nobody changes that meanwhile.
func (i *importing) mustBeNew(ctx context.Context, claim *statestore.Claim) error {
	if len(claim.Progress) > 0 {
		return errors.New("nothing is written: a gateway has run on the store: name a new store, or leave --new out")
	}
	var found *statestore.AddressState
	beside := func(statestore.Holding) error { return nil }
	err := i.store.Walk(ctx, statestore.Walk{Holding: beside, Address: func(a statestore.AddressState) error {
		if len(a.Values) == 0 {
			return nil
		}
		found = &a
		return errEnough
	}})
	switch {
	case found != nil:
		return fmt.Errorf("nothing is written: the store holds state already, such as that of %s/%s: name a new store, or leave --new out", found.Address.Type, short(found.Address.ID))
	case err != nil:
		return fmt.Errorf("look whether the store is new: %w", worded(err))
	}
	return nil
}

// deadMax is how long an owner whose lease runs may turn out to be dead: a member that waits is told of that by the owner's lock,
// which ends with its process. One that lives is not disturbed by who waits.
const deadMax = time.Second

// acquire takes the store over from nobody: a gateway that lives is not disturbed.
func (i *importing) acquire(ctx context.Context) (*statestore.Claim, error) {
	bound := time.Duration(0)
	m, owned, err := i.store.Owner(ctx)
	switch {
	case err != nil:
		return nil, err
	case owned && i.flags.wait:
		fmt.Fprintf(i.cmd.ErrOrStderr(), "gateway: waiting for the gateway that works on the store to end (%s)\n", ownerName(m))
	case owned:
		bound = deadMax
	default:
		bound = i.patience
	}
	limited, cancel := within(ctx, bound)
	defer cancel()
	host, _ := os.Hostname() // for people
	claim, err := i.store.Acquire(limited, statestore.Member{ID: uuid.NewString(), Host: host, PID: os.Getpid(), Started: time.Now()}, nil)
	switch overdue := err != nil && limited.Err() != nil && ctx.Err() == nil; {
	case overdue && owned:
		return nil, fmt.Errorf("a gateway works on the store (%s); stop it first, and those that wait for its place; --wait waits for that", ownerName(m))
	case overdue:
		return nil, fmt.Errorf("another process owns the store and says nothing, or gateways wait for it; stop all of them first: %w", err)
	}
	return claim, err
}

// keep renews the lease between commits. The context ends when another member has taken over.
func (i *importing) keep(ctx context.Context, fence statestore.Fence) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(i.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := i.store.Renew(ctx, fence); errors.Is(err, statestore.ErrFenced) {
				cancel(fmt.Errorf("a gateway has taken the store over; stop it and import the file again: %w", err))
			}
		}
	})
	return ctx, func() { cancel(nil); renewing.Wait() }
}
