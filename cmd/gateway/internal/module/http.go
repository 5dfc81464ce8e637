package module

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// HTTPIngress takes events and requests by HTTP, at the address of --listen.
type HTTPIngress struct {
	Place       Place
	ID          string
	Functions   []Functions // that /v1/send and /v1/call reach
	MaxBodySize int         // bytes
	Timeout     time.Duration
	Routes      []HTTPRoute

	functionPlaces []Place
}

// HTTPMode is what a request of a route waits for.
type HTTPMode string

const (
	HTTPCall HTTPMode = "call" // the reply of the function
	HTTPSend HTTPMode = "send" // that the event is durable
)

// HTTPRoute is a path of the application's own.
type HTTPRoute struct {
	Place     Place
	Method    string
	Path      string // of literal segments and {names}
	Target    api.FunctionType
	ID        string // with the {names} of the path
	Mode      HTTPMode
	ValueType string // "": the request says
}

const (
	httpBodyDefault    = 1 << 20
	httpBodyMax        = 64 << 20
	httpTimeoutDefault = 30 * time.Second
	httpTimeoutMax     = 10 * time.Minute
	httpRoutesMax      = 1000
)

// reservedNamespace is ours: callers of events by HTTP are addresses in it.
const reservedNamespace = "io.stategate"

func (p *parser) httpIngress(spec *object) {
	p.anIngress = true
	id, at := spec.needID()
	i := HTTPIngress{Place: p.place(at), ID: id, Timeout: spec.duration("timeout", httpTimeoutDefault, false)}
	if n := spec.take("timeout"); n != nil && i.Timeout > httpTimeoutMax {
		p.complain(n, Error, "timeout: want at most %s, got %s", httpTimeoutMax, p.describe(n))
	}
	i.MaxBodySize = int(spec.size("maxBodySize", httpBodyDefault, 1, httpBodyMax))
	functions, _ := spec.list("functions", false)
	for _, n := range functions {
		if f, ok := p.functions(n); ok {
			i.Functions = append(i.Functions, f)
			i.functionPlaces = append(i.functionPlaces, p.place(n))
		}
	}
	routes, _ := spec.list("routes", false)
	if len(routes) > httpRoutesMax {
		p.complain(routes[httpRoutesMax], Error, "routes: want at most %d", httpRoutesMax)
		routes = routes[:httpRoutesMax]
	}
	for _, n := range routes {
		if o := p.object(n, "a route", Error); o != nil {
			o.ours = true
			if r, ok := p.httpRoute(o); ok {
				i.Routes = append(i.Routes, r)
			}
			o.close()
		}
	}
	if len(functions) == 0 && len(routes) == 0 {
		p.complain(spec.node, Error, "%s reaches nothing: want functions, such as [shop/*], or routes", spec.what)
	}
	if id != "" && p.bind("ingress", id, i.Place) {
		p.module.HTTPIngresses = append(p.module.HTTPIngresses, i)
		p.listHTTPIngress(&i, spec.node)
	}
}

var httpMethods = []string{"POST", "PUT", "PATCH", "DELETE", "GET"}

func (p *parser) httpRoute(o *object) (r HTTPRoute, ok bool) {
	r = HTTPRoute{Place: p.place(o.node), Method: "POST", Mode: HTTPCall}
	if o.has("method") {
		r.Method = o.choice("method", httpMethods)
	}
	if o.has("mode") {
		r.Mode = HTTPMode(o.choice("mode", names([]HTTPMode{HTTPCall, HTTPSend})))
	}
	o.knows("method", "mode")
	if n := o.take("valueType"); n != nil {
		r.ValueType, _ = p.textOf(n, "valueType", Error)
		if len(r.ValueType) > api.TypeNameBytesMax {
			p.complain(n, Error, "valueType has %d bytes: at most %d are allowed", len(r.ValueType), api.TypeNameBytesMax)
		}
	}
	if n := o.need("target"); n != nil {
		r.Place = p.place(n)
		if f, ok := p.functions(n); ok && f.All {
			p.complain(n, Error, "target: want one function, namespace/name, got %s", p.describe(n))
		} else if ok {
			r.Target = api.FunctionType{Namespace: f.Namespace, Name: f.Name}
		}
	}
	params := p.httpPath(o, &r)
	p.httpID(o, &r, params)
	ok = r.Method != "" && r.Mode != "" && r.Path != "" && r.ID != "" && !r.Target.IsZero()
	if ok {
		ok = p.bindRoute(&r)
	}
	return r, ok
}

