package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/logs"
)

// newLog writes the log as the settings say.
func newLog(cfg config.Config, w io.Writer) *logs.Log {
	return logs.New(cfg.LogLevel, func(level slog.Leveler) slog.Handler {
		options := &slog.HandlerOptions{Level: level}
		if cfg.LogFormat == config.LogText || cfg.LogFormat == config.LogAuto && isTerminal(w) {
			return slog.NewTextHandler(w, options)
		}
		options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration { // else it is a number of nanoseconds, which nobody can tell
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.NewJSONHandler(w, options)
	})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
