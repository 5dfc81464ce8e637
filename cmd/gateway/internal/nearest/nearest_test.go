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

// Of two words that are equally close the one is meant whose end was left out, in whatever order they are known.
func TestWordThatBegins(t *testing.T) {
	for _, known := range [][]string{{"start", "state", "status", "stuck"}, {"stuck", "status", "state", "start"}, {"state", "STATUS"}} {
		for _, given := range []string{"statu", "Statu", "STATU"} {
			if got := Word(given, known); !strings.EqualFold(got, "status") {
				t.Errorf("Word(%q) = %q of %q", given, got, known)
			}
		}
	}
	if got := Word("stats", []string{"status", "state"}); got != "status" { // neither is begun so: the first one
		t.Errorf("got %q", got)
	}
	if got := Word("stare", []string{"stared at", "state"}); got != "state" { // what is closer wins
		t.Errorf("got %q", got)
	}
	if got := Word("statu", []string{"status", "statue"}); got != "status" { // both begin so: the first one
		t.Errorf("got %q", got)
	}
	if got := Word("é", []string{"è", "éa"}); got != "éa" { // bytes of letters are cut in two, and nothing is amiss
		t.Errorf("got %q", got)
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
