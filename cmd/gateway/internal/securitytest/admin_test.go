//go:build unix

package securitytest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// doorsModule is an application whose events come by HTTP; its function is away, so what is sent waits.
const doorsModule = `
kind: io.stategate.http.v1/ingress
spec: {id: test/api, functions: [test/*]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "http://127.0.0.1:1/f"}
`

// doors is a gateway that others can reach, by both of its doors.
type doors struct {
	t             *testing.T
	g             *testgateway.Gateway
	folder        string
	admin, events string // HOST:PORT
	client        *http.Client
}

func newDoors(t *testing.T, flags ...string) *doors {
	t.Helper()
	d := &doors{t: t, folder: t.TempDir(), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
	var err error
	for _, address := range []*string{&d.admin, &d.events} {
		if *address, err = testserver.FreeAddr(); err != nil {
			t.Fatal(err)
		}
	}
	d.write("module.yaml", doorsModule)
	everywhere := func(address string) string {
		_, port, _ := net.SplitHostPort(address)
		return "0.0.0.0:" + port
	}
	d.g = testgateway.New(t, d.folder, "gateway", nil, append([]string{"--module", d.path("module.yaml"), "--store", "sqlite:" + d.path("store.db"),
		"--admin", everywhere(d.admin), "--listen", everywhere(d.events), "--log-level", "debug"}, flags...)...)
	return d
}

func (d *doors) path(name string) string { return filepath.Join(d.folder, name) }

func (d *doors) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// issue writes a new certificate with its key, and answers what is served of it.
func (d *doors) issue(authority *testserver.Authority, name string) (leaf []byte) {
	d.t.Helper()
	cert, key, err := authority.Issue(testserver.Subject{Name: name})
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("tls.crt", string(cert))
	d.write("tls.key", string(key))
	block, _ := pem.Decode(cert)
	return block.Bytes
}

// ask answers 0 when nothing comes back.
func (d *doors) ask(method, url, token string, headers ...string) (status int, body string) {
	d.t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// until asks until the status is the wanted one.
func (d *doors) until(what string, want int, method, url, token string) {
	d.t.Helper()
	testgateway.Poll(d.t, what, func() (bool, string) {
		d.g.MustRun()
		status, body := d.ask(method, url, token)
		return status == want, fmt.Sprintf("%d %s", status, body)
	})
}

// TestDoorsAreClosed: a gateway does not start where others reach its admin side and nobody is asked.
func TestDoorsAreClosed(t *testing.T) {
	d := newDoors(t, "--listen-insecure")
	cmd := exec.Command(testgateway.Binary(t), d.g.Args...)
	cmd.Env = testgateway.CleanEnviron()
	said, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "can be reached by others") || !strings.Contains(string(said), "--admin-insecure") {
		t.Fatalf("it ends with %v:\n%s", err, said)
	}
	d.g.Args = append(d.g.Args, "--admin-insecure")
	d.g.Start()
	d.until("the open gateway", 200, "GET", "http://"+d.admin+"/v1/deadletters", "")
	if status, _ := d.ask("GET", "http://"+d.admin+"/debug/pprof/heap", ""); status != 403 {
		t.Errorf("profiles for everybody: %d", status)
	}
	d.g.Stop()
}

// TestDoorsOfTheAdminSide: each route without rights, with the wrong role and with the right one; foreign pages; tokens and certificates
// replaced while it runs, those that cannot be used too; nothing that it says holds a token.
func TestDoorsOfTheAdminSide(t *testing.T) {
	authority, err := testserver.NewAuthority("authority")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoors(t)
	old := d.issue(authority, "gateway")
	d.write("operators", "hunter2-operator\n")
	d.write("readers", "hunter2-reader\n")
	d.g.Args = append(d.g.Args, "--admin-token-file", d.path("operators"), "--admin-read-token-file", d.path("readers"),
		"--admin-tls-cert", d.path("tls.crt"), "--admin-tls-key", d.path("tls.key"), "--listen-insecure")
	d.g.Start()
	admin := "https://" + d.admin
	d.until("the gateway to be ready", 200, "GET", admin+"/readyz", "")

	_, index := d.ask("GET", admin+"/", "hunter2-operator")
	var listed struct{ Routes []struct{ Path string } }
	if err := json.Unmarshal([]byte(index), &listed); err != nil || len(listed.Routes) < 9 {
		t.Fatalf("%v in %s", err, index)
	}
	said := index
	for _, r := range listed.Routes {
		path := strings.NewReplacer("{namespace}", "test", "{name}", "f", "{id}", "k", "{number}", "7").Replace(r.Path)
		if strings.HasSuffix(path, "/f") {
			path += "?id=k"
		}
		probe, profile := path == "/healthz" || path == "/readyz" || path == "/metrics", strings.HasPrefix(path, "/debug/")
		for token, wrong := range map[string]int{"": 401, "hunter2-nobody": 401, "hunter2-reader": 403, "hunter2-operator": 0} {
			status, body := d.ask("GET", admin+path, token)
			said += body
			refused := wrong == 401 && !probe || wrong == 403 && profile
			if refused && status != wrong || !refused && (status == 401 || status == 403 || status == 0) {
				t.Errorf("GET %s with %q: %d %s", path, token, status, body)
			}
			if refused && (!strings.Contains(body, `"remedy"`) || !strings.Contains(body, "adminTokenFile")) {
				t.Errorf("GET %s with %q: %s", path, token, body)
			}
		}
	}
	for token, want := range map[string]int{"": 401, "hunter2-reader": 403, "hunter2-operator": 404} {
		if status, body := d.ask("DELETE", admin+"/v1/deadletters/7", token); status != want {
			t.Errorf("DELETE with %q: %d %s", token, status, body)
		}
	}
	for _, header := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"} {
		if status, body := d.ask("DELETE", admin+"/v1/deadletters/7", "hunter2-operator", header); status != 403 {
			t.Errorf("with %s: %d %s", header, status, body)
		}
	}

	d.write("operators", "hunter2-operator\nhunter2-next\n")
	d.until("the next token", 200, "GET", admin+"/v1/version", "hunter2-next")
	d.write("operators", "hunter2-next\n")
	d.until("the old token's end", 401, "GET", admin+"/v1/version", "hunter2-operator")
	d.write("operators", "hunter2 is two words\n")
	testgateway.Poll(t, "the reason", func() (bool, string) {
		_, body := d.ask("GET", admin+"/readyz", "")
		said += body
		return strings.Contains(body, `"credentials"`) && strings.Contains(body, "operators:1: a token is"), body
	})
	if status, body := d.ask("GET", admin+"/v1/version", "hunter2-next"); status != 200 {
		t.Errorf("with a file that cannot be used what was read before does not count: %d %s", status, body)
	}
	if status, body := d.ask("GET", admin+"/metrics", ""); !strings.Contains(body, `reason="credentials"`) {
		t.Errorf("%d, and no credentials among the reasons", status)
	}
	d.write("operators", "hunter2-next\n")
	testgateway.Poll(t, "the reason's end", func() (bool, string) {
		_, body := d.ask("GET", admin+"/readyz", "")
		return !strings.Contains(body, `"credentials"`), body
	})

	if got := d.served(d.admin); !bytes.Equal(got, old) {
		t.Error("the first certificate is not served")
	}
	young := d.issue(authority, "gateway")
	testgateway.Poll(t, "the next certificate", func() (bool, string) { return bytes.Equal(d.served(d.admin), young), "the old one" })
	d.g.Stop()
	log, err := os.ReadFile(d.g.Log)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"an answer": said, "the log": string(log)} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s tells a secret:\n%.4000s", what, text)
		}
	}
}