// httpSegment is a part of a path that means itself, however it is encoded, or a name in braces.
var (
	httpSegment = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	httpParam   = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
	httpHole    = regexp.MustCompile(`\{[^{}]*\}`)
)

// httpPath reads the path and answers its names.
func (p *parser) httpPath(o *object, r *HTTPRoute) (params []string) {
	path := o.needText("path")
	if path == "" {
		return nil
	}
	n := o.take("path")
	wrong := func(format string, args ...any) []string {
		p.complain(n, Error, "path %s: %s; want such as /carts/{id}/items", p.describe(n), fmt.Sprintf(format, args...))
		return nil
	}
	segments := strings.Split(path, "/")
	switch {
	case segments[0] != "":
		return wrong("it begins without a /")
	case len(path) > 1000:
		return wrong("it is longer than 1000 bytes")
	case len(segments) > 1 && segments[1] == "v1":
		return wrong("/v1 is the gateway's own")
	}
	for _, s := range segments[1:] {
		m := httpParam.FindStringSubmatch(s)
		switch {
		case m != nil && slices.Contains(params, m[1]):
			return wrong("it has {%s} twice", m[1])
		case m != nil:
			params = append(params, m[1])
		case s == "." || s == ".." || !httpSegment.MatchString(s):
			return wrong("each part between two / is letters, digits and - _ . ~, or one name in braces")
		}
	}
	r.Path = path
	return params
}

// httpID reads the id, which is made of names of the path and of text.
func (p *parser) httpID(o *object, r *HTTPRoute, params []string) {
	id := o.needText("id")
	if id == "" {
		if n := o.take("id"); n != nil && n.Kind == yaml.MappingNode {
			p.complain(n, Error, `id: write it in quotes, such as "{id}"; without them braces are a map`)
		}
		return
	}
	if r.Path == "" { // which is complained of
		return
	}
	n := o.take("id")
	for _, hole := range httpHole.FindAllString(id, -1) {
		if name := hole[1 : len(hole)-1]; !slices.Contains(params, name) {
			p.complain(n, Error, "id %s: the path has no %s: %s", p.describe(n), hole, guess(name, params))
			return
		}
	}
	if strings.ContainsAny(httpHole.ReplaceAllString(id, ""), "{}") {
		p.complain(n, Error, "id %s: a brace stands alone", p.describe(n))
		return
	}
	r.ID = id
}

// bindRoute complains of two routes for the same requests.
func (p *parser) bindRoute(r *HTTPRoute) bool {
	return p.bind("route", r.Method+" "+httpHole.ReplaceAllString(r.Path, "{}"), r.Place)
}

// size is the value of an optional key in bytes, with a unit, or def.
func (o *object) size(name string, def, lo, hi int64) int64 {
	n := o.takeAmount(name)
	if n == nil {
		return def
	}
	bytes, ok := int64(0), false
	if n.Kind == yaml.ScalarNode {
		bytes, ok = parseSize(o.p.scalarText(n))
	}
	if !ok || bytes < lo || bytes > hi {
		o.p.complain(n, Error, "%s: want a whole number of B, KiB or MiB from %d B to %d MiB, such as 1MiB, got %s", name, lo, hi>>20, o.p.describe(n))
		return def
	}
	return bytes
}

func parseSize(text string) (int64, bool) {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}} {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		return n * u.bytes, err == nil && n >= 0 && n <= math.MaxInt64/u.bytes
	}
	return 0, false
}

// checkHTTP complains of functions that requests may reach and nobody serves.
func (p *parser) checkHTTP(check func(targets []api.FunctionType, places []Place)) {
	for _, i := range p.module.HTTPIngresses {
		for at, f := range i.Functions {
			if !f.All {
				check([]api.FunctionType{{Namespace: f.Namespace, Name: f.Name}}, i.functionPlaces[at:])
			} else if !slices.ContainsFunc(p.module.Endpoints, func(e Endpoint) bool { return e.Functions.Namespace == f.Namespace }) {
				p.complainAt(i.functionPlaces[at], Warning, "no endpoint serves a function of %s, events for them are refused", quote(f.String()))
			}
		}
		for _, r := range i.Routes {
			check([]api.FunctionType{r.Target}, []Place{r.Place})
		}
	}
}
