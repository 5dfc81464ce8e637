package sqlite

import "testing"

// FuzzChunks: runs follow each other without a gap, none but a single thing is above the bound, and each takes what fits. Each byte is
// the size of one thing, in sixteenths of the bound.
func FuzzChunks(f *testing.F) {
	f.Fuzz(func(t *testing.T, sizes []byte, odd uint8) {
		size := func(i int) int { return int(sizes[i])*rowBytesMax/16 + int(odd)%(i+1) }
		at := 0
		chunks(len(sizes), size, func(from, to, bytes int) {
			sum := 0
			for i := from; i < to; i++ {
				sum += size(i)
			}
			if from != at || to <= from || bytes != sum || sum > rowBytesMax && to-from > 1 {
				t.Fatalf("run from %d to %d of %d bytes, which are %d, behind %d", from, to, bytes, sum, at)
			}
			if to < len(sizes) && sum+size(to) <= rowBytesMax {
				t.Fatalf("run from %d to %d of %d bytes leaves out %d", from, to, bytes, size(to))
			}
			at = to
		})
		if at != len(sizes) {
			t.Fatalf("runs end at %d of %d", at, len(sizes))
		}
	})
}
