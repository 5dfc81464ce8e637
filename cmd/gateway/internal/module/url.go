package module

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/stategate/stategate/api"
)

// functionName is the only placeholder of an URL template.
const functionName = "{function.name}"

// ResolveURL is the URL that serves ft: the template with ft's name in it, escaped, so that a name never changes where a
// request goes. An error means that there must be no request: a name of "", "." or "..", with control characters, or one
// that the template cannot take.
func (e *Endpoint) ResolveURL(ft api.FunctionType) (string, error) {
	if e.Fault != "" {
		return "", fmt.Errorf("resolve the URL of %q: %s", ft.String(), e.Fault)
	}
	u, err := fillTemplate(e.URLTemplate, ft.Name)
	if err == nil {
		err = checkURL(u, e.Transport.Kind)
	}
	if err != nil {
		return "", fmt.Errorf("resolve the URL of %q: %w", ft.String(), err)
	}
	return u, nil
}

// fillTemplate escapes the name as its part of the URL needs it.
func fillTemplate(template, name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fmt.Errorf("function name %q cannot be part of an URL", name)
	}
	scheme, rest, _ := strings.Cut(template, "://")
	if strings.HasSuffix(strings.ToLower(scheme), "+unix") && strings.Contains(name, "/") {
		return "", fmt.Errorf("function name %q cannot be part of the path of a socket", name)
	}
	authority, path, _ := cutBefore(rest, "/?#")
	if strings.Contains(scheme, functionName) {
		return "", fmt.Errorf("%s cannot be the scheme", functionName)
	}
	if strings.Contains(authority, functionName) {
		if strings.ContainsFunc(name, notHostname) {
			return "", fmt.Errorf("function name %q cannot be part of a host name", name)
		}
		authority = strings.ReplaceAll(authority, functionName, name)
	}
	path, query, _ := cutBefore(path, "?#")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if !strings.Contains(s, functionName) {
			continue
		}
		segments[i] = strings.ReplaceAll(s, functionName, url.PathEscape(name))
		if segments[i] == "." || segments[i] == ".." {
			return "", fmt.Errorf("function name %q would name another folder of the URL", name)
		}
	}
	query = strings.ReplaceAll(query, functionName, url.QueryEscape(name))
	return scheme + "://" + authority + strings.Join(segments, "/") + query, nil
}

// cutBefore cuts s where the first of chars stands; the rest begins with it.
func cutBefore(s, chars string) (before, from string, found bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}

func notHostname(r rune) bool {
	return !(r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

// checkTemplate says why a template can never be called, or nil.
func checkTemplate(template string, kind TransportKind) error {
	if !strings.Contains(template, "://") {
		return errors.New("want a full URL, http://HOST/PATH or https://HOST/PATH")
	}
	if rest := strings.ReplaceAll(template, functionName, ""); strings.ContainsAny(rest, "{}") {
		return fmt.Errorf("%s is the only placeholder (write braces as %%7B and %%7D)", functionName)
	}
	u, err := fillTemplate(template, "f")
	if err != nil {
		return err
	}
	return checkURL(u, kind)
}

// checkURL refuses what StateFun's URL parser refuses, and what no transport can call.
func checkURL(s string, kind TransportKind) error {
	if i := strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("\"<>\\^`{|}", r)
	}); i >= 0 {
		return fmt.Errorf("character %q is not allowed in an URL (write it as %%XX)", []rune(s[i:])[0])
	}
	u, err := url.Parse(s)
	if err != nil {
		var cause *url.Error
		if errors.As(err, &cause) && !strings.Contains(s, "@") {
			return cause.Err
		}
		return errors.New("not a valid URL") // without its text, which may hold a password
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		if u.Hostname() == "" {
			return errors.New("the URL has no host")
		}
		return nil
	case "http+unix", "https+unix":
		if kind != OkHTTP {
			return fmt.Errorf("unix sockets need the transport %s", transportOkHTTP)
		}
		_, _, err := splitSocket(u)
		return err
	}
	return fmt.Errorf("unknown scheme %q: want http, https, http+unix or https+unix", u.Scheme)
}

// SplitSocket takes the URL of a unix socket (scheme http+unix or https+unix, neither with TLS) apart: the path of the socket,
// up to the first segment that ends in .sock, and the path of the HTTP request. As StateFun sends it, that is one
// segment with its slashes escaped, the first one too: http+unix:///run/x.sock/fn asks for /%2Ffn. ok is false for any other URL.
func SplitSocket(resolved string) (socket, request string, ok bool) {
	u, err := url.Parse(resolved)
	if err != nil || !strings.HasSuffix(strings.ToLower(u.Scheme), "+unix") {
		return "", "", false
	}
	socket, request, err = splitSocket(u)
	return socket, request, err == nil
}

func splitSocket(u *url.URL) (socket, request string, err error) {
	if u.Host != "" {
		return "", "", errors.New("three slashes stand before the path of an unix socket, as in http+unix:///run/x.sock/fn")
	}
	segments := strings.Split(u.Path, "/")
	for i, s := range segments {
		if !strings.HasSuffix(s, ".sock") {
			continue
		}
		socket = strings.Join(segments[:i+1], "/")
		if rest := strings.TrimPrefix(u.Path, socket); rest != "" {
			return socket, "/" + url.PathEscape(rest), nil
		}
		return socket, "/", nil
	}
	return "", "", errors.New("the path of an unix socket needs a segment that ends in .sock")
}
