package module

import (
	"math"
	"strings"
)

// nearest is the word among known that was probably meant by given, or "" when none is close: at most one edit in a short
// word, four in a long one, not counting case.
func nearest(given string, known []string) string {
	if len(given) > 256 || len(known) > 1000 {
		return "" // the comparison is slow, and nobody mistypes that much
	}
	best, bestDistance := "", math.MaxInt
	for _, k := range known {
		edits := min(max(1, len(given)/2), max(2, max(len(given), len(k))/3), 4)
		if d := distance(strings.ToLower(given), strings.ToLower(k)); d <= edits && d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
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

// guess ends a complaint about an unknown word: the near one, or all that are known.
func guess(given string, known []string) string {
	if near := nearest(given, known); near != "" {
		return `did you mean "` + near + `"?`
	}
	const shown = 20
	if len(known) > shown {
		return "known are " + strings.Join(known[:shown], ", ") + " and others"
	}
	return "known are " + strings.Join(known, ", ")
}
