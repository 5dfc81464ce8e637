package admin

import "testing"

// TestReasonsShowNoSecretOfAnURL: and a question that is asked in one is not taken for a query.
func TestReasonsShowNoSecretOfAnURL(t *testing.T) {
	for text, want := range map[string]string{
		"k:9092: EOF (the broker has closed the connection: does security.protocol fit this listener?); trying again": "k:9092: EOF (the broker has closed the connection: does security.protocol fit this listener?); trying again",
		"why?":                       "why?",
		"is it there? ask it":        "is it there? ask it",
		"is it http://h/f?); trying": "is it http://h/f?); trying",
		"http://u:hunter2@h/f?a=hunter2#x: refused": "http://***@h/f?***: refused",
		`Post "https://h/f?hunter2": EOF`:           `Post "https://h/f?***": EOF`,
		"(http://h/f?hunter2); trying":              "(http://h/f?***); trying",
		"http://a@h/,http://hunter2@i/?x":           "http://***@h/,http://***@i/?***",
		"http://h/?a?hunter2":                       "http://h/?***",
		"h:80/f?token=hunter2; trying":              "h:80/f?***; trying",
		"http+unix:///s.sock/f?hunter2":             "http+unix:///s.sock/f?***",
	} {
		if got := short(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
