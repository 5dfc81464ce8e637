package testfunction

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

const (
	bulkHeader      = "Stategate-Bulk"
	bulkContentType = "application/vnd.stategate.bulk.v1"

	// pieceBytes is how much of a response gathers before it is sent.
	pieceBytes = 32 << 10
)

// bulk is how many calls are announced now, 0: bulk calls are unknown.
func (h *Handler) bulk() int {
	if h.forgot.Load() {
		return 0
	}
	return h.Bulk
}

func offersBulk(r *http.Request) bool {
	for version := range strings.SplitSeq(strings.Join(r.Header.Values(bulkHeader), ","), ",") {
		if strings.TrimSpace(version) == "1" {
			return true
		}
	}
	return false
}

func (h *Handler) announce(w http.ResponseWriter) {
	w.Header().Set(bulkHeader, fmt.Sprintf("1; calls=%d", h.bulk()))
}

// call is one of a bulk; toFunction is its encoded ToFunction.
type call struct {
	number     uint32
	toFunction []byte
	in         invocations
}

// request is what a bulk is read into. They are used again: most of a bulk's memory is its body.
type request struct {
	body    []byte
	calls   []call
	numbers map[uint32]struct{}
	targets map[uint64]struct{} // hashes of encoded addresses
	scratch scratch
}

var requests = sync.Pool{New: func() any {
	return &request{numbers: map[uint32]struct{}{}, targets: map[uint64]struct{}{}}
}}

func (q *request) read(r *http.Request) (err error) {
	if r.ContentLength < 0 || r.ContentLength > 1<<30 {
		q.body, err = io.ReadAll(r.Body)
		return err
	}
	if cap(q.body) < int(r.ContentLength) {
		q.body = make([]byte, r.ContentLength)
	}
	q.body = q.body[:r.ContentLength]
	_, err = io.ReadFull(r.Body, q.body)
	return err
}

var seed = maphash.MakeSeed()

// split finds the calls and what the protocol forbids: a number twice, an address twice, more calls than announced.
func (q *request) split(callsMax int) error {
	q.calls = q.calls[:0]
	clear(q.numbers)
	clear(q.targets)
	err := fields(q.body, func(number protowire.Number, _ uint64, content []byte) error {
		if number != 1 {
			return nil
		}
		var c call
		if err := fields(content, func(number protowire.Number, v uint64, content []byte) error {
			switch number {
			case 1:
				c.number = uint32(v)
			case 2:
				c.toFunction = content
				return c.in.read(content)
			}
			return nil
		}); err != nil {
			return err
		}
		q.calls = append(q.calls, c)
		q.numbers[c.number] = struct{}{}
		q.targets[maphash.Bytes(seed, c.in.target)] = struct{}{}
		return nil
	})
	_, zero := q.numbers[0]
	switch {
	case err != nil:
		return err
	case zero || len(q.numbers) < len(q.calls):
		return errors.New("a number is 0 or comes twice")
	case len(q.targets) < len(q.calls):
		return errors.New("an address comes twice")
	case len(q.calls) > callsMax:
		return fmt.Errorf("%d calls: %d are announced", len(q.calls), callsMax)
	}
	return nil
}

// serveBulk runs calls that are nothing but work one after the other, and beside them, each by itself, those that may wait.
func (h *Handler) serveBulk(w http.ResponseWriter, r *http.Request) {
	callsMax := h.bulk()
	if callsMax == 0 {
		http.Error(w, "what is a bulk?", http.StatusUnsupportedMediaType)
		return
	}
	q := requests.Get().(*request)
	defer requests.Put(q)
	if err := q.read(r); err != nil {
		return
	}
	if err := q.split(callsMax); err != nil {
		http.Error(w, fmt.Sprintf("request: %v", err), http.StatusBadRequest)
		return
	}
	h.announce(w)
	w.Header().Set("Content-Type", bulkContentType)
	out := &answers{w: w, control: http.NewResponseController(w)}
	var others sync.WaitGroup
	defer others.Wait()
	quick := h.quick()
	for i := range q.calls {
		c := &q.calls[i]
		if quick {
			if reply, ok := q.scratch.count(&c.in, h.TopicPrefix); ok {
				h.calls.Add(1)
				out.add(c.number, reply, nil)
				continue
			}
			if !waits(c.in.id) {
				reply, failed := h.runOne(r.Context(), c.toFunction)
				out.add(c.number, reply, failed)
				continue
			}
		}
		others.Go(func() {
			if reply, failed := h.runOne(r.Context(), c.toFunction); r.Context().Err() == nil {
				out.add(c.number, reply, failed)
			}
		})
	}
	out.flush()
}

// quick says that no call waits but for its id: nothing that a test hangs on to calls is set.
func (h *Handler) quick() bool {
	down := false
	h.down.Range(func(any, any) bool { down = true; return false })
	return !down && h.Before == nil && h.Counted == nil && !h.Kinesis
}

// runOne is one call of a bulk that takes the ordinary way.
func (h *Handler) runOne(ctx context.Context, toFunction []byte) ([]byte, *failure) {
	var call protocol.ToFunction
	if err := proto.Unmarshal(toFunction, &call); err != nil || call.GetInvocation() == nil {
		return nil, &failure{Status: http.StatusBadRequest, Reason: fmt.Sprintf("request: %v", err)}
	}
	return h.run(ctx, call.GetInvocation())
}

// answers is a response: FromFunctions messages, one behind the other.
type answers struct {
	w       http.ResponseWriter
	control *http.ResponseController

	mu      sync.Mutex
	buffer  []byte // guarded by mu
	trickle bool   // guarded by mu; what comes now comes alone
}

// add sends an answer, with others when there are others.
func (a *answers) add(number uint32, reply []byte, failed *failure) {
	content, field := reply, protowire.Number(2)
	if failed != nil {
		content, _ = proto.Marshal(failed) // numbers, and a text that is ours
		field = 3
	}
	size := 1 + protowire.SizeVarint(uint64(number)) + 1 + protowire.SizeBytes(len(content))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buffer = appendLength(a.buffer, 1, size)
	a.buffer = appendVarint(a.buffer, 1, uint64(number))
	a.buffer = appendBytes(a.buffer, field, content)
	if a.trickle || len(a.buffer) >= pieceBytes {
		a.send()
	}
}

// flush sends what is left of the answers that came together.
func (a *answers) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send()
	a.trickle = true
}

// send needs mu. Whoever does not listen any more misses nothing: the calls' connection has ended.
func (a *answers) send() {
	_, _ = a.w.Write(a.buffer)
	_ = a.control.Flush()
	a.buffer = a.buffer[:0]
}
