package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
)

type jsonEdit struct {
	TypeName string `json:"typeName" about:"of the value: the type that the function has said this state has"`
	Encoding string `json:"encoding,omitempty" about:"json, or base64; json where it is left out"`
	Value    any    `json:"value" about:"in JSON, or a string of its bytes in base64"`
}

type jsonEdited struct {
	Version string `json:"version" about:"of what is set now, as the header ETag has it"`
}

func (h *handler) stateMends() []route {
	var rows []route
	small := h.mend(editState)
	large := within(h.large, "other large states are being written; nothing has happened", h.placed(h.made(editState)))
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength >= 0 && r.ContentLength <= smallBody { // it waits for a call, maybe, but in nobody's way
			small(w, r)
			return
		}
		large(w, r)
	}
	query := []parameter{
		{Name: "force", About: "whatever is there", Flag: true},
		{Name: "If-Match", About: "the version of what is there", Header: true},
		{Name: "If-None-Match", About: "*: only if it is not set", Header: true},
	}
	for _, path := range []string{addressPath, addressByID} {
		if path == addressByID {
			query = append(query, parameter{Name: "id", About: "the id, also '', '.' and '..'", Needed: true})
		}
		rows = append(rows,
			route{Method: http.MethodPut, Path: path + "/state/{state}", About: "sets one state, if it is as you have seen it", Query: query, Body: jsonEdit{}, Answer: jsonEdited{}, Serve: serve},
			route{Method: http.MethodDelete, Path: path + "/state/{state}", About: "removes one state, if it is as you have seen it", Query: query, Serve: serve})
	}
	return rows
}

const (
	stateWant = `send {"typeName":"NAMESPACE/NAME","encoding":"json","value":VALUE}, or with the encoding base64 and a string`
	ifWant    = `say what is there: If-Match: "VERSION" (as GET shows it), If-None-Match: * (nothing is set), or ?force=true (whatever it is)`
)

func editState(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
	a, err := mendedAddress(r, "force")
	if err != nil {
		return mended{}, problem{http.StatusBadRequest, err.Error(), "want /v1/addresses/NAMESPACE/NAME/ID/state/STATE, each percent-encoded once as UTF-8, or /v1/addresses/NAMESPACE/NAME/state/STATE?id=ID"}
	}
	e := dispatcher.Edit{Delete: r.Method == http.MethodDelete}
	if e.State, err = part(r, "state"); err == nil && e.State == "" {
		err = errors.New("the state has no name")
	}
	if err == nil {
		err = api.CheckID(e.State) // UTF-8; whether there is such a state its function says
	}
	if err != nil {
		return mended{}, problem{http.StatusBadRequest, err.Error(), "want the name of a state in the path, percent-encoded once as UTF-8"}
	}
	if e.If, err = askedVersion(r); err != nil {
		return mended{}, err
	}
	if e.Delete {
		if _, err := askedBody(r, mendBytesMax, noBodyWant); err != nil {
			return mended{}, err
		}
		version, err := app.EditState(ctx, a, e, by)
		return mended{etag: version}, err
	}
	body, err := neededBody(r, valueSendMax, stateWant, "typeName", "encoding", "value")
	if err != nil {
		return mended{}, err
	}
	if e.Value, err = body.typedValue(); err != nil {
		return mended{}, problem{http.StatusBadRequest, err.Error() + "; nothing has happened", stateWant}
	}
	version, err := app.EditState(ctx, a, e, by)
	return mended{jsonEdited{version}, version}, err
}

// askedVersion reads what must be there: nil: whatever it is; "": nothing. The error is a problem.
func askedVersion(r *http.Request) (*string, error) {
	wrong := func(status int, text string) (*string, error) {
		return nil, problem{status, text + "; nothing has happened", ifWant}
	}
	match, none := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	query, _ := strictQuery(r, "id", "force") // it was read before
	force, forced := query["force"]
	if forced && force != "true" {
		return wrong(http.StatusBadRequest, "force is not true")
	}
	switch said := len(match) + len(none); {
	case forced && said == 0:
		return nil, nil
	case said == 0:
		return wrong(http.StatusPreconditionRequired, "it is not said what is there")
	case said > 1 || forced:
		return wrong(http.StatusBadRequest, "it is said twice what is there")
	case len(none) == 1:
		if strings.TrimSpace(none[0]) != "*" || r.Method == http.MethodDelete {
			return wrong(http.StatusBadRequest, "If-None-Match can only be *, and only where something is set")
		}
		return new(string), nil
	}
	version := strings.TrimSpace(match[0])
	if len(version) < 3 || version[0] != '"' || version[len(version)-1] != '"' || strings.Contains(version[1:len(version)-1], `"`) {
		return wrong(http.StatusBadRequest, "If-Match is not one version in quotation marks")
	}
	version = version[1 : len(version)-1]
	return &version, nil
}

// typedValue reads the members typeName, encoding and value.
func (o jsonObject) typedValue() (v api.TypedValue, err error) {
	if _, ok := o["typeName"]; !ok {
		return v, errors.New("there is no typeName")
	}
	if v.TypeName, err = o.text("typeName"); err != nil || v.TypeName == "" {
		return v, errors.New("typeName is not the name of a type")
	}
	encoding, err := o.text("encoding")
	if err != nil {
		return v, err
	}
	raw, ok := o["value"]
	if !ok {
		return v, errors.New("there is no value")
	}
	v.HasValue = true
	switch encoding {
	case "", "json":
		v.Value, err = bytesOfJSON(v.TypeName, raw)
	case "base64":
		var value *[]byte
		if err = json.Unmarshal(raw, &value); err != nil || value == nil || raw[0] != '"' {
			return v, errors.New("value is not a string in base64")
		}
		v.Value = *value
	default:
		return v, errors.New("encoding is neither json nor base64")
	}
	if err == nil {
		err = api.CheckValue(v)
	}
	return v, err
}
