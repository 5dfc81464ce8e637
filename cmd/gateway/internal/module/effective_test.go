package module

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shownEffective is a line for each component and setting.
func shownEffective(m *Module) string {
	var b strings.Builder
	for _, i := range m.Effective() {
		fmt.Fprintf(&b, "%s %s  # %s\n", i.Kind, i.ID, fileLine(i.Place))
		for _, s := range i.Settings {
			fmt.Fprintf(&b, "  %s: %s  # %s\n", s.Path, s.Value, s.From)
		}
	}
	return b.String()
}

// told are the modules of testdata/module whose settings are compared one by one.
var told = []string{
	"aliases", "endpoint-v1", "example-every-kind", "example-legacy", "http", "kafka-address-and-group-from-properties", "kafka-properties", "kinesis",
	"late-call-below-the-default-read", "late-duration-compound", "late-tls-empty", "null-is-absent", "placeholder-empty-is-absent",
	"placeholders", "repeated-key", "transport-async-legacy-timeouts", "transport-okhttp", "transport-own-options",
}

// TestEffective lists what counts in every good module of testdata/module, and where it comes from, and compares it with the file of
// testdata/effective that has its name. No secret is in it.
func TestEffective(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures, "good", "*.yaml"))
	if err != nil || len(files) < 40 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(base, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := Parse(filepath.Base(file), data, environment)
			got := shownEffective(m)
			if strings.Contains(got, "hunter2") && base != "late-url-password-not-shown" {
				t.Error("a secret is shown")
			}
			if slices.Contains(told, base) {
				compare(t, filepath.Join("testdata", "effective", base+".txt"), got)
			}
			for _, i := range m.Effective() {
				var paths []string
				for _, s := range i.Settings {
					if slices.Contains(paths, s.Path) {
						t.Errorf("%s %s has %s twice", i.Kind, i.ID, s.Path)
					}
					paths = append(paths, s.Path)
					if s.From == "" {
						t.Errorf("%s %s: nobody knows where %s comes from", i.Kind, i.ID, s.Path)
					}
				}
			}
		})
	}
}

// TestShownProperties: of properties only numbers, known words and names of files are shown, and only where nothing else belongs.
func TestShownProperties(t *testing.T) {
	for property, want := range map[[2]string]bool{
		{"acks", "all"}: true, {"acks", "hunter2"}: false, {"security.protocol", "SASL_SSL"}: true, {"security.protocol", "SASL_SSL hunter2"}: false,
		{"ssl.enabled.protocols", "TLSv1.2, TLSv1.3"}: true, {"ssl.enabled.protocols", "TLSv1.2,hunter2"}: false, {"ssl.endpoint.identification.algorithm", ""}: true,
		{"fetch.max.wait.ms", "500"}: true, {"fetch.max.wait.ms", "hunter2"}: false, {"aws.clientconfig.maxConnections", "64"}: true, {"sasl.login.refresh.window.factor", "0.8"}: true,
		{"ssl.key.password", "1234"}: false, {"ssl.keystore.password", "true"}: false, {"sasl.jaas.config", "x"}: false, {"client.id", "x"}: false, {"a.b", "1"}: false,
		{"ssl.truststore.location", "/etc/kafka/trust.jks"}: true, {"ssl.truststore.location", "hunter2"}: false, {"ssl.keystore.key", "/etc/kafka/key.pem"}: false,
		{"sasl.oauthbearer.client.credentials.client.secret", "1"}: false, {"proxyPassword", "1"}: false,
	} {
		if got := showsProperty(property[0], property[1]); got != want {
			t.Errorf("%s: %s is shown %v, want %v", property[0], property[1], got, want)
		}
	}
}
