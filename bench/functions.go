//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/stategate/stategate/internal/testfunction"
)

// roleVariable makes the program another one: its child that serves functions.
const (
	roleVariable  = "STATEGATE_TEST_BENCH_ROLE"
	functionsRole = "functions"
)

// serveFunctions is the child. It tells where it serves in its first line.
func serveFunctions() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	fmt.Fprintln(os.Stderr, http.Serve(l, &functions{}))
}

// bulkCalls is how many calls of a bulk the functions announce to run at once.
const bulkCalls = 4096

// functions serves the functions of each run at a path of its own: RUN/MODE/STATE, anything behind it is left to the run.
type functions struct {
	handlers sync.Map // path -> *testfunction.Handler
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := f.handlers.Load(r.URL.Path)
	if !ok {
		made, err := handlerOf(r.URL.Path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		h, _ = f.handlers.LoadOrStore(r.URL.Path, made)
	}
	h.(*testfunction.Handler).ServeHTTP(w, r)
}

func handlerOf(path string) (*testfunction.Handler, error) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) < 3 {
		return nil, errors.New("want RUN/MODE/STATE")
	}
	state, err := strconv.Atoi(parts[2])
	if err != nil {
		return nil, err
	}
	h := &testfunction.Handler{TopicPrefix: parts[0] + "-", StateBytes: state}
	if parts[1] == bulk {
		h.Bulk = bulkCalls
	}
	return h, nil
}
