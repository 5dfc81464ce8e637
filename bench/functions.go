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

// bulkCalls is how many calls of a bulk the functions announce to run at once: all of a batch of the floor, which sends it in one
// request. The gateway has a bound of its own.
const bulkCalls = floorBatchMax

// functions serves the functions of each run at a path of its own: RUN/MODE/STATE, and where each function is to be reached by itself
// its name behind that. PUT with "?down=true" lets a path answer 503, "?down=false" ends that.
type functions struct {
	handlers sync.Map // path -> *testfunction.Handler
	down     sync.Map // path -> true
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		if r.URL.Query().Get("down") == "true" {
			f.down.Store(r.URL.Path, true)
		} else {
			f.down.Delete(r.URL.Path)
		}
		return
	}
	if _, down := f.down.Load(r.URL.Path); down {
		http.Error(w, "down on purpose", http.StatusServiceUnavailable)
		return
	}
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

// handlerOf makes the handler of a path. It needs to know nothing of a run but that.
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
