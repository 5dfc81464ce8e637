package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
)

// checker checks values against the schemas of the OpenAPI document: the part of JSON Schema that the document uses.
type checker struct {
	document map[string]any
	patterns map[string]*regexp.Regexp // of paths
}

// newChecker reads the document as a client would get it.
func newChecker() *checker {
	h := &handler{Config: Config{Gateway: &fake{}, Metrics: http.NotFoundHandler()}}
	var c checker
	if err := json.Unmarshal(encode(document(h.routes(), "v1")), &c.document); err != nil {
		panic(err)
	}
	c.patterns = map[string]*regexp.Regexp{}
	for template := range c.document["paths"].(map[string]any) {
		c.patterns[template] = regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), "[^/]*") + "$")
	}
	return &c
}

var theChecker = sync.OnceValue(newChecker)

// answer checks what came back for a request, and says what is wrong.
func (c *checker) answer(method, path string, status int, contentType string, body []byte) error {
	if method == http.MethodHead || !strings.Contains(contentType, "json") {
		return nil
	}
	operation := c.operation(method, path)
	if operation == nil {
		operation = map[string]any{"responses": map[string]any{}}
	}
	responses := operation["responses"].(map[string]any)
	response, ok := responses[fmt.Sprint(status)].(map[string]any)
	if !ok && status < 400 {
		return fmt.Errorf("status %d is not in the document", status)
	}
	if !ok {
		response, _ = responses["default"].(map[string]any)
	}
	content, _ := response["content"].(map[string]any)
	media, _ := content[contentType].(map[string]any)
	if media == nil {
		if status >= 400 { // of what is no path of the document
			return c.check(map[string]any{"$ref": "#/components/schemas/Problem"}, parsed(body))
		}
		return fmt.Errorf("%s of %d is not in the document", contentType, status)
	}
	return c.check(media["schema"], parsed(body))
}

func parsed(body []byte) (value any) {
	_ = json.Unmarshal(body, &value) // of no JSON it is null, which no schema takes
	return value
}

// operation is the one that a request asks for.
func (c *checker) operation(method, path string) map[string]any {
	path, _, _ = strings.Cut(path, "?")
	if _, rest, ok := strings.Cut(path, "://"); ok {
		path = rest[max(strings.IndexByte(rest, '/'), 0):]
	}
	paths := c.document["paths"].(map[string]any)
	if path == "" {
		path = "/"
	}
	var found map[string]any
	least := 100 // a path that is written out goes before one with {names}
	for template, item := range paths {
		operation, ok := item.(map[string]any)[strings.ToLower(method)].(map[string]any)
		if n := strings.Count(template, "{"); ok && n < least && c.patterns[template].MatchString(path) {
			found, least = operation, n
		}
	}
	return found
}

func (c *checker) check(of, value any) error {
	s, ok := of.(map[string]any)
	if !ok {
		return fmt.Errorf(": the schema is %v", of)
	}
	for keyword, operand := range s {
		var err error
		switch keyword {
		case "$ref":
			name := strings.TrimPrefix(operand.(string), "#/components/schemas/")
			err = c.check(c.document["components"].(map[string]any)["schemas"].(map[string]any)[name], value)
		case "anyOf":
			err = c.any(operand.([]any), value)
		case "allOf":
			for _, part := range operand.([]any) {
				err = errors.Join(err, c.check(part, value))
			}
		case "type":
			err = ofType(operand, value)
		case "properties":
			err = c.object(s, value)
		case "items":
			all, _ := value.([]any)
			for i := range all {
				if err = c.check(operand, all[i]); err != nil {
					err = fmt.Errorf("[%d]%w", i, err)
					break
				}
			}
		case "additionalProperties":
			if s["properties"] == nil {
				err = c.object(s, value)
			}
		case "required", "description", "contentEncoding", "minimum": // required is checked with the properties
		default:
			err = fmt.Errorf(": the checker does not know %s", keyword)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) any(schemas []any, value any) (err error) {
	for _, s := range schemas {
		if err = c.check(s, value); err == nil {
			return nil
		}
	}
	return err
}

func (c *checker) object(s map[string]any, value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return nil // type says it
	}
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			return fmt.Errorf(": %s is missing", name)
		}
	}
	for name, v := range object {
		of, known := properties[name]
		if !known {
			of = s["additionalProperties"]
			if of == false || of == nil {
				return fmt.Errorf(": %s is not in the document", name)
			}
		}
		if err := c.check(of, v); err != nil {
			return fmt.Errorf(".%s%w", name, err)
		}
	}
	return nil
}

