package module

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// placeholderDepthMax bounds defaults within defaults.
	placeholderDepthMax = 10
	// expandedBytesMax bounds what all placeholders of a file bring in together: a small file could otherwise repeat a
	// large variable until memory is gone.
	expandedBytesMax = 16 << 20
)

// placeholders replaces ${NAME} and ${NAME:-default} in scalars. As in a shell, the default also stands for a variable
// that is set to nothing; it may hold placeholders itself, and braces that come in pairs, so {function.name} too. $${ is
// a literal ${. What a variable holds is taken as it is, never looked through again.
type placeholders struct {
	lookup func(string) (string, bool)
	bytes  int        // brought in so far
	used   []variable // what the last text was made of, in its order
}

// variable is one that a placeholder names.
type variable struct {
	name      string
	byDefault bool // the placeholder's own default stands for it
}

// expand answers s with its placeholders replaced, and whether there were any (an escaped one counts).
func (p *placeholders) expand(s string) (string, bool, error) {
	p.used = nil
	if !strings.Contains(s, "${") {
		return s, false, nil
	}
	out, err := p.replace(s, 0)
	return out, true, err
}

func (p *placeholders) replace(s string, depth int) (string, error) {
	if depth > placeholderDepthMax {
		return "", fmt.Errorf("defaults of placeholders are nested deeper than %d", placeholderDepthMax)
	}
	var b strings.Builder
	for {
		at := strings.Index(s, "${")
		if at < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if at > 0 && s[at-1] == '$' {
			b.WriteString(s[:at-1])
			b.WriteString("${")
			s = s[at+2:]
			continue
		}
		b.WriteString(s[:at])
		end := closing(s[at+2:])
		if end < 0 {
			return "", errors.New("a placeholder is not closed: want ${NAME} or ${NAME:-default}, and $${ for a literal ${")
		}
		value, err := p.value(s[at+2:at+2+end], depth)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		s = s[at+2+end+1:]
	}
}

// value is what stands for the text between the braces.
func (p *placeholders) value(inside string, depth int) (string, error) {
	name, def, hasDefault := strings.Cut(inside, ":-")
	switch begins := variableOf(name); {
	case begins == "":
		return "", errors.New("a placeholder begins with no name of a variable: want ${NAME} or ${NAME:-default}, and $${ for a literal ${")
	case begins != name: // what follows is not shown: it may be a default in words that only a shell knows, and a secret
		return "", fmt.Errorf("the placeholder of variable %s goes on with what is no part of a name: want ${NAME} or ${NAME:-default}, and $${ for a literal ${", begins)
	}
	value, ok := p.lookup(name)
	switch {
	case hasDefault && value == "":
		p.used = append(p.used, variable{name, true})
		return p.replace(def, depth+1)
	case !ok:
		return "", fmt.Errorf("variable %s is not set in the environment: set it, or give a default as in ${%s:-default}", name, name)
	}
	p.used = append(p.used, variable{name, false})
	if p.bytes += len(value); p.bytes > expandedBytesMax {
		return "", fmt.Errorf("the placeholders of the file bring in more than %d bytes", expandedBytesMax)
	}
	return value, nil
}

// closing is the index of the brace that closes the placeholder, past pairs of braces inside it, or -1.
func closing(s string) int {
	open := 0
	for i := range len(s) {
		switch {
		case s[i] == '{':
			open++
		case s[i] == '}' && open == 0:
			return i
		case s[i] == '}':
			open--
		}
	}
	return -1
}

// withoutDefaults is a text with its placeholders, as a complaint may show it: of a placeholder the name alone.
func withoutDefaults(s string) string {
	var b strings.Builder
	for {
		at := strings.Index(s, "${")
		if at < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:at+2])
		if s = s[at+2:]; at > 0 && b.String()[b.Len()-3] == '$' {
			continue
		}
		end := closing(s)
		if end < 0 {
			b.WriteString("...")
			return b.String()
		}
		name := variableOf(s[:end])
		if b.WriteString(name); len(name) < end {
			b.WriteString("...")
		}
		b.WriteByte('}')
		s = s[end+1:]
	}
}

func isVariable(s string) bool { return s != "" && variableOf(s) == s }

// variableOf is the name of a variable that s begins with, or "".
func variableOf(s string) string {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return s[:i]
		}
	}
	return s
}
