package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// route is one thing that can be asked or done. The router, the index and the OpenAPI document are made of the same rows.
type route struct {
	Method string // GET, which answers HEAD too, or another one
	Path   string
	About  string // to people who see the list of all
	// Operators: not even readers may look. What is no GET is for operators always.
	Operators bool
	Query     []parameter
	Body      any // zero value of what is sent, or nil
	// NoBody: what is sent may as well be left out.
	NoBody bool
	Answer any // zero value of what is answered, or nil where that is no JSON
	Serve  http.HandlerFunc
}

// parameter is one of the query, or a header.
type parameter struct {
	Name   string
	About  string
	Header bool
	Number bool
	Needed bool
	Flag   bool // true or false
}

// routes are all, those that read first.
func (h *handler) routes() []route {
	return slices.Concat(h.probes(), h.reads(), h.effective(), h.mends(), h.profiles())
}

func (h *handler) probes() []route {
	return []route{
		{Method: http.MethodGet, Path: "/healthz", About: "200 while the gateway's loop turns, else 503", Answer: jsonHealth{}, Serve: h.healthz},
		{Method: http.MethodGet, Path: "/readyz", About: "503 while starting, draining or without the store, else 200; with role and reasons", Answer: jsonStatus{}, Serve: h.readyz},
		{Method: http.MethodGet, Path: "/metrics", About: "metrics for Prometheus", Serve: h.Metrics.ServeHTTP},
	}
}

func (h *handler) profiles() []route {
	return []route{
		{Method: http.MethodGet, Path: profilePath, About: "profiles for go tool pprof; for operators only", Operators: true, Serve: h.profile},
		{Method: http.MethodGet, Path: profilePath + "{profile}", About: "one of them: profile, trace, heap, allocs, goroutine, threadcreate, block or mutex", Operators: true, Serve: h.profile},
	}
}

// router answers by the rows.
func (h *handler) router() chi.Router {
	r := chi.NewRouter()
	r.NotFound(h.notFound)
	r.MethodNotAllowed(h.methodNotAllowed)
	for _, route := range h.routes() {
		serve := route.Serve
		if route.Operators || route.Method != http.MethodGet {
			serve = operators(serve)
		}
		r.Method(route.Method, route.Path, serve)
		if route.Method == http.MethodGet {
			r.Method(http.MethodHead, route.Path, serve)
		}
	}
	return r
}

type jsonIndex struct {
	Program string      `json:"program" about:"gateway"`
	Routes  []jsonRoute `json:"routes" about:"all that can be asked and done"`
}

type jsonRoute struct {
	Method string `json:"method" about:"GET stands for HEAD, too"`
	Path   string `json:"path" about:"names in braces stand for parts that are percent-encoded"`
	About  string `json:"about" about:"what it tells or does"`
}

// index lists what can be asked and done.
func (h *handler) index(w http.ResponseWriter, _ *http.Request) {
	all := []jsonRoute{}
	for _, r := range h.routes() {
		all = append(all, jsonRoute{r.Method, r.Path, r.About})
	}
	writeJSON(w, http.StatusOK, jsonIndex{"gateway", all})
}

// methodNotAllowed says what can be done with the path.
func (h *handler) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var may []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete} {
		if chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.EscapedPath()) {
			may = append(may, method)
		}
	}
	w.Header().Set("Allow", strings.Join(may, ", "))
	write(w, problem{http.StatusMethodNotAllowed, "this path does not know the method; it knows " + strings.Join(may, ", "), listRemedy})
}
