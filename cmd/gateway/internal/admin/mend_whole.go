package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

type jsonDecision struct {
	Deliver any `json:"deliver" about:"stored, new, or the number of an output"`
}

type jsonDecided struct {
	Next uint64 `json:"next" about:"number of the output that the lane goes on with"`
}

const (
	functionMendPath = "/v1/functions/{namespace}/{name}/"
	ingressMendPath  = "/v1/ingresses/{namespace}/{name}/"
	egressMendPath   = "/v1/egresses/{namespace}/{name}/"
)

type jsonFunctionPaused struct {
	Known bool `json:"known" about:"false: no message has come for it since the gateway began to work, and nothing is kept for it, so its name may be mistyped; it is paused all the same"`
}

type jsonWholeResumed struct {
	Changed bool    `json:"changed" about:"false: it was not paused, and nothing has happened"`
	Near    *string `json:"near" about:"when nothing has happened: NAMESPACE/NAME of the one that is paused and was probably meant; null: none"`
}

// nameMend changes something of a function, an ingress or an egress; it answers nil where nothing is to be said but that it is done.
type nameMend func(ctx context.Context, app Application, name api.FunctionType, by string) (answer any, err error)

// wholeMends are the routes that change something of a whole function, ingress or egress.
func (h *handler) wholeMends() []route {
	row := func(path, about string, said any, f nameMend) route {
		return route{Method: http.MethodPost, Path: path, About: about, Answer: said, Serve: h.mend(named(f))}
	}
	return []route{
		row(functionMendPath+"pause", "starts no call to any address of the function until it is resumed; messages wait", jsonFunctionPaused{}, pauseFunction),
		row(functionMendPath+"resume", "ends the pause, and says whether there was one", jsonWholeResumed{}, resumeFunction),
		row(ingressMendPath+"pause", "takes nothing more from the ingress until it is resumed", nil, pauseIngress),
		row(ingressMendPath+"resume", "ends the pause, and says whether there was one", jsonWholeResumed{}, resumeIngress),
		row(ingressMendPath+"forget", "forgets how far an ingress was read that the module does not declare any more", nil, func(ctx context.Context, app Application, name api.FunctionType, by string) (any, error) {
			return nil, app.ForgetIngress(ctx, name.String(), by)
		}),
		row(egressMendPath+"forget", "drops the outputs that wait for an egress that the module does not declare any more", nil, func(ctx context.Context, app Application, name api.FunctionType, by string) (any, error) {
			return nil, app.ForgetEgress(ctx, name.String(), by)
		}),
		{
			Method: http.MethodPost, Path: egressMendPath + "lanes/{slot}/decide", About: "lets a lane go on that stands still, and says which of its outputs are delivered",
			Body: jsonDecision{}, Answer: jsonDecided{}, Serve: h.mend(decide),
		},
	}
}

// named reads the name from the path.
func named(f nameMend) func(context.Context, Application, *http.Request, string) (mended, error) {
	return func(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
		name, err := askedName(r)
		if err == nil {
			_, err = askedBody(r, mendBytesMax, noBodyWant)
		}
		if err != nil {
			return mended{}, err
		}
		answer, err := f(ctx, app, name, by)
		return mended{answer: answer}, err
	}
}

// askedName reads namespace and name from the path. The error is a problem.
func askedName(r *http.Request) (name api.FunctionType, err error) {
	_, err = strictQuery(r)
	if err == nil {
		name.Namespace, err = part(r, "namespace")
	}
	if err == nil {
		name.Name, err = part(r, "name")
	}
	if err == nil {
		err = api.CheckID(name.Namespace + name.Name) // UTF-8
	}
	if err == nil {
		err = api.CheckFunctionType(name)
	}
	if err != nil {
		return name, problem{http.StatusBadRequest, err.Error(), "want NAMESPACE/NAME in the path, each percent-encoded once as UTF-8 (/ is %2F, % is %25)"}
	}
	return name, nil
}

func functionPause(name api.FunctionType, by string) statestore.Pause {
	return statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: name}, By: by}
}

func ingressPause(name api.FunctionType, by string) statestore.Pause {
	return statestore.Pause{Kind: statestore.PauseIngress, Ingress: name.String(), By: by}
}

func pauseFunction(ctx context.Context, app Application, name api.FunctionType, by string) (any, error) {
	done, err := app.Pause(ctx, functionPause(name, by))
	return jsonFunctionPaused{Known: !done.Unheard}, err
}

func resumeFunction(ctx context.Context, app Application, name api.FunctionType, by string) (any, error) {
	return resumeWhole(ctx, app, functionPause(name, by))
}

func pauseIngress(ctx context.Context, app Application, name api.FunctionType, by string) (any, error) {
	_, err := app.Pause(ctx, ingressPause(name, by))
	return nil, err
}

func resumeIngress(ctx context.Context, app Application, name api.FunctionType, by string) (any, error) {
	return resumeWhole(ctx, app, ingressPause(name, by))
}

// resumeWhole says whether there was a pause to end, and which one was probably meant where there was none.
func resumeWhole(ctx context.Context, app Application, p statestore.Pause) (any, error) {
	p.Ended = true
	done, err := app.Pause(ctx, p)
	if err != nil {
		return nil, err
	}
	answer := jsonWholeResumed{Changed: done.Changed}
	if near := done.Near; near != nil {
		name := near.Ingress
		if near.Kind == statestore.PauseFunction {
			name = near.Address.Type.String()
		}
		answer.Near = &name
	}
	return answer, nil
}

const decideWant = `send {"deliver":"stored"} (all that is stored; some may be there twice then), {"deliver":"new"} (none of them; some may be missing), or {"deliver":NUMBER} (from that output on)`

func decide(ctx context.Context, app Application, r *http.Request, by string) (mended, error) {
	name, err := askedName(r)
	if err != nil {
		return mended{}, err
	}
	text, _ := pathParameter(r, "slot")
	slot, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return mended{}, problem{http.StatusBadRequest, "that is not the number of a lane", "want /v1/egresses/NAMESPACE/NAME/lanes/NUMBER/decide; GET /v1/egresses lists them"}
	}
	body, err := neededBody(r, mendBytesMax, decideWant, "deliver")
	if err != nil {
		return mended{}, err
	}
	d, err := body.decision()
	if err != nil {
		return mended{}, problem{http.StatusBadRequest, err.Error() + "; nothing has happened", decideWant}
	}
	next, err := app.Decide(ctx, name.String(), int(slot), d, by)
	return mended{answer: jsonDecided{next}}, err
}

func (o jsonObject) decision() (d report.Decision, err error) {
	switch text, wrong := o.text("deliver"); {
	case wrong == nil && text == "stored":
		return report.Decision{Stored: true}, nil
	case wrong == nil && text == "new":
		return report.Decision{New: true}, nil
	}
	if d.From, err = o.number("deliver"); err != nil || d.From == 0 {
		return d, errors.New("deliver is neither stored nor new nor the number of an output")
	}
	return d, nil
}
