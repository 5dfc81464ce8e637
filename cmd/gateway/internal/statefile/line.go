package statefile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
	"github.com/stategate/stategate/statestore"
)

const (
	fileKind    = "state"
	fileVersion = 1
)

// ours is the namespace of what the gateway keeps for itself in the form of states: records of keys, and how many they are.
const ours = "io.stategate"

type lineKind uint8

const (
	lineHead  lineKind = iota + 1
	lineSpec           // what is known of a state
	lineValue          // a value, maybe with what is known of its state
	lineEnd
)

// line is one line of a file. What it holds shares nothing with the text that it was read from.
type line struct {
	kind     lineKind
	address  api.Address // of a spec: its function
	state    statestore.StateValue
	touched  bool                  // it says when the value was touched
	spec     *statestore.StateSpec // what it tells of the state; nil: nothing
	values   int64                 // of the end
	function bool                  // the keys that were given
	id       bool
	named    bool
	typed    bool
}

// field is a key of an object, and its value as it stands in the text.
type field struct {
	key  string
	text json.RawMessage
}

// keys are all that a line may have.
var keys = []string{"stategate", "version", "store", "at", "functions", "idPrefix", "function", "id", "state", "type", "expiration", "value", "base64", "touched", "end", "values"}

// parseLine reads one line, and checks everything that can be told from it alone.
func parseLine(text []byte) (*line, error) {
	fields, err := object(text)
	if err != nil {
		return nil, err
	}
	has := map[string]json.RawMessage{}
	for _, f := range fields {
		has[f.key] = f.text
	}
	l := &line{}
	switch {
	case has["stategate"] != nil:
		return l, l.head(fields)
	case has["end"] != nil:
		return l, l.end(fields)
	}
	for _, f := range fields {
		if err := l.take(f); err != nil {
			return nil, err
		}
	}
	return l, l.complete(has)
}

// head of a file that this version can read.
func (l *line) head(fields []field) error {
	l.kind = lineHead
	for _, f := range fields {
		switch f.key {
		case "stategate":
			if kind, err := textOf(f); err != nil || kind != fileKind {
				return fmt.Errorf(`stategate: want %q: the file holds something else`, fileKind)
			}
		case "version":
			if n, err := integerOf(f); err != nil || n != fileVersion {
				return fmt.Errorf("version: this program reads version %d only; a newer gateway has written the file", fileVersion)
			}
		case "store", "at", "functions", "idPrefix": // for people
		default:
			return misplaced(f.key, "the first line")
		}
	}
	return nil
}

func (l *line) end(fields []field) (err error) {
	l.kind, l.values = lineEnd, -1
	for _, f := range fields {
		switch f.key {
		case "end":
			if string(f.text) != "true" {
				return errors.New("end: want true")
			}
		case "values":
			if l.values, err = integerOf(f); err != nil {
				return err
			}
		default:
			return misplaced(f.key, "the last line")
		}
	}
	if l.values < 0 {
		return errors.New(`values: the last line says how many there are, as in {"end":true,"values":2}`)
	}
	return nil
}

func misplaced(key, where string) error { return fmt.Errorf("%s: does not belong on %s", key, where) }

// take reads one key of a value or a spec.
func (l *line) take(f field) (err error) {
	switch f.key {
	case "function":
		l.function = true
		l.address.Type, err = functionOf(f)
	case "id":
		l.id = true
		l.address.ID, err = textOf(f)
	case "state":
		l.named = true
		l.state.Name, err = textOf(f)
	case "type":
		l.typed = true
		l.state.TypeName, err = textOf(f)
	case "expiration":
		l.spec, err = expirationOf(f)
	case "touched":
		l.touched = true
		l.state.Touched, err = integerOf(f)
	case "base64":
		l.state.Value, err = bytesOf(f)
	case "value": // when the type is known
	default:
		return misplaced(f.key, "a line with a value")
	}
	return err
}

// complete says what is missing, and makes what needs all keys.
func (l *line) complete(has map[string]json.RawMessage) error {
	switch {
	case !l.function:
		return errors.New(`function is missing: want {"function":"NAMESPACE/NAME","id":...,"state":...,"type":...,"value":... or "base64":...}`)
	case !l.named:
		return errors.New("state is missing: the name of the state")
	case !l.typed:
		return errors.New("type is missing: the type name of the state, such as io.statefun.types/int")
	}
	value, plain := has["value"]
	_, coded := has["base64"]
	switch {
	case l.id && plain == coded:
		return errors.New(`want either "value" or "base64"`)
	case !l.id && (plain || coded || l.touched):
		return errors.New("id is missing: whose value is it?")
	case !l.id && l.spec == nil:
		return errors.New(`want "id" and a value, or "expiration"`)
	}
	if plain {
		var err error
		if l.state.Value, err = fromJSON(l.state.TypeName, value); err != nil {
			return err
		}
	}
	l.kind = lineSpec
	if l.id {
		l.kind, l.state.Changed = lineValue, true
	}
	if l.spec != nil {
		l.spec.Name, l.spec.TypeName = l.state.Name, l.state.TypeName
	}
	return l.check()
}

// check enforces the limits of stores.
func (l *line) check() error {
	if l.address.Type.Namespace == ours {
		return fmt.Errorf("%s holds the gateway's own records, those of keys among them: they belong to the store that made them, not to the application, and count for nothing in another one; leave the line out, or all such lines with --skip-invalid", l.address.Type)
	}
	if err := api.CheckAddress(l.address); err != nil {
		return err
	}
	switch n := len(l.state.Name); {
	case n == 0:
		return errors.New("state: the name is empty")
	case n > api.NameBytesMax:
		return fmt.Errorf("state: a name of %d bytes: at most %d are allowed", n, api.NameBytesMax)
	}
	return api.CheckValue(api.TypedValue{TypeName: l.state.TypeName, Value: l.state.Value})
}

