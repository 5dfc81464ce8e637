package module

import (
	"slices"
	"strings"
	"unicode"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
)

// tlsNames are the options of the async transport that name files.
var tlsNames = []string{"trust_cacerts", "client_cert", "client_key", "client_key_password"}

// certificates reads them. One that is written and names no file is a fault, also where its variable is set to nothing: never fall back
// to less security than was asked for.
func (p *parser) certificates(o *object, t *Transport) (fault string) {
	for i, to := range []*string{&t.TrustCACerts, &t.ClientCert, &t.ClientKey, &t.ClientKeyPassword} {
		name := tlsNames[i]
		o.knows(name)
		if !o.written(name) {
			continue
		}
		n := o.fields[name].value
		if n.Kind != yaml.ScalarNode || isNull(n) || strings.TrimSpace(n.Value) == "" {
			p.complain(n, Warning, "%s: want the path of a file, got %s; no call can be made", name, p.describe(n))
			fault, p.unused[n] = name+" names no file", true
			continue
		}
		*to = p.location(p.scalarText(n))
	}
	cert, key := o.written("client_cert"), o.written("client_key")
	switch {
	case cert && !key:
		p.complain(o.fields["client_cert"].key, Warning, "client_cert without client_key; no call can be made")
		fault = "client_cert without client_key"
	case key && !cert:
		p.complain(o.fields["client_key"].key, Warning, "client_key without client_cert; no call can be made")
		fault = "client_key without client_cert"
	case o.written("client_key_password") && !key:
		p.complain(o.fields["client_key_password"].key, Warning, "client_key_password without client_key has no meaning")
	}
	return fault
}

// misspeltSecurity looks among the keys that nobody knows for one that was probably meant to be one of names, in another case or with a
// letter wrong, and for those below a merge key, which is not read. StateFun ignores them in silence and goes on with less security than
// was asked for, or past the proxy; here no call is made.
func (p *parser) misspeltSecurity(o *object, names []string) (fault string) {
	o.told = map[string]bool{}
	for _, f := range o.keys {
		switch {
		case slices.Contains(o.known, f.name) || o.told[f.name]:
		case f.name == "<<":
			if meant := merged(f.value, o.known, names); meant != "" {
				p.complain(f.key, Warning, "unknown key %s in %s: it brings %s, and merge keys are not read; no call can be made", quote(f.name), o.what, meant)
				o.told[f.name], fault = true, meant+" stands under a merge key"
			}
		default:
			if meant := meantBy(f.name, o.known); slices.Contains(names, meant) {
				p.complain(f.key, Warning, "unknown key%s in %s: did you mean %s? Without it there is less security than was asked for; no call can be made", o.shown(f), o.what, quote(meant))
				o.told[f.name], fault = true, meant+" is misspelt"
			}
		}
	}
	return fault
}

// merged is the one of names that a map, or one of a list of maps, holds.
func merged(n *yaml.Node, known, names []string) string {
	for i, c := range n.Content {
		meant := ""
		switch {
		case n.Kind == yaml.SequenceNode && c.Kind == yaml.MappingNode:
			meant = merged(c, known, names)
		case n.Kind == yaml.MappingNode && i%2 == 0:
			meant = meantBy(c.Value, known)
		}
		if slices.Contains(names, meant) {
			return meant
		}
	}
	return ""
}

// meantBy is the one among known that somebody probably meant: the same letters in another case or with other signs between them, or
// nearly the same.
func meantBy(given string, known []string) string {
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, s)
	}
	for _, k := range known {
		if letters(k) == letters(given) {
			return k
		}
	}
	return nearest.Word(given, known)
}
