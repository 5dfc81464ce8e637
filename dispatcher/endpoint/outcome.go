package endpoint

import (
	"slices"
	"strings"
)

// How texts begin that go on, behind ": ", with what the function said.
var quotingTexts = []string{"status ", "a failure with a status of ", "the reply is not HTTP"}

// Outcome is Text without what the function itself said, which may hold anything that it was sent: for the log.
func (f *Failure) Outcome() string {
	for _, begin := range quotingTexts {
		if strings.HasPrefix(f.Text, begin) {
			outcome, _, _ := strings.Cut(f.Text, ": ")
			return withoutType(outcome)
		}
	}
	return f.Text
}

// plainTypes are content types by which a wrong answer is known. All others are words of the function, too.
var plainTypes = []string{"text/html", "text/plain", "application/json", "application/problem+json", "application/xml", "text/xml",
	"application/x-protobuf", "application/protobuf", contentType, bulkContentType}

// withoutType leaves of a content type that is complained about what it is called, if that is a plain one. What stands behind it goes,
// too: it cannot be told where a quotation ends that has been cut.
func withoutType(outcome string) string {
	begin, quoted, found := strings.Cut(outcome, `content type "`)
	if !found {
		return outcome
	}
	if end := strings.IndexAny(quoted, `";, `); end >= 0 && slices.Contains(plainTypes, quoted[:end]) {
		return begin + "content type " + quoted[:end]
	}
	return begin + "another content type than that of a reply"
}