// served is the certificate that is shown by whoever listens there; nil: nobody.
func (d *doors) served(address string) []byte {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Raw
}

// TestDoorsOfEvents: tokens and certificates of HTTP ingresses are replaced while the gateway runs.
func TestDoorsOfEvents(t *testing.T) {
	authority, err := testserver.NewAuthority("authority")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoors(t)
	old := d.issue(authority, "gateway")
	d.write("tokens", "hunter2-first\n")
	d.write("operators", "hunter2-operator\n")
	d.g.Args = append(d.g.Args, "--admin-token-file", d.path("operators"), "--listen-token-file", d.path("tokens"), "--listen-tls-cert", d.path("tls.crt"), "--listen-tls-key", d.path("tls.key"))
	d.g.Start()
	send := "https://" + d.events + "/v1/send/test/f/k"
	d.until("the gateway to take an event", 202, "POST", send, "hunter2-first")
	if status, _ := d.ask("POST", send, "hunter2-second"); status != 401 {
		t.Errorf("a token that is not known: %d", status)
	}
	d.write("tokens", "hunter2-second\n")
	d.until("the second token", 202, "POST", send, "hunter2-second")
	if status, _ := d.ask("POST", send, "hunter2-first"); status != 401 {
		t.Errorf("the first token: %d", status)
	}
	if !bytes.Equal(d.served(d.events), old) {
		t.Error("the first certificate is not served")
	}
	young := d.issue(authority, "gateway")
	testgateway.Poll(t, "the next certificate", func() (bool, string) { return bytes.Equal(d.served(d.events), young), "the old one" })
	if status, body := d.ask("POST", send, "hunter2-second"); status != 202 {
		t.Errorf("with the next certificate: %d %s", status, body)
	}
	d.g.Stop()
}

// TestDoorOfTheHost: on loopback nobody is asked for a token, and no page and no name of another site comes in, whatever the request
// looks like.
func TestDoorOfTheHost(t *testing.T) {
	d := newDoors(t)
	d.g.Args = append(d.g.Args, "--admin", d.admin, "--listen", d.events)
	d.g.Start()
	d.until("the gateway to be ready", 200, "GET", "http://"+d.admin+"/readyz", "")
	for request, want := range map[string]string{
		"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n":                                                  "200",
		"GET /debug/pprof/goroutine HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                                       "200",
		"GET /v1/version HTTP/1.0\r\n\r\n":                                                                     "200", // a program of old
		"GET /v1/version HTTP/1.1\r\nHost: rebound.example\r\n\r\n":                                            "403",
		"GET /metrics HTTP/1.1\r\nHost: rebound.example:8081\r\n\r\n":                                          "403",
		"GET http://rebound.example/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n":                            "403",
		"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\n\r\n":                         "400",
		"GET /v1/version HTTP/1.1\r\nHost: localhost@rebound.example\r\n\r\n":                                  "400",
		"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: rebound.example\r\n\r\n":             "200",
		"DELETE /v1/deadletters/1 HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n":          "403",
		"DELETE /v1/deadletters/1 HTTP/1.1\r\nHost: localhost\r\norigin: http://localhost:3000\r\n\r\n":        "403",
		"DELETE /v1/deadletters/1 HTTP/1.1\r\nHost: localhost\r\nOrigin:\thttp://evil.example\r\n\r\n":         "403",
		"POST /v1/deadletters/1 HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: DELETE\r\n\r\n":         "405",
		"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + strings.Repeat("x", 1<<20) + "\r\n": "431",
		"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nA\x00: b\r\n\r\n":                                      "400",
		"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nOrigin: \x01\r\n\r\n":                                  "400",
	} {
		conn, err := net.Dial("tcp", d.admin)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, request) }() // a server that refuses does not read all
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%.100q: got %q, %v, want %s", request, line, err, want)
		}
	}
	d.g.Stop()
}
