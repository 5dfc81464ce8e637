package main

import (
	"log/slog"
	"testing"

	"github.com/spf13/pflag"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

// TestSettingsOf: sizes that follow from others are told, and the level of the log is the one that counts now.
func TestSettingsOf(t *testing.T) {
	flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	loader := config.Register(flags)
	if err := flags.Parse([]string{"--log-level=warn", "--cache-bytes-max=1GiB"}); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := loader.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	all := settingsOf(loader, cfg, 1<<30, bounds(cfg, 1<<30), "http://c:4318/v1/traces", level)
	now := func(name string) report.Setting {
		for _, s := range all() {
			if s.Name == name {
				return s
			}
		}
		return report.Setting{}
	}
	for _, want := range []report.Setting{
		{Name: "memory", Value: "auto (1GiB)", From: "default"}, {Name: "mailBytesMax", Value: "auto (128MiB)", From: "default"}, {Name: "sourceBytesMax", Value: "auto (16MiB)", From: "default"},
		{Name: "effectBytesMax", Value: "auto (64MiB)", From: "default"}, {Name: "cacheBytesMax", Value: "1GiB", From: "flag --cache-bytes-max"}, {Name: "logLevel", Value: "warn", From: "flag --log-level"},
		{Name: "traceEndpoint", Value: "http://c:4318/v1/traces", From: "environment OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT"}, {Name: "traceSample", Value: "1", From: "default"},
	} {
		if got := now(want.Name); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	for _, s := range all() {
		if s.Value == "auto" && s.Name != "logFormat" {
			t.Errorf("%s is auto, and nobody says what that is", s.Name)
		}
	}
	level.Set(slog.LevelDebug)
	if got, want := now("logLevel"), (report.Setting{Name: "logLevel", Value: "debug", From: "PUT /v1/log-level, until the restart"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
