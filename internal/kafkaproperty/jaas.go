package kafkaproperty

import (
	"errors"
	"strings"
)

// login is one entry of a JAAS configuration.
type login struct {
	module  string // class name
	options map[string]string
}

// parseLogin reads what sasl.jaas.config holds: CLASS FLAG NAME=VALUE ... ; as Kafka's JaasConfig does with Java's StreamTokenizer.
// Errors never show the text: it holds a password.
func parseLogin(text string) (login, error) {
	var none login
	z := &jaasTokens{text: text}
	class := z.next()
	switch {
	case class.kind == jaasEnd:
		return none, errors.New("it is empty")
	case class.kind != jaasWord:
		return none, errors.New("want the class of a login module first")
	}
	flag := z.next()
	switch strings.ToUpper(flag.text) {
	case "REQUIRED", "REQUISITE", "SUFFICIENT", "OPTIONAL":
	default:
		return none, errors.New("want a control flag (required) behind the class of the login module")
	}
	l := login{module: class.text, options: map[string]string{}}
	for {
		name := z.next()
		switch {
		case name.kind == jaasEnd:
			return none, errors.New("want a semicolon at the end")
		case name.is(";"):
			if z.next().kind != jaasEnd {
				return none, errors.New("want one login module and nothing behind its semicolon")
			}
			return l, z.err
		case name.kind == jaasSign || !z.next().is("="):
			return none, errors.New(`want options of the form name="value"; quote values, and write \" for a quote inside of one`)
		}
		value := z.next()
		if value.kind == jaasEnd || value.kind == jaasSign {
			return none, errors.New(`an option has no value; want name="value"`)
		}
		if z.err != nil {
			return none, z.err
		}
		l.options[name.text] = value.text
	}
}

type jaasKind uint8

const (
	jaasEnd jaasKind = iota
	jaasWord
	jaasQuoted
	jaasSign // one character that is no word
)

type jaasToken struct {
	kind jaasKind
	text string
}

func (t jaasToken) is(sign string) bool { return t.kind == jaasSign && t.text == sign }

// jaasTokens cuts a text as a StreamTokenizer with Kafka's settings: both comments of C++, words of letters, digits, and . - _ $.
type jaasTokens struct {
	text string
	at   int
	err  error
}

func (z *jaasTokens) next() jaasToken {
	z.skip()
	if z.at >= len(z.text) {
		return jaasToken{}
	}
	switch c := z.text[z.at]; {
	case c == '"' || c == '\'':
		z.at++
		return z.quoted(c)
	case isJaasWord(c):
		begin := z.at
		for z.at < len(z.text) && isJaasWord(z.text[z.at]) {
			z.at++
		}
		return jaasToken{jaasWord, z.text[begin:z.at]}
	default:
		z.at++
		return jaasToken{jaasSign, string(c)}
	}
}

// skip goes over blanks and comments.
func (z *jaasTokens) skip() {
	for z.at < len(z.text) {
		rest := z.text[z.at:]
		switch {
		case rest[0] <= ' ':
			z.at++
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				z.at = len(z.text)
				return
			}
			z.at += 2 + end + 2
		case rest[0] == '/': // a single one begins a comment, too
			end := strings.IndexAny(rest, "\r\n")
			if end < 0 {
				z.at = len(z.text)
				return
			}
			z.at += end
		default:
			return
		}
	}
}

// quoted reads up to the closing quote, with Java's escapes.
func (z *jaasTokens) quoted(quote byte) jaasToken {
	var b []byte
	for z.at < len(z.text) {
		c := z.text[z.at]
		z.at++
		switch {
		case c == quote:
			return jaasToken{jaasQuoted, string(b)}
		case c == '\n' || c == '\r':
			z.err = errors.New("a quoted value goes over the end of its line")
			return jaasToken{jaasQuoted, string(b)}
		case c == '\\' && z.at < len(z.text):
			b = append(b, z.escape()...)
		default:
			b = append(b, c)
		}
	}
	z.err = errors.New("a quoted value has no end")
	return jaasToken{jaasQuoted, string(b)}
}

// escape reads what stands behind a backslash: an octal number of a character, a letter of a control character, or itself.
func (z *jaasTokens) escape() string {
	c := z.text[z.at]
	z.at++
	if c >= '0' && c <= '7' {
		most := 2 // digits behind the first: three in all, up to \377
		if c > '3' {
			most = 1
		}
		n := rune(c - '0')
		for ; most > 0 && z.at < len(z.text) && z.text[z.at] >= '0' && z.text[z.at] <= '7'; most-- {
			n = n<<3 + rune(z.text[z.at]-'0')
			z.at++
		}
		return string(n)
	}
	if i := strings.IndexByte("abfnrtv", c); i >= 0 {
		return "\a\b\f\n\r\t\v"[i : i+1]
	}
	return string([]byte{c}) // also the first byte of a longer character
}

func isJaasWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_' || c == '$' || c >= 128
}
