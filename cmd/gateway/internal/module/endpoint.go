package module

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// batchRequestsDefault is StateFun's.
const batchRequestsDefault = 1000

// Endpoint says where functions are served and how they are called.
type Endpoint struct {
	Place       Place
	Functions   Functions
	URLTemplate string // of StateFun's urlPathTemplate; see ResolveURL
	// MaxNumBatchRequests bounds the messages of one call; 0: no bound of its own (written as 0 or less).
	MaxNumBatchRequests int
	Transport           Transport
	OnFailure           OnFailure // ours; Retry unless written

	// Fault says why no call can be made, "" if nothing is known. StateFun starts with such an endpoint and fails at the
	// first call; here each call fails, with this text, and everything else goes on.
	Fault string

	written string // the template as the file has it, where that has placeholders
}

// OnFailure says what becomes of messages that a function keeps answering badly.
type OnFailure string

const (
	Retry    OnFailure = "retry"      // they are tried for ever, and their address waits
	SetAside OnFailure = "deadLetter" // the message at fault becomes a dead letter when the budget is spent
)

// Functions says which functions an endpoint serves: one, or all of a namespace.
type Functions struct {
	Namespace string
	Name      string // "" if All
	All       bool
}

func (f Functions) String() string {
	if f.All {
		return f.Namespace + "/*"
	}
	return f.Namespace + "/" + f.Name
}

// endpointV2 reads kind io.statefun.endpoints.v2/http.
func (p *parser) endpointV2(spec *object) {
	e, ok := p.endpoint(spec)
	e.MaxNumBatchRequests = int(max(spec.number("maxNumBatchRequests", batchRequestsDefault, math.MinInt32, math.MaxInt32), 0))
	var fault string
	e.Transport, fault = p.transport(spec)
	p.addEndpoint(e, spec, fault, ok)
}

// endpointV1 reads kind io.statefun.endpoints.v1/http: no choice of transport, time-outs directly in the spec, and a
// batch size that must not be quoted.
func (p *parser) endpointV1(spec *object) {
	e, ok := p.endpoint(spec)
	e.MaxNumBatchRequests = batchRequestsDefault
	if n := spec.take("maxNumBatchRequests"); n != nil {
		v, ok := p.wholeNumber(n, false)
		if !ok || v > math.MaxInt32 || v < math.MinInt32 {
			p.complain(n, Error, "maxNumBatchRequests: want an integer without quotes, got %s", p.describe(n))
		}
		e.MaxNumBatchRequests = int(max(v, 0))
	}
	e.Transport = okhttpDefaults()
	p.okhttpTimeouts(spec, &e.Transport)
	p.addEndpoint(e, spec, "", ok)
}

func (p *parser) endpoint(spec *object) (e Endpoint, ok bool) {
	p.anyServed = true
	functions := spec.need("functions")
	e.Place = p.place(spec.node)
	if functions != nil {
		e.Place = p.place(functions)
		e.Functions, ok = p.functions(functions)
	}
	e.URLTemplate = spec.needText("urlPathTemplate")
	e.OnFailure = p.onFailure(spec)
	return e, ok
}

func (p *parser) onFailure(spec *object) OnFailure {
	const name = "onFailure"
	if !spec.has(name) {
		spec.take(name)
		return Retry
	}
	return OnFailure(spec.choice(name, names([]OnFailure{Retry, SetAside})))
}

func (p *parser) functions(n *yaml.Node) (Functions, bool) {
	ft := p.typeName(n, "functions")
	switch {
	case ft.IsZero():
		return Functions{}, false
	case ft.Namespace == reservedNamespace:
		p.complain(n, Error, "functions: the namespace %s is the gateway's own", reservedNamespace)
		return Functions{}, false
	case ft.Name == "*" && !strings.Contains(ft.Namespace, "*"):
		return Functions{Namespace: ft.Namespace, All: true}, true
	case strings.Contains(ft.String(), "*"):
		p.complain(n, Error, "functions: want namespace/name or namespace/*, got %s: a * stands for all functions of one namespace only", p.describe(n))
		return Functions{}, false
	}
	return Functions{Namespace: ft.Namespace, Name: ft.Name}, true
}

// addEndpoint checks what only the whole can show.
func (p *parser) addEndpoint(e Endpoint, spec *object, fault string, ok bool) {
	e.Fault = fault
	if e.URLTemplate != "" {
		template := spec.take("urlPathTemplate")
		e.written = p.source[template]
		if err := checkTemplate(e.URLTemplate, e.Transport.Kind); err != nil {
			why := err.Error()
			if e.written != "" {
				why = quoted.ReplaceAllString(why, hidden) // of a value that is no URL, and may be a secret in the wrong place
			}
			p.complain(template, Warning, "urlPathTemplate %s: %s; no call can be made", p.describe(template), why)
			e.Fault = "urlPathTemplate: " + why
		} else if e.Transport.hasTLS() && !strings.HasPrefix(strings.ToLower(e.URLTemplate), "https:") {
			p.complain(template, Warning, "urlPathTemplate %s is not https: the certificates of the transport are not used", p.describe(template))
		}
		p.checkOwnOptions(&e, template)
	}
	if ok && p.bind("endpoint", e.Functions.String(), e.Place) {
		p.module.index[e.Functions] = len(p.module.Endpoints)
		p.module.Endpoints = append(p.module.Endpoints, e)
		p.listEndpoint(&e, spec.node)
	}
}

// quoted is a part of an URL in an error about it.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.[^']*)'`)

// shown is the URL for people. One that cannot be called is shown as it is written.
func (e *Endpoint) shown() string {
	if e.Fault != "" && e.written != "" {
		return redact(withoutDefaults(e.written))
	}
	return redact(e.URLTemplate)
}

// bind takes an id and complains if it is taken.
func (p *parser) bind(what, id string, at Place) bool {
	if before, taken := p.bound[what+" "+id]; taken {
		first := fmt.Sprintf("in line %d", before.Line)
		if before.File != at.File {
			first = "at " + before.String()
		}
		p.complainAt(at, Error, "%s %s is declared twice (first %s)", what, quote(id), first)
		return false
	}
	p.bound[what+" "+id] = at
	return true
}

// checkTargets complains of targets that no endpoint serves. StateFun fails at their first message.
func (p *parser) checkTargets() {
	var patterns []string
	for _, e := range p.module.Endpoints {
		patterns = append(patterns, e.Functions.String())
	}
	unserved := 0
	check := func(targets []api.FunctionType, places []Place) {
		for i, t := range targets {
			if _, served := p.module.Endpoint(t); served {
				continue
			}
			if unserved++; unserved > complaintsMax {
				return // guessing what was meant takes its time
			}
			p.complainAt(places[i], Warning, "target %s is served by no endpoint, its messages cannot be delivered: %s", quote(t.String()), guess(t.String(), patterns))
		}
	}
	for _, k := range p.module.KafkaIngresses {
		for _, t := range k.Topics {
			check(t.Targets, t.targetPlaces)
		}
	}
	for _, k := range p.module.KinesisIngresses {
		for _, s := range k.Streams {
			check(s.Targets, s.targetPlaces)
		}
	}
	p.checkHTTP(check)
}
