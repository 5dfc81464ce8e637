package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// effective is what counts for a command with these flags in this environment, by name.
func effective(t *testing.T, args, environ []string, sizes map[string]int64) map[string]Setting {
	t.Helper()
	flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	l := Register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	c, _, err := l.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Setting{}
	for _, s := range l.Settings(c, sizes) {
		if _, twice := out[s.Name]; twice {
			t.Errorf("%s is listed twice", s.Name)
		}
		out[s.Name] = s
	}
	return out
}

// TestSettings: each setting with what counts and who says so, the strongest source of several.
func TestSettings(t *testing.T) {
	file := write(t, "# mine\nlease: 5s\nslots: 10\nmodule:\n- a\n- b\nlogLevel: warn\n")
	got := effective(t, []string{"--slots", "12", "--config", file, "--module=x", "--module=y"},
		[]string{"STATEGATE_SLOTS=11", "STATEGATE_LOG_LEVEL=error", "STATEGATE_STORE=postgres://u:hunter2@h/d?sslpassword=hunter2"}, map[string]int64{"memory": 1 << 30, "mailBytesMax": 100<<20 + 1})
	if len(got) != len(settings)+1 {
		t.Errorf("%d settings, want %d", len(got), len(settings)+1)
	}
	for _, want := range []Setting{
		{"config", file, "flag --config"}, {"lease", "5s", file + ":2"}, {"slots", "12", "flag --slots"}, {"module", "x,y", "flag --module"}, {"logLevel", "error", "environment STATEGATE_LOG_LEVEL"},
		{"store", "postgres://u:***@h/d?***", "environment STATEGATE_STORE"}, {"storeFile", "", "default"}, {"admin", "127.0.0.1:8081", "default"}, {"listenInsecure", "false", "default"},
		{"memory", "auto (1GiB)", "default"}, {"mailBytesMax", "auto (104857601B)", "default"}, {"cacheBytesMax", "auto", "default"}, {"adminTokenFile", "", "default"},
	} {
		if diff := cmp.Diff(want, got[want.Name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, diff)
		}
	}
	if text := fmt.Sprint(got); strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown: %s", text)
	}
	if got := effective(t, nil, []string{"STATEGATE_CONFIG=" + file}, nil); got["config"] != (Setting{"config", file, "environment STATEGATE_CONFIG"}) || got["module"] != (Setting{"module", "a,b", file + ":5"}) {
		t.Errorf("got %v and %v", got["config"], got["module"])
	}
	if got := effective(t, nil, nil, nil); got["config"] != (Setting{}) {
		t.Errorf("a file that nobody named: %v", got["config"])
	}
}

// TestSettingsOfTheStore: the store and the file that holds its URL count as one, and the URL shows no password.
func TestSettingsOfTheStore(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(secret, []byte("postgres://u:hunter2@h/d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	byFile, byURL := []string{"--store-file", secret}, []string{"--store", "sqlite:x.db"}
	for name, c := range map[string]struct {
		args, environ    []string
		store, storeFile Setting
	}{
		"a file":               {byFile, nil, Setting{"store", "postgres://u:***@h/d", "file " + secret}, Setting{"storeFile", secret, "flag --store-file"}},
		"a file before an URL": {byFile, []string{"STATEGATE_STORE=sqlite:x.db"}, Setting{"store", "postgres://u:***@h/d", "file " + secret}, Setting{"storeFile", secret, "flag --store-file"}},
		"an URL before a file": {byURL, []string{"STATEGATE_STORE_FILE=" + secret}, Setting{"store", "sqlite:x.db", "flag --store"}, Setting{"storeFile", "", "default"}},
		"neither":              {nil, nil, Setting{"store", "sqlite:stategate.db", "default"}, Setting{"storeFile", "", "default"}},
	} {
		got := effective(t, c.args, c.environ, nil)
		if got["store"] != c.store || got["storeFile"] != c.storeFile {
			t.Errorf("%s: got %v and %v", name, got["store"], got["storeFile"])
		}
	}
}
