package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/statestore"
)

func newState() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Show and change state of a gateway that runs; take it out of a store, or put it into one",
		Long: `state shows and changes the values of one address by the admin side of a gateway that runs (get, set, delete), and moves the state of
addresses as JSON Lines (export, import): into a store, from wherever it was before; out of one, to keep it, to look at it or to put
it into another store. docs/MIGRATION.md has the form of the file and how to make one with a StateFun application.`,
		Example: `  gateway state get shop/cart ada
  gateway state set shop/cart ada items 3
  gateway state export -o state.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("state needs get, set, delete, export or import")
			}
			return unknownVerb(cmd, args[0])
		},
	}
	cmd.AddCommand(newStateGet(), newStateSet(), newStateDelete(), newStateExport(), newStateImport())
	return cmd
}

// storeSettings are the settings that count for a command that only opens the store.
var storeSettings = map[string]bool{"config": true, "store": true, "store-file": true, "lease": true, "no-advisory-lock": true}

// registerStore adds the flags of settings. All of them are taken, so that a file of settings and a command line of a gateway can be
// used as they are; those without effect are not shown.
func registerStore(cmd *cobra.Command) (load func() (config.Config, *slog.Logger, error)) {
	loader := config.Register(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = !storeSettings[f.Name] })
	return func() (config.Config, *slog.Logger, error) {
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		cfg, warnings, err := loader.Load(os.Environ())
		if err != nil {
			return cfg, log, err
		}
		for _, w := range warnings {
			log.Warn(w)
		}
		if cfg.Store.Kind() == config.StoreMemory {
			return cfg, log, usage("memory: ends with the gateway that it belongs to; give a store that lasts")
		}
		return cfg, log, nil
	}
}

// errEnough ends a walk that has told what was asked.
var errEnough = errors.New("that is all")

// holdingOf asks what a store holds beside state.
func holdingOf(ctx context.Context, store statestore.Walker) (h statestore.Holding, err error) {
	err = store.Walk(ctx, statestore.Walk{
		Holding: func(found statestore.Holding) error { h = found; return errEnough },
		Address: func(statestore.AddressState) error { return errEnough },
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return h, err
}

// ownerName tells people which gateway owns a store.
func ownerName(m statestore.Member) string {
	text := fmt.Sprintf("process %d on %s", m.PID, m.Host)
	if m.Address != "" {
		text += ", admin side " + m.Address
	}
	return text
}
