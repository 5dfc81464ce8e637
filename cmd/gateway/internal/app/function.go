package app

import (
	"net/url"
	"sync"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// functions resolves function types by the module. Answers are remembered, up to a bound: names may come from messages.
type functions struct {
	module *module.Module

	mu    sync.RWMutex
	known map[api.FunctionType]answer // guarded by mu
}

// answer is what the module says of a function type.
type answer struct {
	dispatcher.Function
	declared bool
}

const functionsKnownMax = 10_000

func newFunctions(m *module.Module) *functions {
	return &functions{module: m, known: map[api.FunctionType]answer{}}
}

// of says how a type is called. It is the same for the same type always.
func (f *functions) of(t api.FunctionType) (dispatcher.Function, bool) {
	f.mu.RLock()
	r, ok := f.known[t]
	f.mu.RUnlock()
	if ok {
		return r.Function, r.declared
	}
	r = f.resolve(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) < functionsKnownMax {
		f.known[t] = r
	}
	return r.Function, r.declared
}

func (f *functions) resolve(t api.FunctionType) answer {
	e, ok := f.module.Endpoint(t)
	if !ok {
		return answer{}
	}
	r := answer{declared: true}
	r.BatchMessages = e.MaxNumBatchRequests
	r.Budget = e.Transport.Call.Milliseconds()
	if e.OnFailure == module.SetAside {
		r.OnFailure = machine.SetAside
	}
	if e.Fault != "" { // of the endpoint, not of the name: what is for it waits until the module is mended
		r.Endpoint, r.Spec.Fault = e.Functions.String(), e.Fault
		return r
	}
	resolved, err := e.ResolveURL(t)
	if err != nil {
		r.Refusal = err.Error()
		return r
	}
	r.Endpoint = place(resolved)
	r.Spec = endpointSpec(&e.Transport, resolved)
	return r
}

// place is scheme, host and path of an URL: what breaker and slots belong to, and what may be shown.
func place(resolved string) string {
	u, err := url.Parse(resolved)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func endpointSpec(t *module.Transport, target string) endpoint.Spec {
	s := endpoint.Spec{
		URL: target, Connect: t.Connect, Read: t.Read, Write: t.Write, PoolSize: t.PoolSize, PoolTTL: t.PoolTTL,
		ReplyBytesMax: t.PayloadMaxBytes, Accept: t.Kind == module.Async, HTTP2: http2Of(t.HTTP2), BulkCallsMax: t.Bulk, Proxy: string(t.Proxy),
	}
	if t.TrustCACerts != "" || t.ClientCert != "" || t.ClientKey != "" || t.AnyHost {
		s.TLS = &endpoint.TLS{
			TrustCACerts: t.TrustCACerts, ClientCert: t.ClientCert, ClientKey: t.ClientKey, ClientKeyPassword: t.ClientKeyPassword,
			AnyHost: t.AnyHost,
		}
	}
	return s
}

func http2Of(m module.HTTP2) endpoint.HTTP2 {
	switch m {
	case module.HTTP2Always:
		return endpoint.HTTP2Always
	case module.HTTP2Never:
		return endpoint.HTTP2Never
	}
	return endpoint.HTTP2Auto
}
