package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"strings"
)

// The OpenAPI document is made of the rows of routes, and of the types of what is sent and answered: it cannot be older than they are.

const openAPIPath = "/v1/openapi.json"

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

func (h *handler) openAPI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, document(h.routes(), h.Version.Version))
}

// document describes the routes.
func document(routes []route, version string) schema {
	d := &describer{schemas: schema{}}
	paths := schema{}
	for i := range routes {
		path, _ := paths[routes[i].Path].(schema)
		if path == nil {
			path = schema{"parameters": pathParameters(routes[i].Path)}
			paths[routes[i].Path] = path
		}
		path[strings.ToLower(routes[i].Method)] = d.operation(&routes[i])
	}
	d.schemas["Problem"] = schema{
		"type": "object", "additionalProperties": false, "required": []string{"type", "title", "status", "detail", "remedy"},
		"properties": schema{
			"type": schema{"type": "string", "description": "about:blank"}, "title": schema{"type": "string", "description": "of the status, as in Not Found"},
			"status": schema{"type": "integer", "description": "of HTTP"},
			"detail": schema{"type": "string", "description": "what is wrong"}, "remedy": schema{"type": "string", "description": "what to do about it"},
		},
	}
	return schema{
		"openapi": "3.1.0",
		"info": schema{
			"title": "Admin side of a gateway", "version": version,
			"description": "What can be asked and done with curl. Lists are items and next: next, given as after, asks for the page behind; null is the end. Times are RFC 3339 in UTC.",
		},
		"paths": paths,
		"components": schema{
			"schemas":         d.schemas,
			"securitySchemes": schema{"token": schema{"type": "http", "scheme": "bearer", "description": "where the gateway has token files: of a reader, or of an operator"}},
		},
		"security": []schema{{"token": []string{}}, {}},
	}
}

var pathNames = regexp.MustCompile(`\{([a-z]+)\}`)

// aboutParts says what stands in the path at each place.
var aboutParts = map[string]string{
	"namespace": "of the function, ingress or egress; percent-encoded once, as all names in a path",
	"name":      "of it, without its namespace",
	"id":        "of the address; / is written %2F, % is %25",
	"state":     "name of the state",
	"number":    "of the dead letter",
	"slot":      "number of the lane",
	"profile":   "profile, trace, heap, allocs, goroutine, threadcreate, block or mutex",
}

func pathParameters(path string) []schema {
	out := []schema{}
	for _, found := range pathNames.FindAllStringSubmatch(path, -1) {
		of := schema{"type": "string"}
		if found[1] == "number" || found[1] == "slot" {
			of = schema{"type": "integer", "minimum": 0}
		}
		out = append(out, schema{"name": found[1], "in": "path", "required": true, "description": aboutParts[found[1]], "schema": of})
	}
	return out
}

// describer gathers the schemas of types.
type describer struct{ schemas schema }

func (d *describer) operation(r *route) schema {
	out := schema{"summary": r.About, "operationId": operationID(r)}
	var parameters []schema
	for _, p := range r.Query {
		of := schema{"type": "string"}
		switch {
		case p.Number:
			of = schema{"type": "integer", "minimum": 1}
		case p.Flag:
			of = schema{"type": "boolean"}
		}
		in := "query"
		if p.Header {
			in = "header"
		}
		parameters = append(parameters, schema{"name": p.Name, "in": in, "required": p.Needed, "description": p.About, "schema": of})
	}
	if parameters != nil {
		out["parameters"] = parameters
	}
	if r.Body != nil {
		out["requestBody"] = schema{"required": !r.NoBody, "description": "what is to be done", "content": schema{"application/json": schema{"schema": d.of(reflect.TypeOf(r.Body))}}}
	}
	status, about := answered(r)
	done := schema{"description": about}
	if r.Answer != nil {
		done["content"] = schema{"application/json": schema{"schema": d.of(reflect.TypeOf(r.Answer))}}
	}
	out["responses"] = schema{
		status: done,
		"default": schema{
			"description": "why it is not done, or not known, and what to do about it; a detail that says that nothing has happened is certain",
			"content":     schema{"application/problem+json": schema{"schema": reference("Problem")}},
		},
	}
	if r.Path == "/readyz" || r.Path == "/healthz" { // what they answer when they say no is no problem
		no := maps.Clone(done)
		no["description"] = "no, and why"
		out["responses"].(schema)["503"] = no
	}
	return out
}

// answered is the status of what is done, and what it means.
func answered(r *route) (status, about string) {
	switch {
	case r.Method != http.MethodGet && r.Answer == nil:
		return "204", "it is done, and lasts"
	case r.Path == logLevelPath && r.Method != http.MethodGet:
		return "200", "it is done, until the restart; what is now"
	case r.Method != http.MethodGet:
		return "200", "it is done, and lasts; what came of it"
	case r.Answer == nil:
		return "200", "text, or what a profile is made of"
	}
	return "200", "what was asked for"
}

// operationID is the method and the path in one word.
func operationID(r *route) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(r.Method))
	for _, part := range strings.FieldsFunc(strings.TrimPrefix(r.Path, "/v1"), func(c rune) bool { return strings.ContainsRune("/{}-._", c) }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func reference(name string) schema { return schema{"$ref": "#/components/schemas/" + name} }

// of is the schema of a type. Types with a name of their own stand among the components.
func (d *describer) of(t reflect.Type) schema {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return schema{}
	case t.Kind() == reflect.Pointer:
		return nullable(d.of(t.Elem()))
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return schema{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Slice, reflect.Array:
		return schema{"type": "array", "items": d.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Struct:
		name := strings.TrimPrefix(t.Name(), "json")
		if name == "" || strings.Contains(name, "[") {
			return d.object(t)
		}
		if _, known := d.schemas[name]; !known {
			d.schemas[name] = nil // of a type that has itself in it
			d.schemas[name] = d.object(t)
		}
		return reference(name)
	case reflect.Interface:
		return schema{}
	}
	return schema{"type": "integer"}
}

func nullable(s schema) schema {
	switch of := s["type"].(type) {
	case nil:
		if len(s) == 0 {
			return s
		}
		return schema{"anyOf": []any{s, schema{"type": "null"}}}
	case string:
		s["type"] = []string{of, "null"}
	}
	return s
}

func (d *describer) object(t reflect.Type) schema {
	properties, required := schema{}, []string{}
	d.fields(t, properties, &required)
	return schema{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// fields adds those of a struct, and of the structs that stand in it without a name.
func (d *describer) fields(t reflect.Type, properties schema, required *[]string) {
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == "-":
		case f.Anonymous && tag == "":
			d.fields(f.Type, properties, required)
		case f.IsExported():
			if tag == "" {
				tag = f.Name
			}
			of := d.of(f.Type)
			if about := f.Tag.Get("about"); about != "" {
				of["description"] = about
			}
			properties[tag] = of
			if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
				*required = append(*required, tag)
			}
		}
	}
}
