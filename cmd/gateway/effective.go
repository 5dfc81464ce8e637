package main

import (
	"log/slog"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
)

// settingsOf tells what counts of the settings. traces is where they go, which variables that are not the gateway's own may say; level is
// that of the log, which operators change while the gateway runs.
func settingsOf(loader *config.Loader, cfg config.Config, memory int64, b machine.Config, traces string, level *slog.LevelVar) func() []report.Setting {
	sizes := map[string]int64{
		"memory": memory, "sourceBytesMax": int64(b.SourceBytesMax), "mailBytesMax": int64(b.MailBytesMax), "cacheBytesMax": int64(b.CacheBytesMax), "effectBytesMax": int64(b.EffectBytesMax),
	}
	var all []report.Setting
	for _, s := range loader.Settings(cfg, sizes) {
		if s.Name == "traceEndpoint" && s.Value == "" && traces != "" {
			s.Value, s.From = traces, "environment OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT"
		}
		all = append(all, report.Setting(s))
	}
	return func() []report.Setting {
		out := make([]report.Setting, 0, len(all))
		for _, s := range all {
			if s.Name == "logLevel" && level.Level() != cfg.LogLevel {
				s.Value, s.From = strings.ToLower(level.Level().String()), "PUT /v1/log-level, until the restart"
			}
			out = append(out, s)
		}
		return out
	}
}
