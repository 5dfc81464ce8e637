package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
	"github.com/stategate/stategate/statestore/postgres"
	"github.com/stategate/stategate/statestore/sqlite"
)

// openStore opens what the settings name, and makes it where it is missing.
func openStore(ctx context.Context, cfg config.Config, log *slog.Logger) (statestore.Store, error) {
	return openStoreOf(ctx, cfg, log, false)
}

// openExisting opens what the settings name, which must be there.
func openExisting(ctx context.Context, cfg config.Config, log *slog.Logger) (statestore.Store, error) {
	return openStoreOf(ctx, cfg, log, true)
}

// openStoreOf: a kind of store is a case here.
func openStoreOf(ctx context.Context, cfg config.Config, log *slog.Logger, existing bool) (statestore.Store, error) {
	switch cfg.Store.Kind() {
	case config.StoreMemory:
		log.Warn("the store is in memory: nothing survives the end of this process")
		return memory.New(memory.Config{Lease: cfg.Lease}), nil
	case config.StoreSQLite:
		s, err := sqlite.Open(ctx, sqlite.Config{Path: cfg.Store.Path(), Existing: existing, Lease: cfg.Lease, Log: log})
		if err != nil {
			return nil, err
		}
		return s, nil
	case config.StorePostgres:
		s, err := postgres.Open(ctx, postgres.Config{URL: cfg.Store.Reveal(), Existing: existing, Lease: cfg.Lease, NoHint: cfg.NoAdvisoryLock, Log: log})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, fmt.Errorf("store %s: unknown kind", cfg.Store)
}
