package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fixtures = "../../testdata/module"

func setFixtureEnvironment(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"PORT": "8090", "BATCH": "250", "BROKERS": "kafka-0:9092,kafka-1:9092", "EMPTY": "", "SECRET": "hunter2", "TRICKY": "${PORT}: [*x",
	} {
		t.Setenv(name, value)
	}
}

// TestCheckFixtures checks every module file that the module package has: what that package says is printed, all of it.
func TestCheckFixtures(t *testing.T) {
	setFixtureEnvironment(t)
	for _, folder := range []string{"good", "bad"} {
		files, err := filepath.Glob(filepath.Join(fixtures, folder, "*.yaml"))
		if err != nil || len(files) < 20 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, file := range files {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := call(t, "check", "--module", file)
			if stderr != "" || folder == "bad" && code != exitFailed {
				t.Errorf("%s: exit %d, stderr %q", file, code, stderr)
			}
			if folder == "good" && code != exitDone && !strings.Contains(stdout, "not supported") {
				t.Errorf("%s: exit %d:\n%s", file, code, stdout)
			}
			lines := 0
			for line := range strings.Lines(string(want)) {
				isComplaint := strings.HasPrefix(line, filepath.Base(file)+":")
				isSummary := strings.HasPrefix(line, "endpoint ") || strings.HasPrefix(line, "ingress ") || strings.HasPrefix(line, "egress ")
				if !isComplaint && (!isSummary || code != exitDone) {
					continue
				}
				lines++
				if !strings.Contains(stdout, line) {
					t.Errorf("%s: missing %q in:\n%s", file, line, stdout)
				}
			}
			if lines == 0 && !strings.Contains(stdout, "not supported") {
				t.Errorf("%s: nothing is expected of it", file)
			}
			if strictCode, _, _ := call(t, "check", "--strict", file); (strictCode == exitFailed) != (code == exitFailed || strings.Contains(stdout, ": warning: ")) {
				t.Errorf("%s: exit %d with --strict:\n%s", file, strictCode, stdout)
			}
		}
	}
}

const moduleHead = `kind: io.statefun.endpoints.v2/http
spec:
  functions: a/*
  urlPathTemplate: http://h/f
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: a/in
  address: b:9092
  consumerGroupId: g
  topics:
    - topic: t
      valueType: a/v
      targets:
        - a/f
`

func writeModule(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "module.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheckProperties(t *testing.T) {
	t.Setenv("PASSWORD", "hunter2")
	file := writeModule(t, moduleHead+`  properties:
    - heartbeat.interval.ms: 3000
    - fetch.min.bytes: ${PASSWORD}
    - fetch.max.bytes: 1000000
    - sasl.jaas.config: "${PASSWORD}"
    - made.up: x
---
kind: io.statefun.kafka.v1/egress
spec:
  id: a/out
  address: b:9092
  properties:
    - linger.ms: 5
    - compression.type: ${PASSWORD}
    - security.protocol: SASL_SSL
    - acks: "1"
`)
	code, stdout, _ := call(t, "check", file)
	want := []string{
		":17:7: warning: property heartbeat.interval.ms has no effect",
		":18:7: ", "property fetch.min.bytes: want a number from 0",
		":20:7: warning: property sasl.jaas.config has no effect: security.protocol is PLAINTEXT",
		":21:7: warning: property made.up",
		":28:7: warning: property linger.ms has no effect",
		":29:7: ", "property compression.type: want none, gzip",
		":30:7: ", "property security.protocol",
		":31:7: warning: property acks has no effect: at-least-once needs all",
		file + ": 3 errors, 5 warnings\n",
	}
	rest := stdout
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Errorf("missing %q, in this order, in:\n%s", w, stdout)
			break
		}
		rest = after
	}
	if code != exitFailed || strings.Contains(stdout, "hunter2") || strings.Contains(stdout, ":19:") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}

