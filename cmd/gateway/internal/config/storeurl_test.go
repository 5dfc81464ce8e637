package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestStoreURL(t *testing.T) {
	for _, c := range []struct {
		text           string
		kind           StoreKind
		path, redacted string // redacted "": the text itself
	}{
		{"sqlite:stategate.db", StoreSQLite, "stategate.db", ""},
		{"sqlite:/var/lib/x y.db", StoreSQLite, "/var/lib/x y.db", ""},
		{"SQLite:x", StoreSQLite, "x", "sqlite:x"},
		{"sqlite:///var/lib/x.db", StoreSQLite, "/var/lib/x.db", "sqlite:/var/lib/x.db"},
		{"memory:", StoreMemory, "", ""},
		{"postgres://", StorePostgres, "", ""},
		{"postgres:///db", StorePostgres, "", ""},
		{"postgresql://u@h:5432/db", StorePostgres, "", ""},
		{"postgres://u:hunter2@h/db", StorePostgres, "", "postgres://u:***@h/db"},
		{"postgres://u:@h/db", StorePostgres, "", "postgres://u:***@h/db"},
		{"postgres://u:p%40hunter2@h/db", StorePostgres, "", "postgres://u:***@h/db"},
		{"postgres://u:p@hunter2@h/db", StorePostgres, "", "postgres://u:***@h/db"},
		{"postgres://u:a:hunter2@h/db", StorePostgres, "", "postgres://u:***@h/db"},
		{"postgres://u:%2Fhunter2%3F%23@[::1]:5432/db", StorePostgres, "", "postgres://u:***@[::1]:5432/db"},
		{"postgres://u%40x@h/db", StorePostgres, "", ""},
		{"postgres://h/db?sslmode=disable&schema=a", StorePostgres, "", "postgres://h/db?schema=a&sslmode=disable"},
		{"postgres://h/db?password=hunter2", StorePostgres, "", "postgres://h/db?***"},
		{"postgres://h/db?PASSWORD=hunter2&sslpassword=hunter2&schema=a", StorePostgres, "", "postgres://h/db?schema=a&***"},
		{"postgres://h/db?hunter2", StorePostgres, "", "postgres://h/db?***"},
		{"postgres://h/db?options=-c%20x%3Dhunter2", StorePostgres, "", "postgres://h/db?***"},
	} {
		u, err := ParseStoreURL(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		want := c.redacted
		if want == "" {
			want = c.text
		}
		if u.Kind() != c.kind || u.Path() != c.path || u.Redacted() != want {
			t.Errorf("%q: got %s %q %q, want %s %q %q", c.text, u.Kind(), u.Path(), u.Redacted(), c.kind, c.path, want)
		}
		if c.kind == StorePostgres && u.Reveal() != c.text {
			t.Errorf("%q: reveals %q", c.text, u.Reveal())
		}
		if again, err := ParseStoreURL(u.Reveal()); err != nil || again != u {
			t.Errorf("%q: what it reveals gives %#v, %v", c.text, again, err)
		}
	}
}

// hostile are URLs that no store has, with a password in them that nothing may show.
var hostile = []string{
	"hunter2", "hunter2:", "hunter2://x", "mysql://u:hunter2@h/d", "memory:hunter2", "memory://u:hunter2@h", "postgres:hunter2", "postgres:/hunter2",
	"postgres//u:hunter2@h/db", "postgres://u:hunter2", "postgres://u:hunter2/x@h/db", "postgres://u:1/hunter2@h/db", "postgres://u:1?hunter2@h/db",
	"postgres://u:1#hunter2@h/db", "postgres://u:1#@hunter2/db", "postgres://u:%zzhunter2@h/db", "postgres://u:hunter2@h:port/db", "postgres://u:hun ter2hunter2@h/db",
	"postgres://u:hunter2\x00@h/db", "postgres://u:hunter2\n@h/db", "postgres://h/db?password=p@hunter2", "postgres://h/db?password=hunter2;x", "postgres://h/db?password=hunter2%zz",
	"postgres://u:hunter2@[h/db", " postgres://u:hunter2@h/db", "'postgres://u:hunter2@h/db'", "sqlite://hunter2", "sqlite:x?key=hunter2", "sqlite:x#hunter2", "sqlite:hunter2/", "sqlite:x\x00hunter2",
	"sqlite:", "sqlite::memory:", "",
}

func TestHostileStoreURL(t *testing.T) {
	for _, text := range hostile {
		u, err := ParseStoreURL(text)
		if err == nil {
			t.Errorf("%q gives %v", text, u)
			continue
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: its error shows the password: %v", text, err)
		}
	}
}

// TestPasswordIsShownNowhere gives hostile URLs to every door.
func TestPasswordIsShownNowhere(t *testing.T) {
	for _, text := range hostile {
		for _, door := range []func() ([]string, []string){
			func() ([]string, []string) { return []string{"--store=" + text}, nil },
			func() ([]string, []string) { return []string{"--store-file", write(t, text)}, nil },
			func() ([]string, []string) { return nil, []string{"STATEGATE_STORE=" + text} },
			func() ([]string, []string) { return nil, []string{"STATEGATE_STORE_FILE=" + write(t, text+"\r\n")} },
			func() ([]string, []string) { return []string{"--config", write(t, "store: "+text+"\n")}, nil },
			func() ([]string, []string) {
				return []string{"--config", write(t, fmt.Sprintf("store: %q\n", text))}, nil
			},
			func() ([]string, []string) { return []string{"--config", write(t, text)}, nil },
			func() ([]string, []string) { return []string{"--config", write(t, text+": x")}, nil },
		} {
			args, environ := door()
			flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
			l := Register(flags)
			err := flags.Parse(args)
			var c Config
			var warnings []string
			if err == nil {
				c, warnings, err = l.Load(environ)
			}
			if shown := fmt.Sprintf("%v %+v %q", err, c, warnings); strings.Contains(shown, "hunter") && !strings.Contains(shown, `unknown key "hunter2"`) {
				t.Errorf("%q: %q", args, shown)
			}
		}
	}
}

func TestStoreURLIsPrinted(t *testing.T) {
	u, err := ParseStoreURL("postgres://u:hunter2@h/db?password=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := Config{Store: u}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "store", u, "config", c, "pointer", &c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "store", u, "config", c, "pointer", &c)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(text) + fmt.Sprint(u, &u, c, &c) + fmt.Sprintf("%s %v %+v %#v %q %x %d", u, u, u, u, u, u, u) + fmt.Sprintf("%v %+v %#v", c, c, c)
	if strings.Contains(all, "hunter") || strings.Contains(all, fmt.Sprintf("%x", "hunter")) {
		t.Errorf("a password is shown: %s", all)
	}
	if !strings.Contains(log.String(), "postgres://u:***@h/db") {
		t.Errorf("the log does not name the store: %s", log.String())
	}
}

func TestStoreFile(t *testing.T) {
	file := write(t, "postgres://u:pw@h/db\n")
	inFile := func(text string) []string { return []string{"--config", write(t, text)} }
	for _, c := range []struct {
		name          string
		args, environ []string
		want, wrong   string
	}{
		{"variable", nil, []string{"STATEGATE_STORE_FILE=" + file}, "postgres://u:pw@h/db", ""},
		{"flag", []string{"--store-file", file}, nil, "postgres://u:pw@h/db", ""},
		{"key", inFile("storeFile: " + file), nil, "postgres://u:pw@h/db", ""},
		{"flag beats variable", []string{"--store=memory:"}, []string{"STATEGATE_STORE_FILE=" + file}, "memory:", ""},
		{"flag beats a missing file", []string{"--store=memory:"}, []string{"STATEGATE_STORE_FILE=/none/such"}, "memory:", ""},
		{"variable beats key", inFile(`store: "memory:"`), []string{"STATEGATE_STORE_FILE=" + file}, "postgres://u:pw@h/db", ""},
		{"variable beats key of file", inFile("storeFile: /none/such"), []string{"STATEGATE_STORE=memory:"}, "memory:", ""},
		{"both variables", nil, []string{"STATEGATE_STORE=memory:", "STATEGATE_STORE_FILE=" + file}, "", "STATEGATE_STORE and STATEGATE_STORE_FILE: both say where the store is"},
		{"both variables and a flag", []string{"--store=memory:"}, []string{"STATEGATE_STORE=memory:", "STATEGATE_STORE_FILE=" + file}, "", "both say where the store is"},
		{"both flags", []string{"--store=memory:", "--store-file", file}, nil, "", "--store and --store-file: both say where the store is"},
		{"both keys", inFile("store: 'memory:'\nstoreFile: " + file), nil, "", "both say where the store is"},
		{"empty file", []string{"--store-file", write(t, "\n")}, nil, "", "--store-file: the URL in "},
		{"two lines", []string{"--store-file", write(t, "memory:\nx\n")}, nil, "", "memory: takes nothing behind the colon"},
		{"folder", []string{"--store-file", t.TempDir()}, nil, "", "is a directory"},
		{"huge", []string{"--store-file", write(t, "sqlite:"+strings.Repeat("x", 64<<10))}, nil, "", "larger than 64KiB"},
	} {
		got, _, err := load(t, c.args, c.environ)
		switch {
		case c.wrong == "" && (err != nil || got.Store.Reveal() != c.want || (got.StoreFile == "") != (c.want == "memory:")):
			t.Errorf("%s: got %s from %q, %v", c.name, got.Store.Reveal(), got.StoreFile, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.wrong)
		}
		var wrong *ValueError
		if isRead := c.name == "folder" || c.name == "huge"; c.wrong != "" && errors.As(err, &wrong) == isRead {
			t.Errorf("%s: a ValueError: %v", c.name, !isRead)
		}
	}
}

func FuzzParseStoreURL(f *testing.F) {
	for _, text := range append(hostile, "postgres://u:p@h/db?x=y", "sqlite:x", "memory:") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const password = "hunter2hunter2"
		if strings.ContainsAny(text, "&") || strings.Contains(text, "hunter") {
			return // another parameter, which may be one that is shown
		}
		for _, url := range []string{text, "postgres://u:" + password + text + "@h/db", "postgres://u:" + text + password + "@h/db", "postgres://h/db?password=" + text + password} {
			u, err := ParseStoreURL(url)
			if err == nil {
				err = errors.New(u.Redacted())
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("%q shows its password: %v", url, err)
			}
		}
	})
}
