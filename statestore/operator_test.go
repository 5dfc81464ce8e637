package statestore

import (
	"strings"
	"testing"
)

// TestVersion: two values have the same version only when type and bytes are the same, wherever the one ends and the other begins.
func TestVersion(t *testing.T) {
	seen := map[string]int{}
	for i, v := range []struct{ typeName, value string }{
		{"", ""}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "\x00"}, {"a\x00", ""}, {"a", "b\x00"}, {"t", strings.Repeat("v", 1<<20)}, {"t", strings.Repeat("v", 1<<20+1)},
	} {
		version := Version(v.typeName, []byte(v.value))
		if len(version) != 16 || strings.Trim(version, "0123456789abcdef") != "" {
			t.Errorf("version %q: want 16 hexadecimal digits", version)
		}
		if other, there := seen[version]; there {
			t.Errorf("values %d and %d have the same version", i, other)
		}
		seen[version] = i
		if again := Version(v.typeName, []byte(v.value)); again != version {
			t.Errorf("%q, then %q", version, again)
		}
	}
	if Version("t", nil) != Version("t", []byte{}) {
		t.Error("no bytes and none at all differ")
	}
}
