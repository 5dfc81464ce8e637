package admin

import (
	"context"
	"errors"
	"net/http"
)

// ask answers with what f finds, or with what it says is wrong: a problem, or an error of the application. It bounds how many are
// answered at a time, and for how long one may be looked for.
func (h *handler) ask(f func(ctx context.Context, app Application, r *http.Request) (any, error)) http.HandlerFunc {
	return h.bounded(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerMax)
		defer cancel()
		app, err := h.Gateway.Application()
		var answer any
		if err == nil {
			answer, err = f(ctx, app, r)
		}
		var p problem
		switch {
		case errors.As(err, &p):
			write(w, p)
		case err != nil:
			h.failed(w, r, err)
		default:
			writeJSON(w, http.StatusOK, answer)
		}
	})
}

// reads are the routes that tell what is, each kind in a file of its own.
func (h *handler) reads() []route {
	get := func(path, about string, answer any, serve http.HandlerFunc, query ...parameter) route {
		return route{Method: http.MethodGet, Path: path, About: about, Query: query, Answer: answer, Serve: serve}
	}
	id := parameter{Name: "id", About: "the id, also '', '.' and '..'"}
	after := parameter{Name: "after", About: "next of the page before"}
	limit := parameter{Name: "limit", About: "at most so many", Number: true}
	return []route{
		get("/", "what can be asked and done", jsonIndex{}, h.index),
		get("/v1/version", "which gateway this is", jsonVersion{}, h.version),
		get(logLevelPath, "the least important line that is logged", jsonLogLevel{}, h.logLevel),
		get(addressPath, "state, mailbox, call in flight and last error of one address; / in an id is written %2F", jsonView{}, h.ask(askAddress)),
		get(addressByID, "the same with ?id=, for ids such as '', '.' and '..'", jsonView{}, h.ask(askAddress), id),
		get(deadLettersPath, "what was set aside, in order", list[jsonDeadLetter]{}, h.ask(askDeadLetters), after, limit),
		get(deadLetterPath, "one of them", jsonDeadLetter{}, h.ask(askDeadLetter)),
	}
}