func ofType(types, value any) error {
	is := func(name string) bool {
		switch v := value.(type) {
		case nil:
			return name == "null"
		case bool:
			return name == "boolean"
		case string:
			return name == "string"
		case float64:
			return name == "number" || name == "integer" && (v == float64(int64(v)) || v > 1<<53)
		case []any:
			return name == "array"
		}
		return name == "object"
	}
	if name, one := types.(string); one {
		if is(name) {
			return nil
		}
	} else {
		for _, name := range types.([]any) {
			if is(name.(string)) {
				return nil
			}
		}
	}
	return fmt.Errorf(": %.100v is not %v", value, types)
}

// TestDocument: every route is in the document and every path of it is a route, each operation has a name of its own, and every
// schema that is referred to is there.
func TestDocument(t *testing.T) {
	c := theChecker()
	h := &handler{Config: Config{Gateway: &fake{}, Metrics: http.NotFoundHandler()}}
	served := map[string]bool{}
	if err := chi.Walk(h.router(), func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead {
			served[method+" "+path] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	told, names := map[string]bool{}, map[string]bool{}
	for path, item := range c.document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			told[strings.ToUpper(method)+" "+path] = true
			o := operation.(map[string]any)
			if id := o["operationId"].(string); names[id] || o["summary"] == "" {
				t.Errorf("%s %s: operation %q, summary %q", method, path, id, o["summary"])
			} else {
				names[id] = true
			}
		}
	}
	for route := range served {
		if !told[route] {
			t.Errorf("%s is not in the document", route)
		}
	}
	for route := range told {
		if !served[route] {
			t.Errorf("%s is not served", route)
		}
	}
	text := string(encode(c.document))
	schemas := c.document["components"].(map[string]any)["schemas"].(map[string]any)
	for _, found := range regexp.MustCompile(`#/components/schemas/(\w+)`).FindAllStringSubmatch(text, -1) {
		if schemas[found[1]] == nil {
			t.Errorf("there is no schema %s", found[1])
		}
	}
	if a := get(t, &fake{}, openAPIPath); a.status != 200 || a.body["openapi"] != "3.1.0" || len(a.body["paths"].(map[string]any)) < 20 {
		t.Errorf("served is %d %.200s", a.status, a.text)
	}
}

// undescribed are the properties, parameters and responses below a place in the document that do not say what they mean.
func undescribed(place string, of any) (out []string) {
	if all, ok := of.([]any); ok {
		for i, one := range all {
			out = append(out, undescribed(fmt.Sprintf("%s[%d]", place, i), one)...)
		}
	}
	object, _ := of.(map[string]any)
	for key, one := range object {
		place := place + "/" + key
		out = append(out, undescribed(place, one)...)
		var described []any
		switch of := one.(type) {
		case map[string]any:
			if key == "properties" || key == "responses" {
				described = slices.Collect(maps.Values(of))
			}
		case []any:
			if key == "parameters" {
				described = of
			}
		}
		for _, part := range described {
			if text, _ := part.(map[string]any)["description"].(string); strings.TrimSpace(text) == "" {
				out = append(out, fmt.Sprintf("%s: %.200v", place, part))
			}
		}
	}
	return out
}

