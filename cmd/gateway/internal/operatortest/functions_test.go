//go:build linux

package operatortest

import (
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/internal/testfunction"
)

// functions are the application. They keep nothing and send nothing; what comes to scale/letter is counted.
type functions struct {
	url string

	mu      sync.Mutex
	letters map[string]int // by argument, how often it has come; guarded by mu
}

func serveFunctions(t *testing.T) *functions {
	t.Helper()
	f := &functions{letters: map[string]int{}}
	server := httptest.NewServer(testfunction.Func(f.answer))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *functions) answer(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if batch.GetTarget().GetType() == "letter" {
		for _, i := range batch.GetInvocations() {
			f.letters[string(i.GetArgument().GetValue()[:numberBytes])]++
		}
	}
	return testfunction.Done(&protocol.FromFunction_InvocationResponse{}), nil
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
