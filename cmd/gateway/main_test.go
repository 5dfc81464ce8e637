package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
)

// call is one command line.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), append([]string{}, args...), &out, &err)
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // the first line on standard error
		see  string // the command that the hint names
	}{
		{nil, "", "gateway"},
		{[]string{"chekc"}, "gateway: unknown command chekc: did you mean check?", "gateway"},
		{[]string{"chekc", "--strict"}, "gateway: unknown command chekc: did you mean check?", "gateway"},
		{[]string{"help", "chekc"}, "gateway: unknown command chekc: did you mean check?", "gateway help"},
		{[]string{"help", "check", "x"}, "gateway: unknown command", "gateway help"},
		{[]string{"completion", "bash", "zzz"}, "gateway: the arguments of the command are not right", "gateway completion bash"},
		{[]string{"--modul"}, "gateway: unknown flag --modul", "gateway"},
		{[]string{"check", "--stirct"}, "gateway: unknown flag --stirct: did you mean --strict?", "gateway check"},
		{[]string{"check", "--module"}, "gateway: flag --module needs a value", "gateway check"},
		{[]string{"check", "--strict=x"}, "gateway: flag --strict: want true or false", "gateway check"},
		{[]string{"version", "x", "y"}, "gateway: version takes no arguments, only flags; got 2", "gateway version"},
		{[]string{"config", "x"}, "gateway: config takes no arguments, only flags; got 1", "gateway config"},
	} {
		code, stdout, stderr := call(t, c.args...)
		if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, c.want) || !strings.HasSuffix(stderr, "\n"+c.see+" --help tells what there is.\n") {
			t.Errorf("%q: exit %d, stdout %q, stderr:\n%s", c.args, code, stdout, stderr)
		}
	}
}

// TestPasswordsAreNotRepeated puts a store's URL where it does not belong.
func TestPasswordsAreNotRepeated(t *testing.T) {
	const url = "postgres://u:hunter2@h/db"
	for _, args := range [][]string{
		{url}, {"help", url}, {"version", url}, {"config", url}, {"-store=" + url}, {"check", "-store=" + url}, {"check", "-s" + url}, {"check", "--=" + url},
		{"check", "--" + url}, {"check", "--strict=" + url}, {"check", "--stroe=" + url}, {"check", "--stroe", url}, {"completion", "bash", url},
	} {
		code, stdout, stderr := call(t, args...)
		if code != exitUsage || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%q: exit %d, stdout %q, stderr:\n%s", args, code, stdout, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {"help", "check"}, {"check", "--help"}, {"check", "-h"}} {
		code, stdout, stderr := call(t, args...)
		if code != exitDone || stderr != "" || !strings.Contains(stdout, "Usage:") || strings.Contains(strings.Join(args, " "), "check") != strings.Contains(stdout, "--strict") {
			t.Errorf("%q: exit %d, stdout %q, stderr:\n%s", args, code, stdout, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	var said map[string]string
	if code, stdout, stderr := call(t, "version", "-o", "json"); code != exitDone || stderr != "" || json.Unmarshal([]byte(stdout), &said) != nil || said["program"] != "gateway" || !strings.HasPrefix(said["goVersion"], "go") || len(said) != 4 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	refused(t, exitUsage, "flag --output: want table or json", "version", "-o", "yaml")
	code, stdout, stderr := call(t, "version")
	if code != exitDone || stderr != "" || !strings.HasPrefix(stdout, "gateway ") || !strings.Contains(stdout, " commit ") || !strings.Contains(stdout, " go1.") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, flag, _ := call(t, "--version"); code != exitDone || !strings.HasPrefix(flag, "gateway ") {
		t.Errorf("--version: exit %d, stdout %q", code, flag)
	}
}

func TestConfig(t *testing.T) {
	code, stdout, stderr := call(t, "config")
	if code != exitDone || stderr != "" || stdout != config.Manual() {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestValueErrorIsUsage(t *testing.T) {
	var stderr bytes.Buffer
	if code := exitWith(&stderr, newRoot(), &config.ValueError{Where: "--lease", Text: "too short"}); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	if code := exitWith(&stderr, newRoot(), os.ErrNotExist); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	if got, want := stderr.String(), "gateway: --lease: too short\ngateway --help tells what there is.\ngateway: file does not exist\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogger(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) {
		t.Error("a file is no terminal")
	}
	for format, isJSON := range map[config.LogFormat]bool{config.LogAuto: true, config.LogJSON: true, config.LogText: false} {
		var b bytes.Buffer
		log := newLog(config.Config{LogFormat: format, LogLevel: slog.LevelWarn}, &b).Logger()
		log.Info("not this")
		log.Warn("this", "took", 1500*time.Millisecond)
		if json.Valid(b.Bytes()) != isJSON || strings.Contains(b.String(), "not this") || !strings.Contains(b.String(), "this") || !strings.Contains(b.String(), "1.5s") {
			t.Errorf("%s: %s", format, b.String())
		}
	}
}
