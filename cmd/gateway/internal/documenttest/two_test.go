//go:build unix

package documenttest

import (
	"os"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestSecondOnOneHost runs the command for a second gateway as docs/OPERATIONS.md shows it, and README.md beside it: with the store and the
// places of the first one as they are by default it would not start; with places of its own it waits, and takes over.
func TestSecondOnOneHost(t *testing.T) {
	need(t)
	_, chapter, ok := strings.Cut(document(t, "OPERATIONS.md"), "\n## Two gateways\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	shown, problems := commandsOf("OPERATIONS.md", chapter)
	if !ok || len(shown) != 1 || len(problems) > 0 {
		t.Fatalf("the chapter shows %q, %q", shown, problems)
	}
	line := shown[0].line
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil || !strings.Contains(string(readme), "`./"+line+"`") {
		t.Errorf("README.md does not show %s: %v", line, err)
	}
	s := newShop(t)
	first := s.open()
	second := s.newGateway("second")
	// The store of both is the default's, a file in the folder.
	second.Args = []string{"-c", "exec " + replace(t, replace(t, line, "127.0.0.1:8083", second.admin), "127.0.0.1:8082", second.events)}
	second.Program = "bash"
	second.Start()
	second.Until("standby", testgateway.IsStandby)
	s.answers(second)
	if code, body := second.post("/v1/call/shop/cart/ada", "pen"); code != 200 || body != receipt(1, "io.statefun.types/string", "pen") {
		t.Errorf("the one that waits answers %d %s", code, body)
	}
	first.Stop()
	second.Until("active", testgateway.IsActive)
	second.Stop()
}
