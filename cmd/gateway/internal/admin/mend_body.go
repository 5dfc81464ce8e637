package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a body.
const (
	mendBytesMax  = 64 << 10 // of what says what is to be done
	valueSendMax  = 32 << 20 // of one that carries a value
	largeBodies   = 2        // of those at a time
	smallBody     = 1 << 20  // and those up to this are not counted among them
	charactersMax = 100      // of what is shown again of a body
)

// jsonObject is a body: an object in JSON, each of whose members has been given once.
type jsonObject map[string]json.RawMessage

// askedBody reads a body that is one object in JSON and has no other members than these; nil: there is no body. The error is a problem,
// which says what is wanted.
func askedBody(r *http.Request, bytesMax int64, want string, members ...string) (jsonObject, error) {
	refuse := func(status int, format string, args ...any) (jsonObject, error) {
		return nil, problem{status, fmt.Sprintf(format, args...) + "; nothing has happened", want}
	}
	if text := plainJSON(r.Header); text != "" {
		return refuse(http.StatusUnsupportedMediaType, "%s", text)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, bytesMax))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "the body does not come in time")
	case err != nil:
		return refuse(http.StatusBadRequest, "the body is cut off")
	case len(body) == 0:
		return nil, nil
	case !utf8.Valid(body):
		return refuse(http.StatusBadRequest, "the body is not UTF-8")
	}
	object, err := objectOf(body)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	for name := range object {
		if !slices.Contains(members, name) {
			if len(members) == 0 {
				return refuse(http.StatusBadRequest, "the body has a member %s, and nothing is read from it", shown(name))
			}
			return refuse(http.StatusBadRequest, "the body has a member %s; known is nothing but %s", shown(name), strings.Join(members, ", "))
		}
	}
	return object, nil
}

// neededBody is askedBody for what cannot be without one.
func neededBody(r *http.Request, bytesMax int64, want string, members ...string) (jsonObject, error) {
	object, err := askedBody(r, bytesMax, want, members...)
	if err == nil && object == nil {
		err = problem{http.StatusBadRequest, "the body is empty; nothing has happened", want}
	}
	return object, err
}

// plainJSON says why a body is not JSON by what its headers say. What curl says when it is not told otherwise is let pass.
func plainJSON(h http.Header) string {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "the body has a Content-Encoding, and only plain bodies are read"
	}
	text := h.Get("Content-Type")
	if text == "" {
		return ""
	}
	media, params, err := mime.ParseMediaType(text)
	if err != nil || len(h.Values("Content-Type")) > 1 {
		return "the Content-Type cannot be read"
	}
	if set := params["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
		return "the body is not in UTF-8, by its Content-Type"
	}
	if media != "application/json" && media != "application/x-www-form-urlencoded" {
		return fmt.Sprintf("the body is %s, by its Content-Type, and JSON is read", shown(media))
	}
	return ""
}

// objectOf reads one object and nothing else. A member that is given twice would mean one thing to one reader and another to the next.
func objectOf(body []byte) (jsonObject, error) {
	noObject := errors.New("the body is not one object in JSON")
	d := json.NewDecoder(bytes.NewReader(body))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, noObject
	}
	object := jsonObject{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, noObject
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the body has the member %s twice", shown(name))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, noObject
		}
		object[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, noObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body goes on behind its object")
	}
	return object, nil
}

// text reads a member that is a string; one that is not there is "".
func (o jsonObject) text(name string) (string, error) {
	raw, ok := o[name]
	if !ok {
		return "", nil
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return *text, nil
}

// number reads a member that is a whole number, or one as a string, as lists give them; one that is not there is 0.
func (o jsonObject) number(name string) (uint64, error) {
	raw, ok := o[name]
	if !ok {
		return 0, nil
	}
	text := string(raw)
	if unquoted, err := o.text(name); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number", name)
	}
	return n, nil
}

// shown is a text of others as a text of ours may hold it.
func shown(text string) string {
	if utf8.RuneCountInString(text) > charactersMax {
		text = string([]rune(text)[:charactersMax]) + "..."
	}
	return strconv.Quote(text)
}
