package admin

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

const (
	functionsPath = "/v1/functions"
	functionPath  = "/v1/functions/{namespace}/{name}"
)

type jsonFunction struct {
	Function    string          `json:"function" about:"namespace/name; namespace/* stands for all of it that nothing else names"`
	Role        string          `json:"role" about:"of the member that answers; a standby knows only what the module says and what is stored"`
	Declared    bool            `json:"declared" about:"whether the module says who serves it"`
	At          string          `json:"at,omitempty" about:"FILE:LINE of its endpoint; left out: not declared"`
	Endpoint    string          `json:"endpoint,omitempty" about:"as the module has it"`
	Fault       string          `json:"fault,omitempty" about:"why no call can be made"`
	Endpoints   []jsonWay       `json:"endpoints" about:"the URLs that are called"`
	Transport   *jsonTransport  `json:"transport" about:"null: not declared"`
	OnFailure   string          `json:"onFailure,omitempty" about:"retry or deadLetter; left out: not declared"`
	States      []jsonStateSpec `json:"states" about:"that the function has said it has; empty until its first call"`
	Waiting     *jsonWaiting    `json:"waiting" about:"null on a standby"`
	Paused      *jsonPaused     `json:"paused" about:"null: it is not; an address may be, all the same"`
	DeadLetters *int64          `json:"deadLetters" about:"null on a standby"`
}

type jsonWay struct {
	Endpoint string `json:"endpoint" about:"scheme, host and path"`
	Open     bool   `json:"open" about:"its breaker: only probes are sent"`
	Outages  int    `json:"outages" about:"how often it has opened"`
	Calls    int    `json:"calls" about:"that are out"`
	Queued   int    `json:"queued" about:"addresses that wait for a slot, or for the breaker"`
}

type jsonTransport struct {
	Kind            string  `json:"kind" about:"of the transport, as in the module"`
	CallSeconds     float64 `json:"callSeconds" about:"the time-out of an attempt, and the budget of a call: an address that fails for longer counts as stuck"`
	ConnectSeconds  float64 `json:"connectSeconds" about:"0: no limit of its own"`
	ReadSeconds     float64 `json:"readSeconds" about:"0: no limit"`
	WriteSeconds    float64 `json:"writeSeconds" about:"0: no limit"`
	PoolTTLSeconds  float64 `json:"poolTtlSeconds" about:"age at which a connection takes no more calls; 0: none"`
	PoolSize        int     `json:"poolSize" about:"connections that are kept idle, at most"`
	ReplyBytesMax   int64   `json:"replyBytesMax" about:"0: no limit of its own"`
	MessagesPerCall int     `json:"messagesPerCall" about:"0: no limit of its own"`
	HTTP2           string  `json:"http2" about:"auto, always or never"`
	CallsPerRequest int     `json:"callsPerRequest" about:"1: never several; 0: as many as the function announces"`
}

type jsonStateSpec struct {
	Name       string  `json:"name" about:"of the state"`
	TypeName   string  `json:"typeName" about:"of its values"`
	Expiration string  `json:"expiration" about:"never, afterWrite or afterInvoke"`
	TTLSeconds float64 `json:"ttlSeconds" about:"after which it expires; 0: never"`
}

type jsonWaiting struct {
	Messages       int64   `json:"messages" about:"that are kept: no source can bring them again"`
	Bytes          int64   `json:"bytes" about:"of those messages"`
	OldestSeconds  float64 `json:"oldestSeconds" about:"age of the oldest message at hand that waits or is in a call; of one from the store since it was read; 0: none"`
	Failing        int     `json:"failing" about:"addresses whose last attempt failed"`
	Stuck          int     `json:"stuck" about:"of them, those that have used up the budget of their call"`
	FailingSeconds float64 `json:"failingSeconds" about:"for how long the address fails that has failed for longest; 0: none fails"`
	Attempts       int     `json:"attempts" about:"of the address that has been tried most often; 0: none fails"`
	CallSeconds    float64 `json:"callSeconds" about:"age of the oldest call that is out"`
}

type jsonPaused struct {
	Of    string  `json:"of" about:"address, function or ingress: what an operator has paused"`
	Since *string `json:"since" about:"when the pause began"`
	By    string  `json:"by" about:"who; what a client says of itself is not proven"`
}

