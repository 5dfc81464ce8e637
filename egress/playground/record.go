package playground

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
)

// recordType is the type of a value that is a record: JSON with a topic and a payload.
const recordType = "io.statefun.playground/EgressRecord"

// record is an output that can be fetched.
type record struct {
	topic   string
	payload json.RawMessage // part of the output's value
}

// text is what its fetcher sees.
func (r *record) text() string {
	text, _ := textOf(r.payload) // decode has looked
	return text
}

// problem is why an output is no record.
type problem struct {
	reason string // short and stable
	detail string
}

const recordRemedy = `want a value of type ` + recordType + `, {"topic": "...", "payload": "..."}`

// decode reads an output. As StateFun's reader has it, texts may be numbers, true or false, of a key that is repeated the last one counts,
// and other keys, these two in other letters among them, are a mistake.
func decode(v *api.TypedValue) (record, *problem) {
	bad := func(format string, args ...any) (record, *problem) {
		return record{}, &problem{"no record", fmt.Sprintf(format, args...) + ": " + recordRemedy}
	}
	if v.TypeName != recordType {
		return record{}, &problem{"wrong type", fmt.Sprintf("the output's type is %q: %s", short(v.TypeName), recordRemedy)}
	}
	if !utf8.Valid(v.Value) {
		return bad("the output is not UTF-8")
	}
	if topic, payload, ok := quick(v.Value); ok {
		text, _ := textOf(topic)
		return record{text, payload}, nil
	}
	var raw map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(v.Value))
	if err := d.Decode(&raw); err != nil {
		return bad("the output is no JSON of a record: %s", short(err.Error()))
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("there is more behind the record")
	}
	for name := range raw {
		if name != "topic" && name != "payload" {
			return bad("the record has %q beside topic and payload", short(name))
		}
	}
	topic, ok := textOf(raw["topic"])
	if !ok {
		return bad("the record has no topic, or it is no text")
	}
	if _, ok := textOf(raw["payload"]); !ok {
		return bad("the record has no payload, or it is no text")
	}
	return record{topic, raw["payload"]}, nil
}

// textOf is the text of a value of JSON that is one, or is written as one.
func textOf(raw json.RawMessage) (string, bool) {
	switch {
	case len(raw) == 0 || raw[0] == 'n' || raw[0] == '{' || raw[0] == '[':
		return "", false
	case raw[0] != '"':
		return string(raw), true
	case bytes.IndexByte(raw, '\\') < 0:
		return string(raw[1 : len(raw)-1]), true
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

func undeclared(topic string, topics []string) *problem {
	return &problem{"unknown topic", fmt.Sprintf("the module declares no topic %q; it has %s", short(topic), list(topics))}
}

// list names topics for people, as far as a line has room.
func list(topics []string) string {
	if len(topics) == 0 {
		return "none"
	}
	return short(strings.Join(topics, ", "))
}

// short cuts text that others have written.
func short(s string) string {
	const shown = 200
	if len(s) <= shown {
		return s
	}
	return strings.ToValidUTF8(s[:shown], "") + "..."
}
