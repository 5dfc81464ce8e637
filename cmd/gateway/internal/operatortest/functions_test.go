//go:build linux

package operatortest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// functions are the application. They keep nothing and send nothing; what comes to scale/letter is counted.
type functions struct {
	url string

	mu      sync.Mutex
	letters map[string]int // by argument, how often it has come; guarded by mu
	calls   int            // guarded by mu
}

func serveFunctions(t *testing.T) *functions {
	t.Helper()
	f := &functions{letters: map[string]int{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	batch := call.GetInvocation()
	f.mu.Lock()
	f.calls++
	if batch.GetTarget().GetType() == "letter" {
		for _, i := range batch.GetInvocations() {
			f.letters[string(i.GetArgument().GetValue()[:numberBytes])]++
		}
	}
	f.mu.Unlock()
	answer, err := proto.Marshal(&protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: &protocol.FromFunction_InvocationResponse{}}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

// arrived is how many letters have come, and how many of them more than once.
func (f *functions) arrived() (n, again int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.letters {
		if times > 1 {
			again++
		}
	}
	return len(f.letters), again
}
