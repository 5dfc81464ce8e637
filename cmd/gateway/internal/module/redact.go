package module

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// redact is a text from a file as people may see it: without the user, password and query of an URL. Where it is none, all before its last @
// is hidden, and all behind a question mark: slashes may have been forgotten, or a password has a / ? or # in it, which should have been
// written %XX.
func redact(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !urlScheme.MatchString(scheme) {
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			s = hidden + s[at:]
		}
		return withoutQuery(s)
	}
	if _, err := url.Parse(s); err != nil {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			rest = hidden + rest[at:]
		}
	}
	authority, path, _ := cutBefore(rest, "/?#")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = hidden + authority[at:]
	}
	return scheme + "://" + authority + withoutQuery(path)
}

const hidden = "***"

var urlScheme = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*$`)

func withoutQuery(s string) string {
	before, _, is := cutBefore(s, "?")
	if is {
		return before + "?" + hidden
	}
	return s
}

// quoteKey shows a key that nobody knows. In one with a = a value has slipped in.
func quoteKey(key string) string {
	if name, _, is := strings.Cut(key, "="); is {
		return strconv.Quote(cut(redact(name)) + "=" + hidden)
	}
	return quote(key)
}
