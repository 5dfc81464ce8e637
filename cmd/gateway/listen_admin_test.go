package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/admin"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/credential"
)

// TestListenAdmin: where it listens, what is refused, what is warned of, and who may do what.
func TestListenAdmin(t *testing.T) {
	folder := t.TempDir()
	operators, readers, none := filepath.Join(folder, "operators"), filepath.Join(folder, "readers"), filepath.Join(folder, "none")
	writeFile(t, operators, "op\nboth\n")
	writeFile(t, readers, "re\nboth\n")
	writeFile(t, none, "\n")
	cert, key := writePair(t, folder, "a")
	const stranger, reader, operator = admin.Stranger, admin.Reader, admin.Operator
	for name, c := range map[string]struct {
		cfg   config.Config
		wrong string // in the error; "": it opens
		warns string
		roles map[string]admin.Role // nil: nobody is asked
	}{
		"the loopback":           {cfg: config.Config{Admin: "127.0.0.1:0"}},
		"its name":               {cfg: config.Config{Admin: "localhost:0"}},
		"everybody":              {cfg: config.Config{Admin: "0.0.0.0:0"}, wrong: "--admin-insecure"},
		"every interface":        {cfg: config.Config{Admin: ":0"}, wrong: "--admin-token-file"},
		"every interface of six": {cfg: config.Config{Admin: "[::]:0"}, wrong: "--admin-token-file"},
		"a name":                 {cfg: config.Config{Admin: "gateway.example:0"}, wrong: "--admin-token-file"},
		"everybody, as said":     {cfg: config.Config{Admin: ":0", AdminInsecure: true}, warns: "whoever reaches it"},
		"everybody with TLS":     {cfg: config.Config{Admin: ":0", AdminTLSCert: cert, AdminTLSKey: key}, warns: "whoever reaches it"},
		"with tokens": {cfg: config.Config{Admin: ":0", AdminTokenFile: operators, AdminReadTokenFile: readers}, warns: "in the clear",
			roles: map[string]admin.Role{"": stranger, "Bearer re": reader, "Bearer op": operator, "Bearer both": operator, "Bearer x": stranger}},
		"with both": {cfg: config.Config{Admin: ":0", AdminTokenFile: operators, AdminTLSCert: cert, AdminTLSKey: key},
			roles: map[string]admin.Role{"": stranger, "Bearer re": stranger, "Bearer op": operator}},
		"readers only":            {cfg: config.Config{Admin: "127.0.0.1:0", AdminReadTokenFile: readers}, roles: map[string]admin.Role{"Bearer both": reader, "Bearer op": stranger}},
		"no token in the file":    {cfg: config.Config{Admin: ":0", AdminTokenFile: none}, wrong: "--admin-token-file: " + none + " holds no token"},
		"no file":                 {cfg: config.Config{Admin: ":0", AdminReadTokenFile: "nowhere"}, wrong: "--admin-read-token-file: open nowhere"},
		"a certificate alone":     {cfg: config.Config{Admin: ":0", AdminTLSCert: cert}, wrong: "want both or none"},
		"a key for a certificate": {cfg: config.Config{Admin: ":0", AdminTLSCert: key, AdminTLSKey: key}, wrong: "--admin-tls-cert and --admin-tls-key: "},
	} {
		var log bytes.Buffer
		d, err := listenAdmin(c.cfg, &credential.Files{}, slog.New(slog.NewTextHandler(&log, nil)))
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			continue
		}
		_ = d.Close()
		if (c.warns == "") != (log.Len() == 0) || !strings.Contains(log.String(), c.warns) {
			t.Errorf("%s: the log says %q", name, log.String())
		}
		if d.access.Local != loopback(c.cfg.Admin) || d.access.TLS != (c.cfg.AdminTLSCert != "") || (d.access.Role == nil) != (c.roles == nil) {
			t.Errorf("%s: %+v", name, d.access)
			continue
		}
		for given, want := range c.roles {
			if got := d.access.Role(given); got != want {
				t.Errorf("%s: %q is %d, want %d", name, given, got, want)
			}
		}
	}
}
