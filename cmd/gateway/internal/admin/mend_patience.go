package admin

import (
	"net/http"
	"time"
)

// smallTimeMax is how long the body of a change may take to come that says what is to be done and carries no value: whoever sends slowly
// must not hold the places of changes, which are what mends.
const smallTimeMax = 5 * time.Second

// soon gives a small body little time to come. net/http ends that when the body has come: what is done then may take longer.
func soon(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		mayBeLarge := r.ContentLength > mendBytesMax || r.ContentLength < 0 && r.Method == http.MethodPut // there are two places for those
		if r.ContentLength != 0 && !mayBeLarge {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(smallTimeMax)) // else it has the time of its connection
		}
		next(w, r)
	}
}
