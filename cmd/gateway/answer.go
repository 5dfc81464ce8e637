package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

// What the admin side answers, as far as tables show it. What an answer lacks is empty: -o json has all.

// answeredAddress is an address.
type answeredAddress struct{ Namespace, Name, ID string }

func (a *answeredAddress) function() string { return a.Namespace + "/" + a.Name }

// text is the address as it is given to other commands.
func (a *answeredAddress) text() string {
	if a == nil {
		return table.None
	}
	return table.Address(a.function(), a.ID)
}

// answeredPayload is a value with its type: of a state, of a message, of a dead letter.
type answeredPayload struct {
	TypeName string
	Bytes    int64
	Encoding string
	Value    json.RawMessage
	Omitted  bool
}

// Encodings of payloads.
const (
	encodingJSON   = "json"
	encodingBase64 = "base64"
)

// valueShown is how many characters of a value a table shows, and valueShownAlone how many where it is shown alone.
const (
	valueShown      = 80
	valueShownAlone = 16 << 10
)

// text is the value in one line of at most so many characters.
func (p *answeredPayload) text(characters int) string {
	var written string
	switch {
	case p.Omitted:
		return "(left out: -o json of it alone has it)"
	case len(p.Value) == 0 || string(p.Value) == "null" && p.Encoding != encodingJSON:
		return table.None
	case p.Encoding == encodingBase64 && json.Unmarshal(p.Value, &written) == nil:
		return table.Short("base64 "+written, characters)
	}
	var b bytes.Buffer
	if json.Compact(&b, p.Value) != nil {
		return table.None
	}
	return table.Short(string(table.Harmless(b.Bytes())), characters)
}

// raw are the bytes of the value, asked for with ?raw=true.
func (p *answeredPayload) raw() ([]byte, error) {
	var written string
	if err := json.Unmarshal(p.Value, &written); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(written)
}

// answeredPaused says since when something is paused, and by whom; nil: it is not. Where only that it is paused is said, the rest is empty.
type answeredPaused struct{ Of, Since, By string }

// paused reads null, false, true, or since when and by whom.
func paused(raw json.RawMessage) *answeredPaused {
	var p answeredPaused
	switch text := strings.TrimSpace(string(raw)); {
	case text == "" || text == "null" || text == "false":
		return nil
	case text != "true":
		_ = json.Unmarshal(raw, &p) // it is paused, whatever else is said
	}
	return &p
}

func pausedText(raw json.RawMessage, alone bool) string {
	p := paused(raw)
	switch {
	case p == nil && alone:
		return ""
	case p == nil:
		return table.None
	case !alone || p.Since == "":
		return "paused"
	}
	text := "since " + table.Time(p.Since)
	if p.By != "" {
		text += " by " + table.Text(p.By)
	}
	return text
}

// answeredText is something that people are told: a text, or one with a kind.
type answeredText string

func (t *answeredText) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*t = answeredText(text)
		return nil
	}
	var said struct{ Kind, Key, Name, Text string }
	if err := json.Unmarshal(raw, &said); err != nil {
		return err
	}
	if *t = answeredText(said.Text); *t == "" {
		*t = answeredText(said.Kind + said.Key + said.Name)
	}
	return nil
}

// texts is a list of what people are told, in one line.
func texts(all []answeredText) string {
	said := make([]string, len(all))
	for i, t := range all {
		said[i] = table.Text(string(t))
	}
	return strings.Join(said, "; ")
}

// scalar is a JSON value in one line: text without quotes where it needs none.
func scalar(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && len(raw) > 0 && raw[0] == '"' {
		return table.Text(text)
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil || b.String() == "null" {
		return table.None
	}
	return string(table.Harmless(b.Bytes()))
}

func decimal[N int | int64 | uint64](n N) string { return strconv.FormatInt(int64(n), 10) }
