package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	known := []string{"store", "storeFile", "listen", "logLevel", "lease"}
	for given, want := range map[string]string{
		"stroe": "store", "STORE": "store", "store-file": "storeFile", "log_level": "logLevel", "leese": "lease",
		"zzz": "", "": "", strings.Repeat("store", 60): "",
	} {
		if got := Word(given, known); got != want {
			t.Errorf("Word(%q) = %q, want %q", given, got, want)
		}
	}
}

// Who has left the last words of a name out means that name, and no shorter one that looks alike.
func TestWordThatGoesOn(t *testing.T) {
	known := []string{"STATEGATE_ADMIN", "STATEGATE_DRAIN_TIMEOUT", "STATEGATE_LEASE", "STATEGATE_KEPT_BYTES", "STATEGATE_KEPT_MESSAGES"}
	for given, want := range map[string]string{
		"STATEGATE_DRAIN": "STATEGATE_DRAIN_TIMEOUT", "stategate_drain": "STATEGATE_DRAIN_TIMEOUT", "STATEGATE_LEASES": "STATEGATE_LEASE",
		"STATEGATE": "",
	} {
		if got := Word(given, known); got != want {
			t.Errorf("Word(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestGuess(t *testing.T) {
	if got, want := Guess("listne", []string{"listen", "lease"}), "did you mean listen?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Guess("zzz", []string{"listen", "lease"}), "known are listen, lease"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Guess("zzz", make([]string, 21)); !strings.HasSuffix(got, "and others") {
		t.Errorf("got %q, want it cut", got)
	}
}
