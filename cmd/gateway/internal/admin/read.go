package admin

import (
	"context"
	"errors"
	"net/http"
)

// ask answers with what f finds, or with what it says is wrong: a problem, or an error of the application. It bounds how many are
// answered at a time, and for how long one may be looked for. Whoever reads slowly keeps nobody from being answered: only large answers,
// which stay in memory meanwhile, wait for each other.
func (h *handler) ask(f func(ctx context.Context, app Application, r *http.Request) (any, error)) http.HandlerFunc {
	return h.askWithin(h.bounded, f)
}

// walk is ask of what goes through all addresses in memory.
func (h *handler) walk(f func(ctx context.Context, app Application, r *http.Request) (any, error)) http.HandlerFunc {
	return h.askWithin(func(next http.HandlerFunc) http.HandlerFunc {
		return within(h.walks, "too many lists of addresses are being made", h.bounded(next))
	}, f)
}

func (h *handler) askWithin(bound func(http.HandlerFunc) http.HandlerFunc, f func(ctx context.Context, app Application, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var found []byte
		var tag string
		bound(func(w http.ResponseWriter, r *http.Request) { found, tag = h.find(w, r, f) })(w, r)
		reply := func(w http.ResponseWriter, _ *http.Request) {
			if tag != "" {
				w.Header().Set("ETag", `"`+tag+`"`)
			}
			send(w, http.StatusOK, "application/json", found)
		}
		switch {
		case found == nil: // it is said why
		case len(found) <= replySmall:
			reply(w, r)
		default:
			within(h.replies, "too many large answers are being read", reply)(w, r)
		}
	}
}

// find is the answer, written; nil when it has said to w why there is none.
func (h *handler) find(w http.ResponseWriter, r *http.Request, f func(ctx context.Context, app Application, r *http.Request) (any, error)) (found []byte, tag string) {
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
		return nil, ""
	case err != nil:
		h.failed(w, r, err)
		return nil, ""
	}
	if t, ok := answer.(tagged); ok {
		return encode(t.answer), t.tag
	}
	return encode(answer), ""
}

// reads are the routes that tell what is, each kind in a file of its own.
func (h *handler) reads() []route {
	get := func(path, about string, answer any, serve http.HandlerFunc, query ...parameter) route {
		return route{Method: http.MethodGet, Path: path, About: about, Query: query, Answer: answer, Serve: serve}
	}
	id := parameter{Name: "id", About: "the id, also '', '.' and '..'", Needed: true}
	raw := parameter{Name: "raw", About: "values in base64, whatever their type", Flag: true}
	after := parameter{Name: "after", About: "next of the page before"}
	limit := parameter{Name: "limit", About: "at most so many: 100 unless said, 1000 at most", Number: true}
	function := parameter{Name: "function", About: "namespace/name"}
	return []route{
		get("/", "what can be asked and done", jsonIndex{}, h.index),
		get(openAPIPath, "the OpenAPI document of all this", map[string]any{}, h.openAPI),
		get("/v1/version", "which gateway this is", jsonVersion{}, h.version),
		get(logLevelPath, "the least important line that is logged", jsonLogLevel{}, h.logLevel),
		get(stuckPath, "what waits longer than it should and why, the oldest first, with the command to type", list[jsonStuck]{}, h.ask(askStuck)),
		get(functionsPath, "functions: how they are called, and what waits for them", list[jsonFunction]{}, h.ask(askFunctions), after, limit),
		get(functionPath, "one of them", jsonFunction{}, h.ask(askFunction)),
		get(addressesPath, "addresses of a function that have states or messages, by id; a standby tells those that the store keeps by address", list[jsonListedAddress]{}, h.walk(askAddresses), parameter{Name: "function", About: "namespace/name", Needed: true},
			parameter{Name: "prefix", About: "of the ids"}, parameter{Name: "failing", About: "only those whose last attempt failed; a page may be short, or empty, and go on", Flag: true}, after, limit),
		get(addressPath, "state, mailbox, call in flight, last error and timers of one address; / in an id is written %2F", jsonView{}, h.ask(askAddress), raw),
		get(addressByID, "the same with ?id=, for ids such as '', '.' and '..'", jsonView{}, h.ask(askAddress), id, raw),
		get(statePath, "one state of an address, with its version in the header ETag", jsonState{}, h.ask(askState), raw),
		get(stateByID, "the same with ?id=", jsonState{}, h.ask(askState), id, raw),
		get(ingressesPath, "ingresses: what waits, what for, and how far behind they are", list[jsonIngress]{}, h.ask(askIngresses), after, limit),
		get(ingressPath, "one of them with its partitions", jsonIngressWhole{}, h.ask(askIngress)),
		get(egressesPath, "egresses: their outboxes and lanes", list[jsonEgress]{}, h.ask(askEgresses), after, limit),
		get(egressPath, "one of them", jsonEgress{}, h.ask(askEgress)),
		get(timersPath, "delayed messages in the order of firing; a page of one function's may be short, or empty, and go on", list[jsonTimer]{}, h.ask(askTimers), function, after, limit),
		get(deadLettersPath, "what was set aside, in order; a page may be short, or empty, and go on", list[jsonDeadLetter]{}, h.ask(askDeadLetters), function,
			parameter{Name: "ingress", About: "instead of function: namespace/name"}, parameter{Name: "egress", About: "instead of function: namespace/name"},
			parameter{Name: "reason", About: "only those set aside for this reason"}, raw, after, limit),
		get(deadLettersPath+"/totals", "how many dead letters there are, by where they come from", list[jsonDeadTotal]{}, h.ask(askDeadTotals)),
		get(deadLettersPath+"/newest", "the number of the newest: given as through, what is set aside later is left out", jsonNewest{}, h.ask(askNewest)),
		get(deadLetterPath, "one of them", jsonDeadLetter{}, h.ask(askDeadLetter), raw),
		get(membersPath, "the gateways on this store", list[jsonMember]{}, h.ask(askMembers)),
		get(auditPath, "what operators have done, the newest first", list[jsonAct]{}, h.ask(askAudit), after, limit),
	}
}
