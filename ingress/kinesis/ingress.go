package kinesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/internal/aws"
)

// Ingress reads the streams of one ingress of the module.
type Ingress struct{ config Config }

// New checks the configuration. It connects to nothing. Check tells which properties have no effect.
func New(config Config) (*Ingress, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	settings, _, err := aws.Reading(config.Properties)
	if err != nil {
		return nil, fmt.Errorf("kinesis ingress %s: %w", config.ID, err)
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	config.pace = config.pace.withDefaults(settings)
	if settings.RecordsMax > 0 {
		config.recordsMax = settings.RecordsMax
	} else {
		config.recordsMax = readRecordsMax
	}
	if config.dial == nil {
		config.dial = dialer(config, settings)
	}
	return &Ingress{config: config}, nil
}

// Run reads all shards of all streams until the context ends (then it returns nil) or the engine fails (then that error), and
// returns when all that it started has ended. A service or stream that is away is waited for. It may be run again.
func (i *Ingress) Run(ctx context.Context, engine ingress.Engine) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{
		Config: &i.config, engine: engine, fail: func(err error) { cancel(&engineError{err}) },
		conditions: &conditions{log: i.config.Log, hooks: i.config.Hooks, active: map[string]string{}},
	}
	defer s.conditions.endAll()
	if s.connect(ctx) {
		for n := range i.config.Streams {
			w := newWatch(s, &i.config.Streams[n])
			s.wait.Go(func() { w.run(ctx) })
		}
		s.wait.Wait()
	}
	var failed *engineError
	if errors.As(context.Cause(ctx), &failed) {
		return fmt.Errorf("kinesis ingress %s: %w", i.config.ID, failed.cause)
	}
	return nil
}

// engineError is what the engine said; there is nothing to retry here.
type engineError struct{ cause error }

func (e *engineError) Error() string { return e.cause.Error() }
func (e *engineError) Unwrap() error { return e.cause }

// session is one Run.
type session struct {
	*Config
	engine     ingress.Engine
	fail       func(error)
	client     client
	conditions *conditions
	wait       sync.WaitGroup // watches
}

// connect finds region and credentials, for as long as it takes; false: the context ended first.
func (s *session) connect(ctx context.Context) bool {
	key := fmt.Sprintf("ingress %s: AWS cannot be asked", s.ID)
	for attempt := 1; ; attempt++ {
		var err error
		if s.client, err = s.dial(ctx); err == nil {
			s.conditions.end(key)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.conditions.begin(key, err.Error()+"; trying again")
		if !sleep(ctx, backoff(attempt, s.pace.retryMax)) {
			return false
		}
	}
}
