package certificate

import "testing"

// TestWrongPasswordByChance: what a wrong password makes of a key is ASN.1 now and then, and is no key all the same.
func TestWrongPasswordByChance(t *testing.T) {
	for _, plain := range [][]byte{{0x6d, 3, 1, 2, 3}, {0x30, 0}, {0x04, 1, 7}, {0x30, 3, 2, 1, 0}} {
		if isPKCS8(plain) {
			t.Errorf("%x passes for a key", plain)
		}
	}
}
