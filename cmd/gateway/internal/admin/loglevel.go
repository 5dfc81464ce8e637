package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

const logLevelPath = "/v1/log-level"

// levels are the words for what the log leaves out, as in the setting logLevel.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

type jsonLogLevel struct {
	Level string `json:"level"`
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
		write(w, problem{http.StatusBadRequest, err.Error(), `send {"level":"debug"}, or info, warn or error`})
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

// askedLevelBytesMax bounds a body. Nothing that is asked for is as long.
const askedLevelBytesMax = 1 << 10

func askedLevel(r *http.Request) (slog.Level, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, askedLevelBytesMax+1))
	if err != nil || len(body) > askedLevelBytesMax {
		return 0, errors.New("the body is cut, or too long")
	}
	var asked jsonLogLevel
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil || decoder.More() {
		return 0, errors.New("the body is not a level in JSON")
	}
	level, ok := levels[asked.Level]
	if !ok {
		return 0, fmt.Errorf("%.20q is not a level", asked.Level)
	}
	return level, nil
}

func levelWord(level slog.Level) string { return strings.ToLower(level.String()) }
