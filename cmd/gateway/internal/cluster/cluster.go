// Package cluster says when this member works: it waits until the store gives it ownership, lets it serve one incarnation
// after the other, and gives ownership back when it stops. It trusts no clock and no lock: who owns is what the store says.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stategate/stategate/statestore"
)

// Config is one member.
type Config struct {
	Store    statestore.Ownership
	Member   statestore.Member
	Egresses []string // lanes that must exist
	// Serve works on a claim until ctx ends (it drains, then answers nil) or it cannot go on. statestore.ErrFenced: the member
	// waits for ownership again. Any other error is final.
	Serve func(ctx context.Context, claim *statestore.Claim) error
	// Owning is told when ownership is gained and lost. It may be nil.
	Owning func(owns bool)
	// ReleaseMax bounds how long giving ownership back may take. Default 3 s; then the others wait for the lease.
	ReleaseMax time.Duration
	Log        *slog.Logger
}

const releaseMax = 3 * time.Second

// Run is a member's life. It returns nil when ctx has ended and ownership is given back.
func Run(ctx context.Context, cfg Config) error {
	if cfg.ReleaseMax <= 0 {
		cfg.ReleaseMax = releaseMax
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	for ctx.Err() == nil {
		claim, err := cfg.Store.Acquire(ctx, cfg.Member, cfg.Egresses)
		if ctx.Err() != nil {
			if claim != nil {
				release(ctx, &cfg, claim.Fence)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("acquire ownership: %w", err)
		}
		if err := serve(ctx, &cfg, claim); err != nil {
			return err
		}
	}
	return nil
}

func serve(ctx context.Context, cfg *Config, claim *statestore.Claim) error {
	if cfg.Owning != nil {
		cfg.Owning(true)
		defer cfg.Owning(false)
	}
	err := cfg.Serve(ctx, claim)
	if errors.Is(err, statestore.ErrFenced) {
		cfg.Log.Warn("another member took over; what was in memory is dropped", "epoch", claim.Fence.Epoch)
		return nil
	}
	release(ctx, cfg, claim.Fence)
	return err
}

// release also runs when ctx has ended: that is when it is needed.
func release(ctx context.Context, cfg *Config, fence statestore.Fence) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ReleaseMax)
	defer cancel()
	if err := cfg.Store.Release(ctx, fence); err != nil {
		cfg.Log.Warn("ownership could not be given back; others wait for the end of the lease", "error", err)
	}
}
