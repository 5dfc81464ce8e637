package module

import (
	"fmt"
	"strings"
	"testing"
)

// TestPatternsThatNobodyServes: an ingress may be open to all functions of a namespace; that there is none is said.
func TestPatternsThatNobodyServes(t *testing.T) {
	for functions, says := range map[string]string{
		"app/*":            "",
		"app/*, one/*":     "", // one of it is served
		"app/*, lost/*":    `no endpoint serves a function of "lost/*"`,
		"app/*, one/other": "target \"one/other\" is served by no endpoint",
	} {
		m, complaints := Parse("module.yaml", fmt.Appendf(nil, `kind: io.stategate.http.v1/ingress
spec: {id: app/api, functions: [%s]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: app/*, urlPathTemplate: "http://localhost:8000/"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: one/only, urlPathTemplate: "http://localhost:8000/"}
`, functions), nil)
		if said := complaints.String(); m == nil || (says == "") != (said == "") || !strings.Contains(said, says) {
			t.Errorf("%s: %q, want %q", functions, said, says)
		}
	}
}
