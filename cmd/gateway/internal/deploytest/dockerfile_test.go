//go:build unix

package deploytest

import (
	"debug/elf"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// instruction is a line of a Dockerfile.
type instruction struct{ name, rest string }

func parseDockerfile(text string) (out []instruction) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		out = append(out, instruction{strings.ToUpper(name), strings.TrimSpace(rest)})
	}
	return out
}

// TestDockerfile runs the build of the Dockerfile in this checkout: what comes out needs no library and is the gateway, and it is what the
// image starts.
func TestDockerfile(t *testing.T) {
	lines := parseDockerfile(read(t, deploy+"Dockerfile"))
	var build, workdir, entry, user, copied string
	var command, from []string
	for _, i := range lines {
		switch i.name {
		case "RUN":
			if build != "" {
				t.Errorf("there is a second RUN: %s", i.rest)
			}
			build = i.rest
		case "FROM":
			from = append(from, i.rest)
		case "WORKDIR":
			workdir = i.rest
		case "USER":
			user = i.rest
		case "COPY":
			if to := strings.Fields(i.rest); strings.HasPrefix(i.rest, "--from=build /out/gateway ") {
				copied = to[len(to)-1]
			}
		case "ENTRYPOINT":
			var words []string
			if err := json.Unmarshal([]byte(i.rest), &words); err != nil || len(words) != 1 {
				t.Fatalf("ENTRYPOINT %s: %v", i.rest, err)
			}
			entry = words[0]
		case "CMD":
			if err := json.Unmarshal([]byte(i.rest), &command); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(from) != 2 || from[1] != "scratch" || entry == "" || entry != copied || workdir == "" || user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("from %q, the entry is %q and the program %q, user %q", from, entry, copied, user)
	}
	if problems := commandProblems(t, command); len(problems) > 0 {
		t.Error(problems)
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, repository+"/go.mod"))
	if wanted == nil || from[0] != "golang:"+wanted[1]+" AS build" {
		t.Errorf("it is built by %s, and go.mod wants %v", from[0], wanted)
	}
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("NOT RUN: the build of the image, which is for Linux and takes a while")
	}
	out := t.TempDir()
	cmd := exec.Command("sh", "-ec", without(t, build, "/out/", out+"/"))
	cmd.Dir = repository
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, text)
	}
	program := filepath.Join(out, "gateway")
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program wants a loader and libraries, which the image does not have")
	}
	if text, err := exec.Command(program, "version").CombinedOutput(); err != nil || !strings.Contains(string(text), "linux/") {
		t.Errorf("version: %v: %s", err, text)
	}
}
