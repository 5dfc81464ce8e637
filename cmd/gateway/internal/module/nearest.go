package module

import "github.com/stategate/stategate/cmd/gateway/internal/nearest"

// guess ends a complaint about an unknown word, in the quotes that complaints have.
func guess(given string, known []string) string {
	if near := nearest.Word(given, known); near != "" {
		return `did you mean "` + near + `"?`
	}
	return nearest.Guess(given, known)
}