func pausedOf(p *statestore.Pause) *jsonPaused {
	if p == nil {
		return nil
	}
	of := map[statestore.PauseKind]string{statestore.PauseAddress: "address", statestore.PauseFunction: "function", statestore.PauseIngress: "ingress"}[p.Kind]
	return &jsonPaused{of, timestamp(p.AtMS), p.By}
}

func askFunctions(ctx context.Context, app Application, r *http.Request) (any, error) {
	query, limit, err := pageQuery(r)
	if err != nil {
		return nil, err
	}
	found, err := app.Functions(ctx)
	if err != nil {
		return nil, err
	}
	active := app.About().Active
	return pageOf(found, query["after"], limit, nameOfFunction, func(f *report.Function) jsonFunction { return functionOf(f, active) }), nil
}

func askFunction(ctx context.Context, app Application, r *http.Request) (any, error) {
	name, err := pathName(r)
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want /v1/functions/NAMESPACE/NAME, each percent-encoded once as UTF-8"}
	}
	found, err := app.Functions(ctx)
	if err != nil {
		return nil, err
	}
	active := app.About().Active
	t := api.FunctionType{Namespace: name[0], Name: name[1]}
	var all *report.Function
	for i := range found {
		switch f := &found[i]; {
		case nameOfFunction(f) == t.String():
			return functionOf(f, active), nil
		case f.All && f.Name.Namespace == t.Namespace:
			all = f
		}
	}
	if all == nil {
		return nil, problem{http.StatusNotFound, "the module declares no such function, and nothing is kept for one", "GET /v1/functions lists those that are known"}
	}
	one := *all // the module says who serves it, and nothing has come for it
	one.Name, one.All = t, false
	return functionOf(&one, active), nil
}

func nameOfFunction(f *report.Function) string {
	if f.All {
		return f.Name.Namespace + "/*"
	}
	return f.Name.String()
}

func functionOf(f *report.Function, active bool) jsonFunction {
	out := jsonFunction{
		Function: nameOfFunction(f), Role: role(active), Declared: f.Endpoint != nil, Endpoints: []jsonWay{}, States: []jsonStateSpec{}, Waiting: waitingOf(f.Wait),
		Paused: pausedOf(f.Paused), DeadLetters: f.DeadLetters,
	}
	if e := f.Endpoint; e != nil {
		t := &e.Transport
		out.At, out.Endpoint, out.Fault, out.OnFailure = e.At, withoutSecrets(e.URL), e.Fault, e.OnFailure
		out.Transport = &jsonTransport{
			Kind: t.Kind, CallSeconds: t.Call.Seconds(), ConnectSeconds: t.Connect.Seconds(), ReadSeconds: t.Read.Seconds(), WriteSeconds: t.Write.Seconds(),
			PoolTTLSeconds: t.PoolTTL.Seconds(), PoolSize: t.PoolSize, ReplyBytesMax: t.ReplyBytesMax, MessagesPerCall: e.Messages, HTTP2: t.HTTP2, CallsPerRequest: t.Bulk,
		}
		if out.Transport.HTTP2 == "" {
			out.Transport.HTTP2 = "auto"
		}
	}
	for _, w := range f.Ways {
		out.Endpoints = append(out.Endpoints, jsonWay(w))
	}
	for _, s := range f.States {
		out.States = append(out.States, jsonStateSpec{s.Name, s.TypeName, expirationWord(s.Expiration), seconds(s.TTL)})
	}
	return out
}

func waitingOf(w *machine.FunctionWait) *jsonWaiting {
	if w == nil {
		return nil
	}
	return &jsonWaiting{w.KeptMessages, w.KeptBytes, seconds(w.OldestMS), w.Failing, w.Stuck, seconds(w.FailingMS), w.Attempts, seconds(w.CallMS)}
}

func expirationWord(e statestore.Expiration) string {
	switch e {
	case statestore.ExpireAfterWrite:
		return "afterWrite"
	case statestore.ExpireAfterInvoke:
		return "afterInvoke"
	}
	return "never"
}

// pathName reads the two parts of a name from the path.
func pathName(r *http.Request) (name [2]string, err error) {
	if _, err = strictQuery(r); err != nil {
		return name, err
	}
	for i, key := range []string{"namespace", "name"} {
		if name[i], err = part(r, key); err != nil {
			return name, err
		}
		if len(name[i]) > api.NameBytesMax || !utf8.ValidString(name[i]) {
			return name, errors.New("the name is too long, or not UTF-8")
		}
	}
	return name, nil
}

// now is the time that ages are told by where the machine's is not at hand.
func now() int64 { return time.Now().UnixMilli() }
