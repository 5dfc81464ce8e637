package endpoint

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// location is where an endpoint's URL leads: what to dial and what to ask for.
type location struct {
	network string   // "tcp" or "unix"
	socket  string   // file of the unix socket
	url     *url.URL // http or https; never changed after parsing, shared by all calls
	user    *url.Userinfo
}

// parseLocation never quotes the URL in its errors, for it may hold a password.
func parseLocation(raw string) (location, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		if tells(err.Error(), raw) {
			return location{}, errors.New("parse URL: it is none; special characters in a user or a password are written %XX")
		}
		return location{}, fmt.Errorf("parse URL: %w", err)
	}
	if u.Opaque != "" {
		return location{}, fmt.Errorf("parse URL: %s: must be followed by //", u.Scheme)
	}
	switch u.Scheme {
	case "http", "https":
		return webLocation(u)
	case "http+unix", "https+unix":
		return socketLocation(u)
	}
	return location{}, fmt.Errorf("parse URL: scheme %q is not http, https, http+unix or https+unix", u.Scheme)
}

// tells reports whether a text holds a word of what may be a password: all that stands before the last @. Parsers take a part of it
// for the port where it holds a # or a slash.
func tells(text, raw string) bool {
	before := raw[:strings.LastIndexByte(raw, '@')+1]
	words := strings.FieldsFunc(before, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.ContainsFunc(words, func(word string) bool { return len(word) > 2 && strings.Contains(text, word) })
}

func webLocation(u *url.URL) (location, error) {
	if u.Hostname() == "" {
		return location{}, errors.New("parse URL: the host is missing")
	}
	user := u.User
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	// The Host header carries a port only where it is not the scheme's own.
	switch {
	case u.Scheme == "http":
		u.Host = strings.TrimSuffix(u.Host, ":80")
	case u.Scheme == "https":
		u.Host = strings.TrimSuffix(u.Host, ":443")
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	return location{network: "tcp", url: u, user: user}, nil
}

// socketLocation splits at the first segment that ends in ".sock". What follows is the path, sent as one encoded
// segment with its leading slash ("/fn" is asked for as "/%2Ffn"): so StateFun does it, and functions know it.
func socketLocation(u *url.URL) (location, error) {
	if u.Host != "" {
		return location{}, fmt.Errorf("parse URL: %s: takes three slashes before the socket's path", u.Scheme)
	}
	segments := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	for i, segment := range segments {
		if !strings.HasSuffix(segment, ".sock") {
			continue
		}
		target := &url.URL{Scheme: "http", Host: "localhost", Path: "/", RawQuery: u.RawQuery}
		if rest := strings.Join(segments[i+1:], "/"); rest != "" {
			target.Path = "//" + rest
			target.RawPath = "/" + url.PathEscape("/"+rest)
		}
		return location{network: "unix", socket: "/" + strings.Join(segments[:i+1], "/"), url: target}, nil
	}
	return location{}, errors.New("parse URL: no segment of the path ends in .sock")
}

// secretsOf are the parts of an URL that may be secrets, in every form in which a request carries them, the longest first.
func secretsOf(where location) []string {
	var out []string
	if where.user != nil {
		password, _ := where.user.Password()
		pair := where.user.Username() + ":" + password
		out = append(out, base64.StdEncoding.EncodeToString([]byte(pair)), pair, where.user.String(), password, url.QueryEscape(password))
	}
	out = append(out, where.url.RawQuery)
	for _, values := range where.url.Query() {
		for _, value := range values {
			out = append(out, value, url.QueryEscape(value))
		}
	}
	out = slices.DeleteFunc(out, func(s string) bool { return len(s) < secretBytesMin })
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(out)
}

// secretBytesMin: what is shorter stands in any text.
const secretBytesMin = 4

// withoutOurs takes out of what a function says what it was sent by the URL: pages for developers repeat the request.
func (c *Client) withoutOurs(text []byte) []byte {
	for _, s := range c.secrets {
		text = bytes.ReplaceAll(text, []byte(s), []byte("***"))
	}
	return text
}
