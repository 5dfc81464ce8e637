//go:build linux

package main

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// removeBuilt is set when the gateway was built.
var removeBuilt = func() {}

var buildOnce = sync.OnceValues(func() (string, error) {
	p, remove, err := buildPrograms(context.Background(), "", false)
	if err == nil {
		removeBuilt = remove
	}
	return p.gateway, err
})

// builtGateway is the gateway as a measurement builds it. All tests share it: to link it takes longer than to measure a little.
func builtGateway(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The test binary is its own child, as the program is.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == functionsRole {
		serveFunctions()
		return
	}
	code := testserver.Main(m)
	removeBuilt()
	os.Exit(code)
}
