//go:build unix && !linux

package chaos

import "testing"

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	t.Log("NOT TESTED: a full disk: only Linux gives a disk of its own in memory")
	return ""
}

// onDisk are blows for a store on a small disk.
var onDisk []blow
