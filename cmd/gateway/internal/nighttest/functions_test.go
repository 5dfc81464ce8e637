//go:build unix

package nighttest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
)

// poison is the order that shop/cart cannot read until it is mended.
const poison = "poison"

// functions are the server of shop/cart, which counts the orders of each id and writes a receipt for each. It can be stopped and started on the
// same port.
type functions struct {
	t      *testing.T
	addr   string
	server *http.Server
	ended  chan struct{}

	mu     sync.Mutex
	mended bool // guarded by mu
}

func newFunctions(t *testing.T) *functions {
	t.Helper()
	addr, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	f := &functions{t: t, addr: addr}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *functions) start() {
	f.t.Helper()
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.server, f.ended = &http.Server{Handler: testfunction.Func(f.putIntoCart)}, make(chan struct{})
	go func() {
		defer close(f.ended)
		if err := f.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			f.t.Error(err)
		}
	}()
}

func (f *functions) stop() {
	if f.server == nil {
		return
	}
	_ = f.server.Close() // what is on its way is cut, as it is when a process dies
	<-f.ended
	f.server = nil
}

// deploy takes a version that can read everything, or one that cannot.
func (f *functions) deploy(mended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mended = mended
}

func (f *functions) reads(order string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mended || order != poison
}

func (f *functions) putIntoCart(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	if len(batch.GetState()) == 0 {
		return testfunction.Missing("items", protocol.TypeInt), nil
	}
	var items protocol.IntWrapper
	if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
		if err := proto.Unmarshal(v.GetValue(), &items); err != nil {
			return nil, err
		}
	}
	id := batch.GetTarget().GetId()
	out := &protocol.FromFunction_InvocationResponse{}
	for _, i := range batch.GetInvocations() {
		order := string(i.GetArgument().GetValue())
		if !f.reads(order) {
			return nil, fmt.Errorf("the order of %s cannot be read", id)
		}
		items.Value++
		record, err := proto.Marshal(&protocol.KafkaProducerRecord{Key: []byte(id), ValueBytes: []byte(order), Topic: receipts})
		if err != nil {
			return nil, err
		}
		out.OutgoingEgresses = append(out.OutgoingEgresses, &protocol.FromFunction_EgressMessage{
			EgressNamespace: "shop", EgressType: "receipts", Argument: &protocol.TypedValue{Typename: protocol.TypeKafkaProducerRecord, HasValue: true, Value: record},
		})
	}
	value, err := proto.Marshal(&items)
	if err != nil {
		return nil, err
	}
	out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{testfunction.Modified("items", protocol.TypeInt, value)}
	return testfunction.Done(out), nil
}
