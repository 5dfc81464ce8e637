package app

import (
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/endpoint"
)

// A mistake in an endpoint is mended in the module, so what is for its functions waits. A name that can be no request is never mended.
func TestFaultOfAnEndpointSetsNothingAside(t *testing.T) {
	m, complaints := module.Parse("module.yaml", []byte(`kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: ftp://functions/{function.name}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: store/*
  urlPathTemplate: http://functions/{function.name}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/in
  address: kafka:9092
  consumerGroupId: shop
  startupPosition: {type: earliest}
  topics:
    - topic: carts
      valueType: io.statefun.types/string
      targets: [shop/cart]
`), func(string) (string, bool) { return "", false })
	if m == nil {
		t.Fatal(complaints)
	}
	all := newFunctions(m)
	f, declared := all.of(api.FunctionType{Namespace: "shop", Name: "cart"})
	if !declared || f.Refusal != "" || f.Endpoint == "" {
		t.Errorf("declared %v, refusal %q, endpoint %q; want a function that is called", declared, f.Refusal, f.Endpoint)
	}
	pool := endpoint.NewPool()
	defer pool.Close()
	if _, err := pool.Client(f.Spec); err == nil || !strings.Contains(err.Error(), "ftp") {
		t.Errorf("a client is made for ftp: %v", err)
	}
	if f, _ := all.of(api.FunctionType{Namespace: "store", Name: ".."}); f.Refusal == "" {
		t.Error("a function name of .. can be a request")
	}
}
