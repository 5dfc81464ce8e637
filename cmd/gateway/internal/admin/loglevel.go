package admin

import (
	"log/slog"
	"net/http"
	"strings"
)

const logLevelPath = "/v1/log-level"

// levels are the words for what the log leaves out, as in the setting logLevel.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

type jsonLogLevel struct {
	Level string `json:"level" about:"debug, info, warn or error"`
}

func (h *handler) logLevel(w http.ResponseWriter, _ *http.Request) {
	if h.Level == nil {
		h.noLogLevel(w)
		return
	}
	writeJSON(w, http.StatusOK, jsonLogLevel{levelWord(h.Level.Level())})
}

// setLogLevel changes the level until the restart. The log says so, before and after: at debug it shows what messages hold.
func (h *handler) setLogLevel(w http.ResponseWriter, r *http.Request) {
	if h.Level == nil {
		h.noLogLevel(w)
		return
	}
	to, err := askedLevel(r)
	if err != nil {
		write(w, err.(problem))
		return
	}
	before := h.Level.Level()
	h.Level.Set(min(to, before))
	h.Log.Log(r.Context(), max(slog.LevelInfo, min(to, before)), "the level of the log is changed", "from", levelWord(before), "to", levelWord(to))
	h.Level.Set(to)
	writeJSON(w, http.StatusOK, jsonLogLevel{levelWord(to)})
}

func (h *handler) noLogLevel(w http.ResponseWriter) {
	write(w, problem{http.StatusNotFound, "this gateway's log has no level that can be changed", listRemedy})
}

const levelWant = `send {"level":"debug"}, or info, warn or error`

// askedLevel reads the body. The error is a problem.
func askedLevel(r *http.Request) (slog.Level, error) {
	body, err := neededBody(r, mendBytesMax, levelWant, "level")
	if err != nil {
		return 0, err
	}
	word, err := body.text("level")
	level, ok := levels[word]
	if err != nil || !ok {
		return 0, problem{http.StatusBadRequest, shown(word[:min(len(word), 20)]) + " is not a level; nothing has happened", levelWant}
	}
	return level, nil
}

func levelWord(level slog.Level) string { return strings.ToLower(level.String()) }
