package endpoint

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
)

// A function whose error page repeats the request brings nothing of the URL's secrets into a failure's text.
func TestSecretsThatAFunctionRepeats(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump, _ := httputil.DumpRequest(r, false)
		user, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "%s %s %s %s", user, password, r.URL.Query().Get("token"), dump)
	}))
	defer server.Close()
	client, err := New(Spec{URL: strings.Replace(server.URL, "http://", "http://ada:pa%3Ass%20CANARY1@", 1) + "/fn?token=CANARY2%2Fx&v=1"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, _, failure := client.Call(t.Context(), []byte("x"))
	if failure == nil {
		t.Fatal("a status of 500 is a reply")
	}
	text := failure.Text
	for _, secret := range []string{"CANARY1", "CANARY2", "YWRh"} { // the last one is "ada" in base64
		if strings.Contains(text, secret) {
			t.Errorf("%q is told: %s", secret, text)
		}
	}
	if !strings.Contains(text, "Host: 127.0.0.1") || !strings.Contains(text, "***") {
		t.Errorf("got %s", text)
	}
}
