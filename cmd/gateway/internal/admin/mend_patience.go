package admin

import (
	"net/http"
	"time"
)

// smallTimeMax is how long the body of a change may take to come, but for a large state's (of which there are largeBodies at a time):
// whoever sends slowly must not hold the places of changes, which are what mends.
const smallTimeMax = 5 * time.Second

// soon gives a body little time to come. net/http ends that when the body has come: what is done then may take longer.
func soon(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(smallTimeMax)) // else it has the time of its connection
		}
		next(w, r)
	}
}
