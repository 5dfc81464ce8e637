package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
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

// notedMax bounds how long a change of the level waits for the store: it is made in any case, and mostly when something is wrong.
const notedMax = 2 * time.Second

// setLogLevel changes the level until the restart. The log says so, before and after: at debug it shows what messages hold. The audit says
// so, too, of the gateway that works, where the store takes it: that is no condition.
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
	before, by := h.Level.Level(), h.by(r)
	h.Level.Set(min(to, before))
	h.Log.Log(r.Context(), max(slog.LevelInfo, min(to, before)), "the level of the log is changed", "from", levelWord(before), "to", levelWord(to), "by", by)
	h.Level.Set(to)
	h.noteLevel(r.Context(), levelWord(before)+" to "+levelWord(to), by)
	writeJSON(w, http.StatusOK, jsonLogLevel{levelWord(to)})
}

func (h *handler) noteLevel(ctx context.Context, detail, by string) {
	app, err := h.Gateway.Application()
	if err != nil {
		return // it starts, and the store is not open yet
	}
	ctx, cancel := context.WithTimeout(ctx, notedMax)
	defer cancel()
	err = app.Noted(ctx, "log-level", "gateway "+app.About().Member.Address, detail, by)
	if err != nil && !errors.Is(err, report.ErrStandby) {
		h.Log.Info("the audit may not have it", "what", "log-level", "by", by, "error", err)
	}
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
