package endpoint

import (
	"errors"
	"io"
	"sync"
)

var errLoanEnded = errors.New("the call has ended")

// loan lends the caller's request bytes to net/http, whose write loop may go on reading a body after the round trip
// has returned (an early reply, a cancelled call). Ending the loan makes each later read fail, and waits for one
// that is just copying; from then on the bytes are the caller's alone.
type loan struct {
	mu    sync.Mutex
	data  []byte // guarded by mu
	read  bool   // to its end, by the last reader; guarded by mu
	ended bool   // guarded by mu
}

func (l *loan) end() {
	l.mu.Lock()
	l.data, l.ended = nil, true
	l.mu.Unlock()
}

// reader makes the reader of another try.
func (l *loan) reader(a *attempt) *loanReader {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = false
	return &loanReader{loan: l, attempt: a}
}

// endIfRead ends the loan if its end has been read, and reports whether it has ended. There must be no other reading of it to come.
func (l *loan) endIfRead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.read {
		l.data, l.ended = nil, true
	}
	return l.ended
}

// loanReader is one reading of a loan from its beginning. Its offset belongs to the goroutine that reads.
type loanReader struct {
	loan    *loan
	attempt *attempt // is told of each piece; may be nil
	offset  int
}

func (r *loanReader) Read(p []byte) (int, error) {
	r.loan.mu.Lock()
	defer r.loan.mu.Unlock()
	if r.loan.ended {
		return 0, errLoanEnded
	}
	if r.offset == len(r.loan.data) {
		r.loan.read = true
		return 0, io.EOF
	}
	n := copy(p, r.loan.data[r.offset:])
	r.offset += n
	if r.attempt != nil {
		r.attempt.taken()
	}
	return n, nil
}

func (r *loanReader) Close() error { return nil }
