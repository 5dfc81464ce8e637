package admin

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

type jsonHealth struct {
	Status string `json:"status" about:"ok or hanging"`
}

func (h *handler) healthz(w http.ResponseWriter, r *http.Request) {
	if h.Gateway.Turning(r.Context()) {
		writeJSON(w, http.StatusOK, jsonHealth{"ok"})
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, jsonHealth{"hanging"})
}

// Bounds of what /readyz says.
const (
	reasonsMax     = 100
	reasonBytesMax = 300
)

type jsonReason struct {
	Kind string `json:"kind" about:"short and stable, for counting"`
	Text string `json:"text" about:"for people; without ids of addresses and without payloads"`
}

type jsonStatus struct {
	Status  string       `json:"status" about:"ok, degraded or unready"`
	Role    string       `json:"role" about:"active or standby"`
	Reasons []jsonReason `json:"reasons" about:"what is not as it should be; the first 100"`
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	s := h.Gateway.Status(r.Context())
	answer := jsonStatus{"ok", role(s.Active), []jsonReason{}}
	code := http.StatusOK
	if len(s.Reasons) > 0 {
		answer.Status = "degraded"
	}
	if s.Unready != "" {
		answer.Status, code = "unready", http.StatusServiceUnavailable
		answer.Reasons = append(answer.Reasons, jsonReason{"unready", short(s.Unready)})
	}
	for i, reason := range s.Reasons {
		if i == reasonsMax {
			answer.Reasons = append(answer.Reasons, jsonReason{"more", fmt.Sprintf("%d more; /metrics counts them", len(s.Reasons)-i)})
			break
		}
		answer.Reasons = append(answer.Reasons, jsonReason{reason.Kind, short(reason.Text)})
	}
	writeJSON(w, code, answer)
}

func role(active bool) string {
	if active {
		return "active"
	}
	return "standby"
}

// A text may hold URLs, and the user and the query of one may be a password or a token. A question mark elsewhere ends a question, unless
// what follows it at once has the form of a query.
var (
	users   = regexp.MustCompile(`://[^/\s?#]*@`)
	queries = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s?]*)\?(\S+)|(\S)\?([\w.~%+-]+=\S*)`)
)

// goesOn is what may stand behind an URL and belongs to the sentence around it.
const goesOn = "\"':;,.)]}>"

// withoutSecrets takes out what an URL in a text may hide.
func withoutSecrets(text string) string {
	text = users.ReplaceAllString(text, "://***@")
	return queries.ReplaceAllStringFunc(text, func(found string) string {
		before, query, _ := strings.Cut(found, "?")
		secret := strings.TrimRight(query, goesOn)
		if secret == "" {
			return found // the question mark is the sentence's
		}
		return before + "?***" + query[len(secret):]
	})
}

// short cuts a text where it is long, and shows no secret of an URL in it.
func short(text string) string {
	text = withoutSecrets(text)
	if len(text) <= reasonBytesMax {
		return text
	}
	cut := reasonBytesMax
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.TrimSpace(text[:cut]) + "..."
}
