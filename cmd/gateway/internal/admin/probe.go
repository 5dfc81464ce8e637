package admin

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

func (h *handler) healthz(w http.ResponseWriter, r *http.Request) {
	if h.Gateway.Turning(r.Context()) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "hanging"})
}

// Bounds of what /readyz says.
const (
	reasonsMax     = 100
	reasonBytesMax = 300
)

type jsonReason struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	s := h.Gateway.Status(r.Context())
	answer := struct {
		Status  string       `json:"status"`
		Role    string       `json:"role"`
		Reasons []jsonReason `json:"reasons"`
	}{"ok", role(s.Active), []jsonReason{}}
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

// secrets are the parts of an URL that may hold a password or a token: user and query.
var secrets = regexp.MustCompile(`://[^/\s?#]*@|\?[^\s#]+`)

// short cuts a text where it is long, and takes out what an URL in it may hide.
func short(text string) string {
	text = secrets.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "?") {
			return "?***"
		}
		return "://***@"
	})
	if len(text) <= reasonBytesMax {
		return text
	}
	cut := reasonBytesMax
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.TrimSpace(text[:cut]) + "..."
}
