package admin

import (
	"net/http"
	"net/http/pprof"
)

// profilePath is where Go's tools look for profiles, as in: go tool pprof http://127.0.0.1:8081/debug/pprof/profile
const profilePath = "/debug/pprof/"

// profile answers one profile, by Go's own handlers. There is no cmdline among them: a command line may hold a password.
func (h *handler) profile(w http.ResponseWriter, r *http.Request) {
	if h.Access.Role == nil && !h.Access.Local {
		write(w, problem{http.StatusForbidden, "profiles are for operators, and nobody is asked who he is", "give the gateway adminTokenFile"})
		return
	}
	name, _ := pathParameter(r, "profile")
	switch name {
	case "":
		pprof.Index(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "heap", "allocs", "goroutine", "threadcreate", "block", "mutex":
		pprof.Handler(name).ServeHTTP(w, r)
	default:
		h.notFound(w, r)
	}
}
