//go:build unix

package testserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken below the range that kernels give to outgoing connections. In that range a client that tries again and again
// to reach a server that is down gets, sooner or later, the server's port as its own and is connected with itself; then the
// server cannot come back.
const portMin, portMax = 12000, 30000

// givenPorts are those that this process was given already.
var givenPorts sync.Map

// freePort is a port that nobody listens on now, and another each time; that it stays free is not sure, so whoever binds it must
// be ready to try again.
func freePort() (int, error) {
	for range 1000 {
		port := portMin + rand.IntN(portMax-portMin)
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("found no free port")
}

// FreeAddr is a place to listen that nobody has now, and another each time.
func FreeAddr() (string, error) {
	port, err := freePort()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}
