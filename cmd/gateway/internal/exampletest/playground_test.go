//go:build unix

package exampletest

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestExamplesOnPlayground types what each README says to type: the playground's module file runs as it is, and every curl line gives
// what stands behind it.
func TestExamplesOnPlayground(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err == nil {
		_, err = exec.LookPath("curl")
	}
	if err != nil {
		lack(t, "curl is not installed")
	}
	each(t, func(t *testing.T, example string, steps []step) {
		folder := t.ArtifactDir()
		f := newFunctions(t, folder, "examples/"+example)
		f.start()
		var ports []string
		for range 2 {
			addr, err := testgateway.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, addr[strings.LastIndex(addr, ":")+1:])
		}
		file := placed(t, "examples/"+example+"/module.yaml", functionsPlace, f.addr, "port: 8090", "port: "+ports[0], "port: 8091", "port: "+ports[1])
		g := testgateway.New(t, folder, "gateway", nil, "--module", file, "--store", "memory:")
		g.Start()
		testgateway.Poll(t, "both ports to be open", func() (bool, string) {
			g.MustRun()
			n := len(g.Logged("playground: listening"))
			return n == 2, fmt.Sprint(n, " are")
		})
		moved := strings.NewReplacer(ingressPlace, "localhost:"+ports[0], egressPlace, "localhost:"+ports[1])
		// curl types a line, and answers what it prints and the status.
		curl := func(line string) (string, int) {
			out, err := exec.Command(shell, "-c", moved.Replace(line)+` -sS --max-time 30 -w '\n%{http_code}'`).CombinedOutput()
			text := strings.Split(string(out), "\n")
			status, statusErr := strconv.Atoi(text[len(text)-1])
			if err != nil || statusErr != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			return strings.Join(text[:len(text)-1], "\n"), status
		}
		var topics []string
		for i, s := range steps {
			if s.topic == "" {
				if out, status := curl(s.line); status != 200 || out != "" {
					t.Fatalf("step %d: %s: %d %s", i+1, s.line, status, out)
				}
				continue
			}
			if !slices.Contains(topics, s.line) {
				topics = append(topics, s.line)
			}
			testgateway.Poll(t, s.line, func() (bool, string) {
				g.MustRun()
				out, status := curl(s.line)
				if status != 404 && (status != 200 || out != s.want) {
					t.Fatalf("step %d: %s: %d %s, want %s", i+1, s.line, status, out, s.want)
				}
				return status == 200, out
			})
		}
		for _, line := range topics {
			if out, status := curl(line); status != 404 {
				t.Errorf("%s at the end: %d %s", line, status, out)
			}
		}
		g.Stop()
	})
}
