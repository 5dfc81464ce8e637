package endpoint

import "strings"

// How texts begin that go on, behind ": ", with what the function said.
var quotingTexts = []string{"status ", "a failure with a status of ", "the reply is not HTTP"}

// Outcome is Text without what the function itself said, which may hold anything that it was sent: for the log.
func (f *Failure) Outcome() string {
	for _, begin := range quotingTexts {
		if strings.HasPrefix(f.Text, begin) {
			outcome, _, _ := strings.Cut(f.Text, ": ")
			return outcome
		}
	}
	return f.Text
}
