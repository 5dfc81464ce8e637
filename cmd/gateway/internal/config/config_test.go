package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// load is a command with these flags in this environment.
func load(t *testing.T, args, environ []string) (Config, []string, error) {
	t.Helper()
	flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	l := Register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return l.Load(environ)
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

var same = cmp.AllowUnexported(StoreURL{})

func TestDefault(t *testing.T) {
	want := Config{
		Module: []string{"module.yaml"}, Store: StoreURL{kind: StoreSQLite, path: "stategate.db", revealed: "sqlite:stategate.db", redacted: "sqlite:stategate.db"},
		Listen: "127.0.0.1:8080", Admin: "127.0.0.1:8081", LogFormat: LogAuto, LogLevel: slog.LevelInfo, TraceSample: 1,
		Lease: 3 * time.Second, DrainTimeout: 10 * time.Second, Slots: 1024, SourceMessagesMax: 5000,
		EffectsMax: 20_000, OutboxBytesMax: 1 << 30, KeptBytesMax: 4 << 30, StoredBytesMax: 16 << 30,
		DeadLettersMax: 100_000, DeadLetterBytesMax: 1 << 30,
	}
	got, warnings, err := load(t, nil, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("warnings %q, error %v", warnings, err)
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManual(t *testing.T) {
	manual := Manual()
	got, warnings, err := load(t, []string{"--config", write(t, manual)}, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("warnings %q, error %v", warnings, err)
	}
	if diff := cmp.Diff(Default(), got, same); diff != "" {
		t.Errorf("the manual does not parse to the defaults (-want +got):\n%s", diff)
	}
	for i := range settings {
		s := &settings[i]
		for _, name := range []string{"\n" + s.key + ": ", "--" + s.flag() + "  ", "  " + s.variable() + "\n"} {
			if s.standard == "" {
				name = strings.Replace(name, "\n"+s.key, "\n# "+s.key, 1)
			}
			if !strings.Contains(manual, name) {
				t.Errorf("the manual does not name %q", name)
			}
		}
		if s.manual == "" || s.brief == "" || (s.standard == "") == (s.example == "") {
			t.Errorf("%s is not described", s.key)
		}
		if foreign.MatchString(s.variable()) {
			t.Errorf("%s looks like a variable of Kubernetes", s.variable())
		}
	}
	for n, line := range strings.Split(manual, "\n") {
		if len(line) > 132 {
			t.Errorf("line %d of the manual has %d bytes", n+1, len(line))
		}
	}
}

// TestPrecedence sets every setting at every place.
func TestPrecedence(t *testing.T) {
	values := map[string][3]string{ // in the file, in the environment, as a flag
		"module": {"f.yaml", "e.yaml,e", "a.yaml"}, "listen": {":1", ":2", "[::1]:3"}, "admin": {":4", ":5", "localhost:6"},
		"logFormat": {"text", "json", "text"}, "logLevel": {"warn", "error", "debug"}, "lease": {"1s", "2 s", "1m30s"}, "drainTimeout": {"1ms", "1min", "1h"},
		"noAdvisoryLock": {"true", "false", "true"}, "slots": {"1", "2", "3"}, "sourceMessagesMax": {"1", "2", "3"}, "effectsMax": {"1", "2", "3"},
		"deadLettersMax": {"1", "2", "3"}, "listenTokenFile": {"f", "e", "a"}, "listenTlsCert": {"f", "e", "a"}, "listenTlsKey": {"f", "e", "a"},
		"signingKeyFile": {"f", "e", "a"}, "traceEndpoint": {"http://f", "https://e:4318/", "http://[::1]:4318/v1/traces"}, "traceSample": {"0", "0.01", "1"}, "adminTokenFile": {"f", "e", "a"}, "adminReadTokenFile": {"f", "e", "a"}, "adminTlsCert": {"f", "e", "a"}, "adminTlsKey": {"f", "e", "a"},
		"adminInsecure": {"true", "false", "true"}, "listenInsecure": {"true", "false", "true"}, "advertise": {"a:1", "b:2", "[::1]:3"},
		"store": {"sqlite:f", "memory:", "postgres://a@h/d"}, "memory": {"64MiB", "auto", "3 GiB"}, "mailBytesMax": {"1MiB", "auto", "1GiB"},
	}
	for i := range settings {
		key := settings[i].key
		if _, ok := values[key]; settings[i].kind == "SIZE" && !ok {
			values[key] = [3]string{"1MiB", "2 MiB", "3GiB"}
		}
		v, ok := values[key]
		if key == "storeFile" {
			continue // below
		}
		if !ok {
			t.Fatalf("no values for %s", key)
		}
		t.Run(key, func(t *testing.T) {
			s := find(key)
			var args, environ []string
			args = append(args, "--config", write(t, key+": '"+v[0]+"'\n"))
			for n, add := range []func(){
				func() {}, func() { environ = append(environ, s.variable()+"="+v[1]) }, func() { args = append(args, "--"+s.flag()+"="+v[2]) },
			} {
				add()
				want := Default()
				if err := s.set(&want, v[n]); err != nil {
					t.Fatal(err)
				}
				got, warnings, err := load(t, args, environ)
				if err != nil || len(warnings) > 0 {
					t.Fatalf("warnings %q, error %v", warnings, err)
				}
				if diff := cmp.Diff(want, got, same); diff != "" {
					t.Errorf("place %d (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	for key, bad := range map[string][]string{
		"module":        {"", "a\x00b", ",", "a.yaml,", " , b"},
		"listen":        {"", "8080", "localhost", "host:http", "host:65536", "host:-1", "host:080", "::1:80", "a b:80", "http://h:80", "u@h:80"},
		"admin":         {"[::1]"},
		"logFormat":     {"", "yaml", "JSON"},
		"logLevel":      {"", "trace", "7"},
		"lease":         {"", "3", "99ms", "2h", "-1s", "three", "3 parsecs"},
		"drainTimeout":  {"-1s", "0s", "61m"},
		"slots":         {"", "0", "-1", "1e3", "1000001", "99999999999999999999"},
		"mailBytesMax":  {"", "1", "1MB", "1kB", "1.5MiB", "1KiB", "-1MiB", "99999999TiB"},
		"memory":        {"", "63MiB", "1GB", "AUTO", "0B"},
		"cacheBytesMax": {"-1B", "0B", "x", "MiB"},
		"store":         {"", "stategate.db", "mysql://h/d"},
		"storeFile":     {""},
		"advertise":     {"", ":8080", "host", "host:0", "a b:80"}, "listenInsecure": {"yes"}, "listenTlsKey": {""},
		"traceEndpoint":  {"", "collector:4318", "grpc://c", "http://", "http://u:p@c", "http://c?key=k", "http://c#f", "http://c:x y", strings.Repeat("x", 100_000)},
		"traceSample":    {"", "-0.1", "1.1", "NaN", "Inf", "half", "50%"},
		"signingKeyFile": {""}, "adminTokenFile": {""}, "adminReadTokenFile": {"a\x00"}, "adminTlsCert": {""}, "adminTlsKey": {""}, "adminInsecure": {"1"},
	} {
		for _, text := range bad {
			s := find(key)
			_, _, err := load(t, []string{"--" + s.flag() + "=" + text}, nil)
			var wrong *ValueError
			if !errors.As(err, &wrong) || wrong.Where != "--"+s.flag() || wrong.Text == "" {
				t.Errorf("%s of %q: got %v", key, text, err)
			}
		}
	}
	if _, _, err := load(t, []string{"--trace-endpoint=http://ada:CANARY@c"}, nil); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("got %v, which shows a password", err)
	}
	if _, _, err := load(t, []string{"--no-advisory-lock=maybe"}, nil); err == nil || !strings.Contains(err.Error(), "want true or false") {
		t.Errorf("got %v", err)
	}
	if c, _, err := load(t, []string{"--no-advisory-lock"}, nil); err != nil || !c.NoAdvisoryLock {
		t.Errorf("got %v, %v", c.NoAdvisoryLock, err)
	}
	if _, _, err := load(t, []string{"--admin=:7", "--listen=:7"}, nil); err == nil || !strings.Contains(err.Error(), "want two addresses") {
		t.Errorf("got %v", err)
	}
	if _, _, err := load(t, []string{"--admin=:0", "--listen=:0"}, nil); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestAllIsSaid: not only the first of several mistakes is told.
func TestAllIsSaid(t *testing.T) {
	file := write(t, "slots: none\nsltos: 3\n")
	_, _, err := load(t, []string{"--config", file, "--lease=3"}, []string{"STATEGATE_LOG_LEVEL=loud"})
	want := []string{
		file + `:2:1: unknown key "sltos": did you mean slots?`,
		`STATEGATE_LOG_LEVEL: want debug, info, warn or error, got "loud"`,
		`--lease: want a duration with its unit, such as 500ms, 10s or 2m; got "3"`,
		file + `:1:8: slots: want a number from 1 to 1000000, got "none"`,
	}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("missing %q in:\n%v", w, err)
		}
	}
}

func TestFile(t *testing.T) {
	for _, c := range []struct{ text, want string }{ // want "": it is good
		{"", ""}, {"# nothing\n", ""}, {"---\nslots: 7\n", ""}, {"null\n", ""}, {"{slots: 7}", ""},
		{"slots: 7\nlease: 1s\nslots: 8\n", `:3:1: slots is given twice, first in line 1: remove one`},
		{"log-level: info\n", `:1:1: unknown key "log-level": did you mean logLevel?`},
		{"STATEGATE_LEASE: 1s\n", `did you mean lease?`},
		{"config: x\n", `a file of settings cannot name another`},
		{"zzzzzzzz: x\n", `known are module, store`},
		{"slots:\n", `:1:1: slots has no value: give one or remove the line`},
		{"slots: [1]\n", `:1:8: slots: want a text or a number behind the colon, on its line`},
		{"slots: &a 7\nsourceMessagesMax: *a\n", `:2:20: sourceMessagesMax: want a text`},
		{"- slots: 7\n", `:1:1: want settings as KEY: VALUE`},
		{"slots\n", `:1:1: want settings as KEY: VALUE`},
		{"slots: 7\n---\nslots: 8\n", `want one document`},
		{"slots: 7\n  lease: 1s\n", `:2:1: not YAML: mapping values are not allowed in this context`},
		{"slots: 7\nlease: *x\n", `not YAML: a value that begins with * must stand in quotes`},
		{"\x00", `not YAML`}, {"\xff\xfe\x00\xd8", `not YAML`}, {"? [a]\n: b\n", `:1:3: this is no key`}, {"<<: {slots: 1}\n", `this is no key`},
		{"slots: 7 #" + strings.Repeat("x", 1<<20), `it is larger than 1MiB`},
	} {
		got, _, err := load(t, []string{"--config", write(t, c.text)}, nil)
		switch {
		case c.want == "" && (err != nil || strings.Contains(c.text, "7") && got.Slots != 7):
			t.Errorf("%.40q: got %d slots, %v", c.text, got.Slots, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.40q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestFileIsMissing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for _, c := range []struct {
		args, environ []string
		want          string
	}{
		{[]string{"--config", missing}, nil, "--config: read " + missing + ": no such file or directory"},
		{nil, []string{"STATEGATE_CONFIG=" + missing}, "STATEGATE_CONFIG: read " + missing + ": no such file or directory"},
		{nil, []string{"STATEGATE_STORE_FILE=" + missing}, "STATEGATE_STORE_FILE: read " + missing + ": no such file or directory"},
	} {
		_, _, err := load(t, c.args, c.environ)
		var wrong *ValueError
		if err == nil || err.Error() != c.want || errors.As(err, &wrong) {
			t.Errorf("got %v, want %s, which is no ValueError", err, c.want)
		}
	}
	if _, _, err := load(t, []string{"--config="}, []string{"STATEGATE_CONFIG=" + missing}); err == nil || !strings.Contains(err.Error(), "want the name of a file") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownVariables(t *testing.T) {
	_, got, err := load(t, nil, []string{
		"STATEGATE_STOER=x", "STATEGATE_ADMIN_PASSWORD_OF_MINE=hunter2", "STATEGATE_TEST_REQUIRE=1", "STATEGATE_EMPTY=", "OTHER=x", "STATEGATE=x", "STATEGATE_URL=http://x", "STATEGATE_TOKEN_FILE=x", "STATEGATE_CA_FILE=x",
		"STATEGATE_SERVICE_HOST=10.0.0.1", "STATEGATE_SERVICE_PORT_HTTP=80", "STATEGATE_PORT=tcp://10.0.0.1:80", "STATEGATE_PORT_80_TCP_ADDR=10.0.0.1",
		"STATEGATE_ADMIN_SERVICE_PORT=81", "STATEGATE_ADMIN_PORT_81_TCP=tcp://10.0.0.1:81",
	})
	want := []string{
		`variable "STATEGATE_ADMIN_PASSWORD_OF_MINE" is not known and has no effect`,
		`variable "STATEGATE_STOER" is not known and has no effect: did you mean STATEGATE_STORE?`,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

// TestModuleIsAList: several modules are given alike in a file, in the environment and as flags.
func TestModuleIsAList(t *testing.T) {
	want := []string{"classpath:a.yaml", "/opt/statefun/modules", "c.yaml"}
	inFile := func(text string) []string { return []string{"--config", write(t, text)} }
	for name, c := range map[string]struct{ args, environ []string }{
		"flag repeated":        {[]string{"--module", want[0], "--module=" + want[1], "--module", want[2]}, nil},
		"flag with commas":     {[]string{"--module", "classpath:a.yaml,/opt/statefun/modules", "--module", "c.yaml"}, []string{"STATEGATE_MODULE=z"}},
		"variable":             {nil, []string{"STATEGATE_MODULE=classpath:a.yaml, /opt/statefun/modules ,c.yaml"}},
		"text in a file":       {inFile("module: classpath:a.yaml,/opt/statefun/modules,c.yaml\n"), nil},
		"list in a file":       {inFile("module:\n  - classpath:a.yaml\n  - /opt/statefun/modules\n  - c.yaml\n"), nil},
		"list in a file, flow": {inFile("module: ['classpath:a.yaml', /opt/statefun/modules, c.yaml]\n"), nil},
	} {
		got, warnings, err := load(t, c.args, c.environ)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: warnings %q, error %v", name, warnings, err)
		}
		if diff := cmp.Diff(want, got.Module); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for text, want := range map[string]string{
		"module: []\n":         ":1:9: module: want at least one in the list",
		"module: [a, ]\n":      "",
		"module: [a, [b]]\n":   ":1:9: module: want a list of texts",
		"module: [a, null]\n":  ":1:9: module: want a list of texts",
		"module: ['']\n":       ":1:9: module: want the name of a file or of a folder",
		"module: {a: b}\n":     ":1:9: module: want a text or a number",
		"module: a\nslots: []": ":2:8: slots: want a text or a number",
	} {
		_, _, err := load(t, inFile(text), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
