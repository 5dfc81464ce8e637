package stategate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// A gateway offers bulk calls in a header of its requests, a handler takes them up in the same header of its responses.
const (
	bulkHeader      = "Stategate-Bulk"
	bulkContentType = "application/vnd.stategate.bulk.v1"
	bulkVersion     = "1"
)

// bulkCallsMaxDefault is where more calls in one request bring next to nothing: what the request itself costs is a hundredth of them.
const bulkCallsMaxDefault = 256

// bulkCall is one call of a bulk request.
type bulkCall struct {
	number  uint32
	request []byte // the ToFunction; not decoded: one that is broken fails alone
}

// announce says that this handler takes bulk calls, to a gateway that offers them or has just sent one.
// Where nothing can be flushed all answers would wait for the last one: calls go better one by one there.
func (h *Handler) announce(w http.ResponseWriter) {
	if h.bulkCallsMax > 1 && canFlush(w) {
		w.Header().Set(bulkHeader, bulkVersion+"; calls="+strconv.Itoa(h.bulkCallsMax))
	}
}

// canFlush tells whether http.ResponseController finds a way to flush.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch inner := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return false
		}
	}
}

// offersBulk tells whether a request offers the version of bulk calls that this handler speaks.
func offersBulk(header http.Header) bool {
	for _, line := range header[bulkHeader] {
		for _, version := range strings.Split(line, ",") {
			if version, _, _ = strings.Cut(version, ";"); strings.TrimSpace(version) == bulkVersion {
				return true
			}
		}
	}
	return false
}

// decodeBulk takes a bulk request apart. An error means that none of its calls may run.
func decodeBulk(body []byte, callsMax int) ([]bulkCall, error) {
	var calls []bulkCall
	err := eachField(body, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if number != 1 || kind != protowire.BytesType {
			return nil
		}
		if len(calls) == callsMax {
			return fmt.Errorf("it has more than %d calls", callsMax)
		}
		call, err := decodeBulkCall(value)
		calls = append(calls, call)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("parse bulk request: %w", err)
	}
	if err := checkNumbers(calls); err != nil {
		return nil, fmt.Errorf("parse bulk request: %w", err)
	}
	return calls, nil
}

func decodeBulkCall(b []byte) (call bulkCall, err error) {
	err = eachField(b, func(number protowire.Number, kind protowire.Type, value []byte, n uint64) error {
		switch {
		case number == 1 && kind == protowire.VarintType:
			call.number = uint32(n)
		case number == 2 && kind == protowire.BytesType && call.request == nil:
			call.request = value[:len(value):len(value)]
		case number == 2 && kind == protowire.BytesType: // a message in parts is their bytes, one behind the other
			call.request = append(call.request, value...)
		}
		return nil
	})
	return call, err
}

// checkNumbers refuses calls that their answers could not be told apart by. A gateway counts up, so a set is rarely needed.
func checkNumbers(calls []bulkCall) error {
	rising, last := true, uint32(0)
	for _, c := range calls {
		if c.number == 0 {
			return errors.New("a call has no number")
		}
		rising, last = rising && c.number > last, c.number
	}
	if rising {
		return nil
	}
	seen := make(map[uint32]struct{}, len(calls))
	for _, c := range calls {
		if _, twice := seen[c.number]; twice {
			return fmt.Errorf("number %d is there twice", c.number)
		}
		seen[c.number] = struct{}{}
	}
	return nil
}

// eachField calls f with each field of a message: its content where it has a length, its number where it is a varint.
func eachField(b []byte, f func(number protowire.Number, kind protowire.Type, value []byte, n uint64) error) error {
	for len(b) > 0 {
		number, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		if number > protowire.MaxValidNumber { // protowire takes these, protobuf does not
			return errors.New("a field's number is too large")
		}
		b = b[size:]
		var value []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(number, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := f(number, kind, value, n); err != nil {
			return err
		}
	}
	return nil
}

// serveBulk answers a bulk request: each call as soon as it has finished, by its number.
func (h *Handler) serveBulk(w http.ResponseWriter, r *http.Request, body []byte) {
	calls, err := decodeBulk(body, h.bulkCallsMax)
	if err != nil {
		h.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	h.announce(w)
	w.Header().Set("Content-Type", bulkContentType)
	w.Header().Set("X-Accel-Buffering", "no") // else nginx holds the first answers back for the last
	newCrew(r.Context(), h, calls).run(w)
}

// appendAnswer runs one call and appends its answer, framed, to b. scratch is space for its reply, used again by the next call.
func (h *Handler) appendAnswer(ctx context.Context, b []byte, call bulkCall, scratch []byte) (answer, reply []byte) {
	reply, status, err := h.answer(ctx, call.request, scratch)
	if err != nil {
		h.log(ctx, status, err)
		return appendFailure(b, call.number, status, err), reply
	}
	b = protowire.AppendVarint(append(b, 1<<3|2), uint64(1+protowire.SizeVarint(uint64(call.number))+1+protowire.SizeBytes(len(reply))))
	b = protowire.AppendVarint(append(b, 1<<3|0), uint64(call.number))
	return protowire.AppendBytes(append(b, 2<<3|2), reply), reply
}

// appendFailure appends the answer to a call that failed. It says what an ordinary response would have said.
func appendFailure(b []byte, number uint32, status int, err error) []byte {
	answers := protocol.FromFunctions{Answers: []*protocol.FromFunctions_Answer{{
		Number: number,
		Answer: &protocol.FromFunctions_Answer_Failure{Failure: &protocol.FromFunctions_Failure{
			Status: uint32(status),
			Reason: strings.ToValidUTF8(err.Error(), "\uFFFD"), // a text that is none would take the other answers with it
		}},
	}}}
	b, err = proto.MarshalOptions{}.MarshalAppend(b, &answers)
	if err != nil {
		panic(fmt.Sprintf("encode the failure of a call: %v", err)) // a text that was made valid is all that could be wrong
	}
	return b
}
