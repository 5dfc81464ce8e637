//go:build unix

package securitytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

const signedModule = `
kind: io.stategate.http.v1/ingress
spec: {id: test/api, functions: [test/*]}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: test/f
  urlPathTemplate: "${FUNCTIONS}/statefun"
  onFailure: deadLetter
  transport: {timeouts: {call: 1s}}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/crowd, urlPathTemplate: "${FUNCTIONS}/statefun", onFailure: deadLetter}
`

const (
	firstKey  = "hunter2-hunter2-hunter2-hunter2-first"
	secondKey = "hunter2-hunter2-hunter2-hunter2-second"
)

// services start a service of each of our SDKs that asks for signatures; testdata has their source.
var services = map[string]func(t *testing.T) *exec.Cmd{
	"go": func(t *testing.T) *exec.Cmd {
		// A program inside the SDK's module: the gateway's has no dependency on it.
		folder := t.TempDir()
		source, err := filepath.Abs(filepath.Join("testdata", "signed.go.txt"))
		if err != nil {
			t.Fatal(err)
		}
		sdk, err := filepath.Abs(filepath.Join("..", "..", "..", "..", "sdk", "go"))
		if err != nil {
			t.Fatal(err)
		}
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(sdk, "internal", "signed", "main.go"): source}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o600); err != nil {
			t.Fatal(err)
		}
		build := exec.Command("go", "build", "-overlay", filepath.Join(folder, "overlay.json"), "-o", filepath.Join(folder, "signed"), "./internal/signed")
		build.Dir = sdk
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return exec.Command(filepath.Join(folder, "signed"))
	},
	"python": func(t *testing.T) *exec.Cmd {
		packages, err := filepath.Abs(filepath.Join("..", "..", "..", "..", "sdk", "python"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(testserver.SDK(t, "python"), "bin", "python"), "-B", filepath.Join("testdata", "signed.py"))
		cmd.Env = []string{"PYTHONPATH=" + packages}
		return cmd
	},
}

// TestSignedCalls: a function of each SDK takes the calls of its gateway, ordinary and bulk, and nobody else's. While the keys do not fit
// nothing is lost and nothing set aside; they are replaced while both run.
func TestSignedCalls(t *testing.T) {
	for language, service := range services {
		t.Run(language, func(t *testing.T) {
			d := newDoors(t)
			place, err := testserver.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			cmd := service(t)
			cmd.Env = testgateway.CleanEnviron(append(cmd.Env, "ADDRESS="+place, "KEYS="+firstKey+" "+secondKey)...)
			process, err := testgateway.Spawn("service", d.path("service.log"), cmd)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(process.End)
			d.write("module.yaml", strings.ReplaceAll(signedModule, "${FUNCTIONS}", "http://"+place))
			d.write("keys", "hunter2-hunter2-hunter2-of-somebody-else\n")
			d.g.Args = append(d.g.Args, "--admin-insecure", "--listen-insecure", "--signing-key-file", d.path("keys"))
			d.g.Start()

			d.until("an event to be taken", 202, "POST", "http://"+d.events+"/v1/send/test/f/k", "")
			testgateway.Poll(t, "the reason", func() (bool, string) {
				d.g.MustRun()
				_, body := d.ask("GET", "http://"+d.admin+"/readyz", "")
				return strings.Contains(body, `"endpoint"`), body
			})
			testgateway.Poll(t, "what is wrong to be said", func() (bool, string) {
				_, body := d.ask("GET", "http://"+d.admin+"/v1/addresses/test/f/k", "")
				return strings.Contains(body, "401 Unauthorized") && strings.Contains(body, "give the function a key that the gateway signs with"), body
			})
			d.write("keys", firstKey+"\n")
			// The event before was called once.
			if got := d.call("k"); got != "2" {
				t.Errorf("with a key that fits: %s", got)
			}
			d.write("keys", secondKey+"\n"+firstKey+"\n")
			testgateway.Poll(t, "the keys to be read", func() (bool, string) {
				return len(d.g.Logged("credentials: read again")) >= 2, "not yet"
			})
			if got := d.call("k"); got != "3" {
				t.Errorf("with two keys: %s", got)
			}

			d.crowd(400)
			if requests, calls := d.metric("stategate_request_calls_count"), d.metric("stategate_request_calls_sum"); requests == 0 || calls <= requests {
				t.Errorf("%v requests for %v calls: no bulk among them", requests, calls)
			}
			if _, letters := d.ask("GET", "http://"+d.admin+"/v1/deadletters", ""); !strings.Contains(letters, `"items": []`) {
				t.Errorf("set aside: %s", letters)
			}
			d.unsigned("http://" + place + "/statefun")
			d.g.Stop()
			for _, name := range []string{"gateway.log", "service.log"} {
				log, err := os.ReadFile(d.path(name))
				if err != nil || strings.Contains(string(log), "hunter2") {
					t.Errorf("%s, %v:\n%s", name, err, log)
				}
			}
		})
	}
}

// metric is a sample without labels.
func (d *doors) metric(name string) float64 {
	d.t.Helper()
	_, body := d.ask("GET", "http://"+d.admin+"/metrics", "")
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return value
		}
	}
	d.t.Fatalf("no %s in %.2000s", name, body)
	return 0
}

// call answers what the function does.
func (d *doors) call(id string) string {
	d.t.Helper()
	status, body := d.ask("POST", "http://"+d.events+"/v1/call/test/f/"+id, "")
	if status != 200 {
		d.t.Fatalf("%d %s", status, body)
	}
	return body
}

// crowd calls many addresses at a time, each twice.
func (d *doors) crowd(addresses int) {
	d.t.Helper()
	var all sync.WaitGroup
	for i := range addresses {
		all.Go(func() {
			for n := 1; n <= 2; n++ {
				status, body := d.ask("POST", fmt.Sprintf("http://%s/v1/call/test/crowd/%d", d.events, i), "")
				if status != 200 || body != fmt.Sprint(n) {
					d.t.Errorf("%d: %d %s, want %d", i, status, body, n)
				}
			}
		})
	}
	all.Wait()
}

// unsigned calls the function itself.
func (d *doors) unsigned(url string) {
	d.t.Helper()
	for _, media := range []string{"application/octet-stream", "application/vnd.stategate.bulk.v1"} {
		for _, signature := range []string{"", "t=1, v1=" + strings.Repeat("0", 64), "nonsense"} {
			r, err := http.NewRequest(http.MethodPost, url, strings.NewReader("x"))
			if err != nil {
				d.t.Fatal(err)
			}
			r.Header.Set("Content-Type", media)
			if signature != "" {
				r.Header.Set("Stategate-Signature", signature)
			}
			resp, err := d.client.Do(r)
			if err != nil {
				d.t.Fatal(err)
			}
			said, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != "Stategate-Signature" {
				d.t.Errorf("%s, %q: %d %v %s", media, signature, resp.StatusCode, resp.Header, said)
			}
		}
	}
}
