//go:build unix

package securitytest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestSecretsAreNotTold: a gateway whose module and settings are full of passwords tells none of them, wherever it is asked, nor in its log,
// nor in what its store keeps for the next start.
func TestSecretsAreNotTold(t *testing.T) {
	folder := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const secret = "hunter2"
	module := put("module.yaml", `kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://u:${SECRET}@127.0.0.1:1/?token=${SECRET}
  transport: {proxy: "http://u:hunter2@127.0.0.1:1"}
---
kind: io.stategate.http.v1/ingress
spec: {id: shop/api, functions: [shop/*]}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/out
  address: 127.0.0.1:1
  properties:
    - security.protocol: SASL_PLAINTEXT
    - sasl.mechanism: PLAIN
    - sasl.jaas.config: org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="${SECRET}";
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: shop/stream
  awsRegion: {type: custom-endpoint, id: eu-central-1, endpoint: "https://127.0.0.1:1"}
  awsCredentials: {type: basic, accessKeyId: hunter2, secretAccessKey: hunter2}
`)
	store := put("store", "sqlite:"+filepath.Join(folder, "app.db"))
	tokens, readers := put("operators", secret+"-operator-0123456789\n"), put("readers", secret+"-reader-0123456789\n")
	g := testgateway.New(t, folder, "gateway", []string{"SECRET=" + secret}, "--module", module, "--store-file", store, "--admin-token-file", tokens, "--admin-read-token-file", readers, "--log-level", "debug")
	g.Open()
	ask := func(path string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.Admin()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret+"-reader-0123456789")
		status, text := answer(t, r)
		if status != http.StatusOK || strings.Contains(text, secret) {
			t.Errorf("%s: %d, and tells a secret: %v\n%s", path, status, strings.Contains(text, secret), text)
		}
		return text
	}
	var told string
	testgateway.Poll(t, "the module to be compared", func() (bool, string) {
		told = ask("/v1/module")
		return strings.Contains(told, `"compared": true`), told
	})
	for _, want := range []string{`"path": "properties.sasl.jaas.config",` + "\n          \"value\": \"***\"", "module.yaml:17, placeholder SECRET (environment)", "http://***@127.0.0.1:1", `"path": "awsCredentials.secretAccessKey"`} {
		if !strings.Contains(told, want) {
			t.Errorf("/v1/module has no %s:\n%s", want, told)
		}
	}
	if settings := ask("/v1/settings"); !strings.Contains(settings, "file "+store) || !strings.Contains(settings, "flag --admin-token-file") {
		t.Errorf("/v1/settings: %s", settings)
	}
	for _, path := range []string{"/", "/v1/version", "/v1/functions", "/v1/functions/shop/cart", "/v1/ingresses", "/v1/egresses", "/v1/egresses/shop/out", "/v1/stuck", "/v1/members", "/v1/audit", "/v1/openapi.json", "/readyz", "/metrics"} {
		ask(path)
	}
	g.Stop()
	g.Start() // what the store keeps of the module is read again
	g.Until("active", testgateway.IsActive)
	testgateway.Poll(t, "the log to say that the module is what it was", func() (bool, string) {
		return len(g.Logged("the module is what it was at the last start")) == 1, "it does not"
	})
	g.Stop()
	if lines := g.Logged(secret); len(lines) > 0 {
		t.Errorf("the log tells a secret: %s", lines)
	}
	data, err := os.ReadFile(filepath.Join(folder, "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), secret) {
		t.Error("the store keeps a secret")
	}
}

func answer(t *testing.T, r *http.Request) (status int, text string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}