func TestCheckFiles(t *testing.T) {
	good, warned, bad := writeModule(t, moduleHead), writeModule(t, moduleHead+"  madeUp: x\n"), writeModule(t, "kind: x\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{good}, exitDone, good + ": good\nendpoint a/*: http://h/f"},
		{[]string{"--module", good}, exitDone, good + ": good\n"},
		{[]string{warned}, exitDone, warned + ": good, with 1 warning\n"},
		{[]string{"--strict", warned}, exitFailed, warned + ": 0 errors, 1 warning\n"},
		{[]string{good, bad, warned}, exitFailed, warned + ": good, with 1 warning\n"},
		{[]string{"--module", bad, good}, exitFailed, good + ": good\n"},
		{[]string{good + ".none"}, exitFailed, good + ".none:1:1: read the module: no such file or directory\n"},
		{[]string{filepath.Dir(good)}, exitDone, filepath.Dir(good) + ": good\nread " + good + "\nendpoint a/*"},
		{[]string{t.TempDir()}, exitFailed, ":1:1: read the module: it is a folder with neither module.yaml nor */module.yaml\n"},
		{[]string{filepath.Join(fixtures, "good/kinesis.yaml")}, exitDone, ":15:7: warning: property flink.stream.recordpublisher has no effect: "},
	} {
		code, stdout, stderr := call(t, append([]string{"check"}, c.args...)...)
		if code != c.code || stderr != "" || !strings.Contains(stdout, c.want) {
			t.Errorf("%q: exit %d, stderr %q:\n%s", c.args, code, stderr, stdout)
		}
	}
	t.Setenv("STATEGATE_MODULE", warned)
	if code, stdout, _ := call(t, "check"); code != exitDone || !strings.Contains(stdout, warned) {
		t.Errorf("STATEGATE_MODULE: exit %d:\n%s", code, stdout)
	}
	t.Setenv("STATEGATE_MODULE", "")
	t.Chdir(filepath.Dir(good))
	if code, stdout, _ := call(t, "check"); code != exitDone || !strings.HasPrefix(stdout, "module.yaml: good\n") {
		t.Errorf("module.yaml: exit %d:\n%s", code, stdout)
	}
}

// TestNoModule: who is in a folder without an application is told a way on, whatever he wants to do with one.
func TestNoModule(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"check"}, {"run", "--store=memory:", "--admin=127.0.0.1:0"}, {"dev"}} {
		code, stdout, stderr := call(t, args...)
		if want := "gateway: there is no module.yaml in this folder: "; code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, want) || !strings.Contains(stderr, "gateway init go FOLDER") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

// TestCheckSeveral: what --module names is one application, however it is named; each argument is one of its own.
func TestCheckSeveral(t *testing.T) {
	head, rest, _ := strings.Cut(moduleHead, "---\n")
	endpoints, ingresses, both := writeModule(t, head), writeModule(t, rest), writeModule(t, moduleHead)
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{endpoints}, exitFailed, []string{endpoints + ":1:1: the module has no ingress", endpoints + ": 1 error, 0 warnings\n"}},
		{[]string{"--module", endpoints, "--module", ingresses}, exitDone, []string{endpoints + ", " + ingresses + ": good\nendpoint a/*"}},
		{[]string{"--module", endpoints + "," + ingresses}, exitDone, []string{endpoints + ", " + ingresses + ": good\nendpoint a/*"}},
		{[]string{"--module", "file://" + both, both}, exitDone, []string{"file://" + both + ": good\nread " + both + "\nendpoint a/*", "\n" + both + ": good\nendpoint a/*"}},
		{[]string{"--module", endpoints, "--module", both}, exitFailed, []string{
			both + `:3:14: endpoint "a/*" is declared twice (first at ` + endpoints + ":3:14)\n", endpoints + ", " + both + ": 1 error, 0 warnings\n"}},
		{[]string{"--module", endpoints, ingresses}, exitFailed, []string{endpoints + ":1:1: the module has no ingress", ingresses + ":1:1: the module has no endpoint"}},
		{[]string{filepath.Join(fixtures, "several/image")}, exitDone, []string{"image/io/module.yaml:13:33: warning: target ", "image: good, with 1 warning\nread ", "image/carts/module.yaml, "}},
		{[]string{filepath.Join(fixtures, "several/declared-twice")}, exitFailed, []string{"declared-twice: 4 errors, 0 warnings\n"}},
	} {
		code, stdout, stderr := call(t, append([]string{"check"}, c.args...)...)
		if code != c.code || stderr != "" {
			t.Errorf("%q: exit %d, stderr %q:\n%s", c.args, code, stderr, stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%q: missing %q in:\n%s", c.args, want, stdout)
			}
		}
	}
	t.Setenv("STATEGATE_MODULE", endpoints+","+ingresses)
	if code, stdout, _ := call(t, "check"); code != exitDone || !strings.Contains(stdout, endpoints+", "+ingresses+": good") {
		t.Errorf("STATEGATE_MODULE: exit %d:\n%s", code, stdout)
	}
	t.Setenv("STATEGATE_MODULE", endpoints+",")
	if code, stdout, stderr := call(t, "check"); code != exitUsage || stdout != "" || !strings.Contains(stderr, "STATEGATE_MODULE: want the name of a file or of a folder") {
		t.Errorf("STATEGATE_MODULE: exit %d:\n%s%s", code, stdout, stderr)
	}
}
