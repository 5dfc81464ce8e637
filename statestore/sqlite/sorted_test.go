package sqlite

import (
	"strconv"
	"testing"
)

// TestSortedKeepsTheOrderOfEqualKeys: of what stands in a commit twice the later one is written later, and counts.
func TestSortedKeepsTheOrderOfEqualKeys(t *testing.T) {
	rows := sorted(1000, func(i int) []byte { return strconv.AppendInt(nil, int64(i%7), 10) })
	for i, r := range rows[1:] {
		if before := rows[i]; string(r.key) < string(before.key) || string(r.key) == string(before.key) && r.at < before.at {
			t.Fatalf("%s of place %d comes behind %s of place %d", r.key, r.at, before.key, before.at)
		}
	}
}