// object is the keys of a JSON object, in order, each at most once.
func object(text []byte) ([]field, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the line is not UTF-8")
	}
	if halfRune(text) {
		return nil, errors.New(`the line holds half a character: \ud800 to \udfff stand in pairs only`)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, notObject(err)
	}
	var fields []field
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, notObject(err)
		}
		f := field{key: key.(string)}
		if err := d.Decode(&f.text); err != nil {
			return nil, notObject(err)
		}
		for _, before := range fields {
			if before.key == f.key {
				return nil, fmt.Errorf("%s is given twice", strconv.Quote(short(f.key)))
			}
		}
		if !slices.Contains(keys, f.key) {
			return nil, fmt.Errorf("unknown key %s: %s", strconv.Quote(short(f.key)), nearest.Guess(f.key, keys))
		}
		if string(f.text) == "null" {
			return nil, fmt.Errorf("%s: null is no value: leave it out", f.key)
		}
		fields = append(fields, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, notObject(err)
	}
	if _, err := d.Token(); err == nil || d.InputOffset() != int64(len(bytes.TrimRight(text, " \t\r\n"))) {
		return nil, errors.New("something follows the object: want one object on each line")
	}
	return fields, nil
}

// notObject words the errors of the JSON library, which count bytes that nobody sees.
func notObject(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON: %v", syntax)
	}
	if err != nil {
		return errors.New("not JSON: the line ends in the middle")
	}
	return errors.New("want a JSON object")
}

// halfRune reports whether an escape names half of a character; the JSON library would make another one of it.
func halfRune(text []byte) bool {
	half := func(i int) (n uint64, ok bool) { // of the escape at i
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		return n, err == nil && n >= 0xd800 && n < 0xe000
	}
	for i := bytes.IndexByte(text, '\\'); i >= 0 && i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first, ok := half(i)
		if !ok {
			i++ // what is escaped may be a backslash
			continue
		}
		second, ok := half(i + 6)
		if !ok || first >= 0xdc00 || second < 0xdc00 {
			return true
		}
		i += 11
	}
	return false
}

func textOf(f field) (s string, err error) {
	if err := json.Unmarshal(f.text, &s); err != nil {
		return "", fmt.Errorf("%s: want a text", f.key)
	}
	return s, nil
}

// bytesOf takes the text as it stands where nothing in it is escaped: values may be large, and another copy is one too many.
func bytesOf(f field) ([]byte, error) {
	text := []byte(f.text)
	if n := len(text); n >= 2 && text[0] == '"' && bytes.IndexByte(text, '\\') < 0 {
		text = text[1 : n-1]
	} else {
		s, err := textOf(f)
		if err != nil {
			return nil, err
		}
		text = []byte(s)
	}
	value := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(value, text)
	if err != nil {
		return nil, errors.New("base64: want standard base64 with padding")
	}
	return value[:n], nil
}

func integerOf(f field) (int64, error) {
	n, err := strconv.ParseInt(string(f.text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: want an integer", f.key)
	}
	return n, nil
}

// functionOf reads "namespace/name", or an object where one of them has a slash.
func functionOf(f field) (t api.FunctionType, err error) {
	if len(f.text) > 0 && f.text[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(f.text))
		d.DisallowUnknownFields()
		var parts struct {
			Namespace *string `json:"namespace"`
			Name      *string `json:"name"`
		}
		if err := d.Decode(&parts); err != nil || parts.Namespace == nil || parts.Name == nil {
			return t, errors.New(`function: want "NAMESPACE/NAME", or {"namespace":"...","name":"..."}`)
		}
		return api.FunctionType{Namespace: *parts.Namespace, Name: *parts.Name}, nil
	}
	text, err := textOf(f)
	namespace, name, ok := strings.Cut(text, "/")
	if err != nil || !ok || strings.Contains(name, "/") {
		return t, errors.New(`function: want "NAMESPACE/NAME", or {"namespace":"...","name":"..."} where one of them has a slash`)
	}
	return api.FunctionType{Namespace: namespace, Name: name}, nil
}

// modes are how files name expirations.
var modes = map[statestore.Expiration]string{statestore.ExpireNever: "never", statestore.ExpireAfterWrite: "afterWrite", statestore.ExpireAfterInvoke: "afterInvoke"}

func expirationOf(f field) (*statestore.StateSpec, error) {
	want := errors.New(`expiration: want {"mode":"never"}, or {"mode":"afterWrite","ttl":"48h"} or "afterInvoke" with a ttl: "1h30m", or a number of milliseconds`)
	d := json.NewDecoder(bytes.NewReader(f.text))
	d.DisallowUnknownFields()
	var parts struct {
		Mode string          `json:"mode"`
		TTL  json.RawMessage `json:"ttl"`
	}
	if err := d.Decode(&parts); err != nil {
		return nil, want
	}
	for mode, name := range modes {
		if name != parts.Mode {
			continue
		}
		ttl, err := ttlOf(parts.TTL)
		if err != nil || (mode == statestore.ExpireNever) != (parts.TTL == nil) {
			return nil, want
		}
		return &statestore.StateSpec{Expiration: mode, TTL: ttl}, nil
	}
	return nil, want
}

// ttlOf reads a time to live, in milliseconds.
func ttlOf(text json.RawMessage) (int64, error) {
	if text == nil {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return 0, err
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, err
		}
		n = d.Milliseconds()
	}
	if n <= 0 {
		return 0, errors.New("a ttl is above 0")
	}
	return n, nil
}

// short cuts hostile text for an error message.
func short(s string) string {
	const max = 64
	if len(s) <= max {
		return s
	}
	return strings.ToValidUTF8(s[:max], "") + "..."
}
