package kafka

import (
	"os"
	"testing"
)

func realAddress(t *testing.T) string {
	a := os.Getenv("KREAL")
	if a == "" {
		t.Skip("no realserver")
	}
	return a
}
