//go:build unix

package killtest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
)

// The server of functions is a process of its own, this binary in another role.
const (
	functionsRole    = "functions"
	functionsAddr    = "STATEGATE_TEST_FUNCTIONS_ADDR"
	functionsJournal = "STATEGATE_TEST_FUNCTIONS_JOURNAL"
	functionsPrefix  = "STATEGATE_TEST_FUNCTIONS_PREFIX"
)

// serveFunctions is the role. It answers why it ended.
func serveFunctions() error {
	journal, err := os.OpenFile(os.Getenv(functionsJournal), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", os.Getenv(functionsAddr))
	if err != nil {
		return err
	}
	return http.Serve(listener, &testfunction.Handler{
		TopicPrefix: os.Getenv(functionsPrefix),
		Bulk:        64,
		// One write, appended by the kernel: it is whole and counted although the process is killed right after it.
		Counted: func(function, id string, invocations int) error {
			_, err := journal.WriteString(strings.Repeat(function+" "+id+"\n", invocations))
			return err
		},
	})
}

// functions is the server of functions through all its lives.
type functions struct {
	*testgateway.Other
	t       *testing.T
	journal string
}

func newFunctions(t *testing.T, folder, prefix string) *functions {
	t.Helper()
	f := &functions{t: t, journal: filepath.Join(folder, "invocations")}
	f.Other = testgateway.NewOther(t, "the server of functions", filepath.Join(folder, "functions.log"), func(addr string) []string {
		return []string{roleVariable + "=" + functionsRole, functionsAddr + "=" + addr, functionsJournal + "=" + f.journal, functionsPrefix + "=" + prefix}
	})
	f.Start()
	return f
}

// control turns a function off or on: what is "down" or "up".
func (f *functions) control(what, function string) {
	f.t.Helper()
	resp, err := http.Post(f.URL()+"/control?"+url.Values{what: {function}}.Encode(), "", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		f.t.Fatalf("control %s %s: %s", what, function, resp.Status)
	}
}

// invocations counts those that a function has run, over all lives of the server.
func (f *functions) invocations(function string) int {
	f.t.Helper()
	text, err := os.ReadFile(f.journal)
	if err != nil {
		f.t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, fmt.Append(nil, function, " ")) {
			n++
		}
	}
	return n
}
