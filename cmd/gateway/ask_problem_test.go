package main

import (
	"net/http"
	"strings"
	"testing"
)

// What a refusal advises is advice for whoever types commands.
func TestOperatorRemedies(t *testing.T) {
	f := newFakeAdmin(t)
	for _, c := range []struct {
		status                 int
		detail, remedy, wanted string
	}{
		{http.StatusUnauthorized, "no token that is known", "send it with the header Authorization: Bearer TOKEN", "--token-file or STATEGATE_TOKEN_FILE"},
		{http.StatusForbidden, "only operators may do this, and the token is of a reader", "use a token", "one of the gateway's --admin-token-file"},
		{http.StatusNotFound, "there is nothing at this path", "POST to /v1/send/NAMESPACE/NAME/ID", "takes events and is no admin side\ngateway: give --url"},
		{http.StatusNotFound, "there is no such function", "GET /v1/functions lists those that are known", "gateway: gateway functions lists those that are known"},
		{http.StatusNotFound, "nothing", "GET / lists what can be asked", "gateway: gateway --help lists what can be asked"},
		{http.StatusNotFound, "the state is not set", "GET /v1/addresses/NAMESPACE/NAME/ID shows those that are; a PUT with If-None-Match: * sets it", "gateway state set sets one"},
		{http.StatusBadRequest, "value is no int", `send {"typeName":"NAMESPACE/NAME"}`, "give a value that its type can hold"},
		{http.StatusNotFound, "there is no such thing: nothing waits for a/b/c", "look what there is: GET / lists what can be asked; it may be done already", "gateway: it may be done already; gateway stuck tells what waits"},
		{http.StatusNotFound, "there is no such thing: the module declares no ingress a/b", "look what there is: GET / lists what can be asked; it may be done already", "gateway ingresses lists those that are known"},
		{http.StatusNotFound, "there is no such thing", "look what there is: GET / lists what can be asked; it may be done already", "gateway functions, ingresses and egresses list what is known"},
		{http.StatusConflict, "dead letter 8 cannot be replayed: it goes where it was to go: another address can only be said for a record that has none", "mend that, or discard the letter", "gateway: replay it without --to"},
		{http.StatusConflict, "another one works", "ask 127.0.0.1:9", "gateway: ask 127.0.0.1:9"},
	} {
		f.refuses("GET /v1/stuck", c.status, c.detail, c.remedy)
		code, _, stderr := call(t, "stuck")
		if code != exitFailed || !strings.Contains(stderr, c.wanted) || strings.Contains(stderr, "GET /") {
			t.Errorf("%s: exit %d, %s", c.remedy, code, stderr)
		}
	}
}

// Without a right a status ends with 1: whoever only looks at the code must not take it for a good one.
func TestOperatorStatusWithoutRights(t *testing.T) {
	f := newFakeAdmin(t)
	f.says("GET /readyz", `{"status":"ok","role":"active","reasons":[]}`)
	f.refuses("GET /v1/stuck", http.StatusUnauthorized, "the request carries no token that is known", "send it")
	code, stdout, stderr := call(t, "status")
	if code != exitFailed || !strings.Contains(stdout, "ok, active") || !strings.Contains(stderr, "carries no token that is known") || !strings.Contains(stderr, "--token-file") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}
