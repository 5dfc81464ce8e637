package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/machine"
)

// TestRemedies: the command against each cause is one that can be typed as it stands.
func TestRemedies(t *testing.T) {
	cart := api.FunctionType{Namespace: "shop", Name: "cart"}
	at := func(id string) api.Address { return api.Address{Type: cart, ID: id} }
	for want, s := range map[string]machine.Stuck{
		"gateway addresses skip shop/cart bob --message 17":          {Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Name: "shop/cart", Address: at("bob"), Message: 17},
		"gateway addresses skip --message 17 -- shop/cart --all":     {Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Name: "shop/cart", Address: at("--all"), Message: 17},
		"gateway addresses skip shop/cart '' --message 17":           {Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Name: "shop/cart", Address: at(""), Message: 17},
		"gateway addresses show shop/cart 'a b'":                     {Cause: machine.StuckTimesOut, Kind: machine.OnAddress, Name: "shop/cart", Address: at("a b")}, // its first call is out
		"gateway addresses retry shop/cart late":                     {Cause: machine.StuckTimesOut, Kind: machine.OnAddress, Name: "shop/cart", Address: at("late"), LastError: "no answer within 1m0s"},
		"gateway addresses show shop/cart bob":                       {Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Name: "shop/cart", Address: at("bob")},
		"gateway addresses shop/cart --failing":                      {Cause: machine.StuckPoisoned, Kind: machine.OnFunction, Name: "shop/cart", Count: 15},
		"gateway functions 'shop/a b'":                               {Cause: machine.StuckEndpointDown, Kind: machine.OnEndpoint, Name: "http://f", Address: api.Address{Type: api.FunctionType{Namespace: "shop", Name: "a b"}, ID: "bob"}, Message: 17},
		"gateway addresses show shop/cart ada":                       {Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Name: "shop/cart", Address: at("ada"), Message: 17, ByItself: true},
		"gateway functions":                                          {Cause: machine.StuckEndpointDown, Kind: machine.OnEndpoint, Name: "http://f"},
		"gateway functions shop/cart":                                {Cause: machine.StuckEndpointBusy, Kind: machine.OnEndpoint, Name: "http://f", Address: at("bob")},
		"gateway addresses resume shop/cart bob":                     {Cause: machine.StuckPaused, Kind: machine.OnAddress, Name: "shop/cart", Address: at("bob")},
		"gateway audit":                                              {Cause: machine.StuckPaused, Kind: machine.OnAddress, Name: "shop/cart"},
		"gateway addresses shop/long":                                {Cause: machine.StuckPaused, Kind: machine.OnAddress, Address: api.Address{Type: api.FunctionType{Namespace: "shop", Name: "long"}, ID: strings.Repeat("x", 513)}},
		"gateway functions resume shop/cart":                         {Cause: machine.StuckPaused, Kind: machine.OnFunction, Name: "shop/cart"},
		"gateway ingresses resume shop/in":                           {Cause: machine.StuckPaused, Kind: machine.OnIngress, Name: "shop/in"},
		"gateway addresses shop/gone":                                {Cause: machine.StuckUndeclared, Kind: machine.OnFunction, Name: "shop/gone"},
		"gateway egresses forget shop/out":                           {Cause: machine.StuckUndeclared, Kind: machine.OnEgress, Name: "shop/out"},
		"gateway egresses shop/out":                                  {Cause: machine.StuckEgressAway, Kind: machine.OnEgress, Name: "shop/out"},
		"gateway egresses decide shop/out --lane 0 --deliver stored": {Cause: machine.StuckLaneHalted, Kind: machine.OnEgress, Name: "shop/out"},
		"gateway ingresses shop/in":                                  {Cause: machine.StuckIngressHalted, Kind: machine.OnIngress, Name: "shop/in"},
		"gateway deadletters --ingress shop/in":                      {Cause: machine.StuckDeadLetters, Kind: machine.OnIngress, Name: "shop/in"},
		"gateway status":                                             {Cause: machine.StuckStoreSlow, Kind: machine.OnStore, Name: "postgres"},
	} {
		if got := remedyOf(&s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

// Who is to do something can look first, where the remedy is no look itself.
func TestLooks(t *testing.T) {
	bob := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "-bob"}
	for _, c := range []struct {
		s    machine.Stuck
		want string
	}{
		{machine.Stuck{Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Address: bob, Message: 7}, "gateway addresses show -- shop/cart -bob"},
		{machine.Stuck{Cause: machine.StuckPoisoned, Kind: machine.OnAddress, Address: bob, Message: 7, ByItself: true}, ""},
		{machine.Stuck{Cause: machine.StuckPaused, Kind: machine.OnAddress, Address: bob}, "gateway addresses show -- shop/cart -bob"},
		{machine.Stuck{Cause: machine.StuckTimesOut, Kind: machine.OnAddress, Address: bob}, ""},
		{machine.Stuck{Cause: machine.StuckEndpointDown, Kind: machine.OnEndpoint, Address: bob}, ""},
		{machine.Stuck{Cause: machine.StuckPaused, Kind: machine.OnAddress, Name: "shop/cart"}, ""},
		{machine.Stuck{Cause: machine.StuckStoreAway, Kind: machine.OnStore}, ""},
	} {
		if got := lookOf(&c.s); got != c.want {
			t.Errorf("%+v: %q, want %q", c.s, got, c.want)
		}
	}
}

const stuckModule = `
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/*, urlPathTemplate: "http://localhost:8000/"}
---
kind: io.stategate.http.v1/ingress
spec: {id: shop/api, functions: [shop/*]}
---
kind: io.stategate.log.v1/egress
spec: {id: shop/out}
`

// TestStated: conditions of the parts are told by what they are of, those of one ingress in one line.
func TestStated(t *testing.T) {
	m, complaints := module.Parse("module.yaml", []byte(stuckModule), func(string) (string, bool) { return "", false })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	a, err := New(Config{Module: m, StoreName: "the store"})
	if err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{
		"ingress shop/in orders/3: topic was made anew": "x", "ingress shop/in orders/4: topic was made anew": "y", "ingress shop/in: kafka is away": "z",
		"egress shop/out: kafka": "no answer", "egress shop/lane: cursor lost": "decide", "egress shop/old: outputs wait": "3 outputs", "store commit": "refused", "else what": "never told",
	} {
		a.troubles.begin(key, text)
	}
	var got []string
	for _, s := range a.stated() {
		got = append(got, s.Cause+" "+s.Kind+" "+s.Name)
		if s.Since == 0 || s.Text == "" || s.Name == "shop/in" && s.Count != 3 {
			t.Errorf("told is %+v", s)
		}
	}
	want := []string{
		"lane_halted egress shop/lane", "undeclared egress shop/old", "egress_away egress shop/out", "ingress_halted ingress shop/in", "store_away store the store",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if of := of(a.troubles.all(), "egress", "shop/ou"); len(of) != 0 {
		t.Errorf("of another egress: %+v", of)
	}
}
