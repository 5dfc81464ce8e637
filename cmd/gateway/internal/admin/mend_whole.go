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

// nameMend changes something of a function, an ingress or an egress.
type nameMend func(ctx context.Context, app Application, name api.FunctionType, by string) error

// wholeMends are the routes that change something of a whole function, ingress or egress.
func (h *handler) wholeMends() []route {
	row := func(path, about string, f nameMend) route {
		return route{Method: http.MethodPost, Path: path, About: about, Serve: h.mend(named(f))}
	}
	return []route{
		row(functionMendPath+"pause", "starts no call to any address of the function until it is resumed; messages wait", pauseFunction(false)),
		row(functionMendPath+"resume", "ends the pause", pauseFunction(true)),
		row(ingressMendPath+"pause", "takes nothing more from the ingress until it is resumed", pauseIngress(false)),
		row(ingressMendPath+"resume", "ends the pause", pauseIngress(true)),
		row(ingressMendPath+"forget", "forgets how far an ingress was read that the module does not declare any more", func(ctx context.Context, app Application, name api.FunctionType, by string) error {
			return app.ForgetIngress(ctx, name.String(), by)
		}),
		row(egressMendPath+"forget", "drops the outputs that wait for an egress that the module does not declare any more", func(ctx context.Context, app Application, name api.FunctionType, by string) error {
			return app.ForgetEgress(ctx, name.String(), by)
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
		return mended{}, f(ctx, app, name, by)
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

func pauseFunction(ended bool) nameMend {
	return func(ctx context.Context, app Application, name api.FunctionType, by string) error {
		return app.Pause(ctx, statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: name}, By: by, Ended: ended})
	}
}

func pauseIngress(ended bool) nameMend {
	return func(ctx context.Context, app Application, name api.FunctionType, by string) error {
		return app.Pause(ctx, statestore.Pause{Kind: statestore.PauseIngress, Ingress: name.String(), By: by, Ended: ended})
	}
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