// TestDocumentSaysWhat: every property, parameter and response of the document says what it means.
func TestDocumentSaysWhat(t *testing.T) {
	for _, place := range undescribed("", theChecker().document) {
		t.Error(place)
	}
	for text, want := range map[string]int{
		`{"a":{"properties":{"b":{"description":"c"}}}}`:                               0,
		`{"a":{"properties":{"b":{"type":"string"},"c":{"description":" "}}}}`:         2,
		`{"properties":{"b":{"description":"c","properties":{"d":{"type":"x"}}}}}`:     1,
		`{"paths":{"/":{"parameters":[{"name":"n"},{"name":"m","description":"x"}]}}}`: 1,
		`{"get":{"responses":{"200":{},"default":{"description":"x"}}}}`:               1,
		`{"anyOf":[{"properties":{"b":{}}}]}`:                                          1,
	} {
		if got := undescribed("", parsed([]byte(text))); len(got) != want {
			t.Errorf("%s: %d are found, want %d: %q", text, len(got), want, got)
		}
	}
}

// TestDocumentNeeds: what the document says must be there is refused without it, and what may be left out is done without it.
func TestDocumentNeeds(t *testing.T) {
	c := theChecker()
	needed := 0
	without := func(method, target, body, header string, must bool) {
		t.Helper()
		var headers []string
		if header != "" {
			headers = []string{header}
		}
		a := change(t, handlerOf(&fake{fakeMender: fakeMender{last: 90}}), method, target, body, headers...)
		if must {
			needed++
		}
		if refused := a.status == 400; refused != must || !refused && a.status >= 300 {
			t.Errorf("%s %s %q, must be there: %v: got %d %s", method, target, body, must, a.status, a.text)
		}
	}
	for _, m := range everyMend {
		operation := c.operation(m.method, m.target)
		if sent, ok := operation["requestBody"].(map[string]any); ok {
			without(m.method, m.target, "", m.header, sent["required"].(bool))
		}
		parameters, _ := operation["parameters"].([]any)
		for _, p := range parameters {
			of := p.(map[string]any)
			path, query, _ := strings.Cut(m.target, "?")
			if of["in"] == "query" && of["required"] == true {
				left := regexp.MustCompile(of["name"].(string)+"=[^&]*&?").ReplaceAllString(query, "")
				without(m.method, strings.TrimSuffix(path+"?"+left, "?"), m.body, m.header, true)
			}
		}
	}
	if needed < 10 {
		t.Errorf("only %d things are needed by the document", needed)
	}
}

// TestChecker: the checker that all answers go through finds what is wrong.
func TestChecker(t *testing.T) {
	c := theChecker()
	for text, good := range map[string]bool{
		`{"items":[],"next":null}`:     true,
		`{"items":[],"next":"7"}`:      true,
		`{"items":[],"next":7}`:        false,
		`{"items":[]}`:                 false,
		`{"items":null,"next":null}`:   false,
		`{"items":[{}],"next":null}`:   false,
		`{"items":[],"next":"","x":1}`: false,
		`[]`:                           false,
	} {
		if err := c.answer("GET", timersPath+"?limit=1", 200, "application/json", []byte(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := c.answer("GET", timersPath, 400, "application/problem+json", []byte(`{"type":"about:blank"}`)); err == nil {
		t.Error("half a problem is none")
	}
	if err := c.answer("GET", "/v1/version", 299, "application/json", []byte(`{}`)); err == nil {
		t.Error("a status that is not in the document")
	}
	if err := c.answer("DELETE", "/v1/deadletters/7", 204, "", nil); err != nil {
		t.Error(err)
	}
}

// rewrite writes docs/openapi.json anew: go test ./cmd/gateway/internal/admin -run TestDocumentIsWritten -rewrite
var rewrite = flag.Bool("rewrite", false, "write docs/openapi.json anew")

// TestDocumentIsWritten: the document stands in the repository, too, where a change of what can be asked is seen as a change of it.
func TestDocumentIsWritten(t *testing.T) {
	const path = "../../../../docs/openapi.json"
	h := &handler{Config: Config{Gateway: &fake{}, Metrics: http.NotFoundHandler()}}
	want := encode(document(h.routes(), "v1"))
	if *rewrite {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/openapi.json is not what the gateway answers: write it anew with -rewrite, and look at what changes for clients")
	}
}
