//go:build unix

package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// SDK is the folder in which scripts/sdks.sh has installed the official SDK of Stateful Functions: "python" holds bin/python,
// "javascript" node_modules (for NODE_PATH), "java" the jars in libs. Where it is not installed the test is skipped, as for a
// server.
func SDK(t testing.TB, language string) string {
	t.Helper()
	cache, err := cacheFolder()
	if err == nil {
		folder := filepath.Join(cache, "sdks", language)
		if _, err = os.Stat(filepath.Join(folder, "installed")); err == nil {
			return folder
		}
		err = fmt.Errorf("find StateFun's SDK for %s: %w: run scripts/sdks.sh %s", language, ErrAbsent, language)
	}
	need(t, err)
	return ""
}
