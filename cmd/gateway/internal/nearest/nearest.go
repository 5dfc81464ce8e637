// Package nearest finds the word that somebody who mistyped probably meant. It knows no words of its own.
package nearest

import (
	"math"
	"strings"
)

const (
	wordBytesMax = 256  // nobody mistypes that much, and the comparison is slow
	knownMax     = 1000 // words to compare with
	shownMax     = 20   // words that Guess lists when none is near
)

// Word is the one among known that was probably meant by given, or "" when none is close: at most one edit in a short word,
// four in a long one, not counting case; or what goes on where given ends. Of those that are equally close it is one that given begins, for
// the last letter is forgotten more often than mistaken.
func Word(given string, known []string) string {
	if len(given) > wordBytesMax || len(known) > knownMax {
		return ""
	}
	best, bestDistance := "", math.MaxInt
	for _, k := range known {
		edits := min(max(1, len(given)/2), max(2, max(len(given), len(k))/3), 4)
		d := distance(strings.ToLower(given), strings.ToLower(k))
		if d <= edits && (d < bestDistance || d == bestDistance && begins(given, k) && !begins(given, best)) {
			best, bestDistance = k, d
		}
	}
	if bestDistance > 1 {
		if longer := beginning(given, known); longer != "" {
			return longer
		}
	}
	return best
}

// begins reports whether given is how word begins, not counting case.
func begins(given, word string) bool {
	return len(given) <= len(word) && strings.EqualFold(given, word[:len(given)])
}

// beginning is the one among known that goes on behind given with another word, where there is one only.
func beginning(given string, known []string) (found string) {
	for _, k := range known {
		if len(k) <= len(given) || given == "" || !strings.EqualFold(k[:len(given)], given) || k[len(given)] != '_' && k[len(given)] != '-' {
			continue
		}
		if found != "" {
			return ""
		}
		found = k
	}
	return found
}

// Guess ends a complaint about an unknown word: the near one, or those that are known.
func Guess(given string, known []string) string {
	if near := Word(given, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) > shownMax {
		return "known are " + strings.Join(known[:shownMax], ", ") + " and others"
	}
	return "known are " + strings.Join(known, ", ")
}

// distance is the Levenshtein distance of two words, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
