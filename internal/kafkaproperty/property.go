package kafkaproperty

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Role is whose properties are read.
type Role uint8

const (
	Consumer Role = 1 << iota
	Producer
	both = Consumer | Producer
)

func (r Role) String() string {
	switch r {
	case Consumer:
		return "consumer"
	case Producer:
		return "producer"
	}
	return "both"
}

// property says what becomes of one property. Exactly one of set, does, because, surplus and refused tells it.
type property struct {
	name string
	role Role // whose it is

	set     func(s *Settings, value string) error // it has this effect
	does    string                                // beside set: in words; alone: it is read together with others (security)
	because string                                // it has no effect, a warning says why
	surplus string                                // it has no effect and needs none: what it says is so, or is said elsewhere
	refused string                                // it is about security and cannot be had: an error says why
}

// table is every property that is known, by name.
var table = index(connectionProperties, consumerProperties, producerProperties, tlsProperties, saslProperties)

func index(lists ...[]property) map[string]*property {
	all := make(map[string]*property)
	for _, list := range lists {
		for i := range list {
			p := &list[i]
			if all[p.name] != nil {
				panic("kafkaproperty: " + p.name + " stands in the table twice")
			}
			all[p.name] = p
		}
	}
	return all
}

// Translate says what a client's properties come to. Settings can be used only where no complaint is an error. It reads the files
// that properties name; it connects to nothing.
func Translate(role Role, properties map[string]string) (*Settings, []Complaint) {
	t := &translation{settings: new(Settings), given: make(map[string]string)}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		t.take(role, name, strings.TrimSpace(properties[name]))
	}
	t.level()
	t.secure()
	return t.settings, inOrder(t.complaints)
}

// translation is a Translate at work.
type translation struct {
	settings   *Settings
	given      map[string]string // of this role's properties that are read together
	complaints []Complaint
}

func (t *translation) take(role Role, name, value string) {
	p := table[name]
	switch {
	case p == nil && spelling[flat(name)] != "":
		t.wrong(name, "it is not known, and what concerns security is never left out: write "+spelling[flat(name)])
	case p == nil && almostSecurity(flat(name)):
		t.wrong(name, "it is not known, and what concerns security is never left out")
	case p == nil:
		t.moot(name, "it is not known")
	case p.refused != "":
		t.wrong(name, p.refused)
	case p.role&role == 0:
		t.moot(name, "it is a "+p.role.String()+"'s")
	case p.set != nil:
		if err := p.set(t.settings, value); err != nil {
			t.wrong(name, err.Error())
		}
	case p.because != "":
		t.moot(name, p.because)
	case p.surplus != "":
	default:
		t.given[name] = value
	}
}

func (t *translation) wrong(name, text string) {
	t.complaints = append(t.complaints, Complaint{Property: name, Wrong: true, Text: fmt.Sprintf("property %s: %s", shown(name), text)})
}

func (t *translation) moot(name, why string) {
	t.complaints = append(t.complaints, Complaint{Property: name, Text: fmt.Sprintf("property %s has no effect: %s", shown(name), why)})
}

func (t *translation) warn(name, text string) {
	t.complaints = append(t.complaints, Complaint{Property: name, Text: fmt.Sprintf("property %s: %s", name, text)})
}

// isSecurity: what is left out of these would make a connection less safe than asked for.
func isSecurity(name string) bool {
	return strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "sasl.") || strings.HasPrefix(name, "ssl.")
}

// almostSecurity is generous: nothing else begins so.
func almostSecurity(flat string) bool {
	return strings.HasPrefix(flat, "security") || strings.HasPrefix(flat, "sasl") || strings.HasPrefix(flat, "ssl")
}

// spelling is the right name of each flat one that is about security.
var spelling = spellings()

func spellings() map[string]string {
	all := make(map[string]string)
	for name := range table {
		if isSecurity(name) {
			all[flat(name)] = name
			all[strings.ReplaceAll(flat(name), ".", "")] = name
		}
	}
	return all
}

// flat is a name as somebody may have meant it: whatever its case, its blanks, and the signs between its words.
func flat(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-':
			return '.'
		case unicode.IsSpace(r) || !unicode.IsGraphic(r):
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	return strings.TrimPrefix(name, "properties.")
}

// shown is a name in a complaint. One that nobody knows and that looks like no name is not shown: in "ssl.key.password=x" a value has
// slipped into it.
func shown(name string) string {
	if table[name] == nil && (len(name) > 100 || !nameForm.MatchString(name)) {
		if right := spelling[flat(name)]; right != "" {
			return strconv.Quote(name) // nothing is in it but that name
		}
		return "(its name is not shown)"
	}
	return name
}

var nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*([._-][A-Za-z0-9]+)*$`)

// Names are all names that the table has for a role, sorted.
func Names(role Role) []string {
	var names []string
	for name, p := range table {
		if p.role&role != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
