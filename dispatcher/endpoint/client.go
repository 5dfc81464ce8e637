package endpoint

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const contentType = "application/octet-stream"

var (
	errSilent  = errors.New("the function fell silent")
	errDeadTwo = errors.New("connection closed before a reply, and so was the one before it")
)

// Client calls one URL. It may be used by any number of goroutines.
type Client struct {
	pool    *Pool
	carrier *carrier
	key     clientKey
	own     bool // the pool is this client's alone
	spec    Spec // defaults filled in
	base    http.Request
}

// New makes a client with connections of its own. Close it.
func New(spec Spec) (*Client, error) {
	p := NewPool()
	c, err := p.Client(spec)
	if err != nil {
		p.Close()
		return nil, err
	}
	c.own = true
	return c, nil
}

func newClient(p *Pool, k *carrier, spec Spec, where location, key clientKey) *Client {
	header := http.Header{
		"Content-Type":    {contentType},
		"User-Agent":      {"statefun"},
		"Accept-Encoding": {"gzip,deflate"},
		// Present but empty, it is not sent: it allows net/http to send a call again that met a dead pooled
		// connection. Whoever calls functions must be ready to call them twice anyway.
		"Idempotency-Key": nil,
	}
	if spec.Accept {
		header["Accept"] = []string{contentType}
	}
	if where.user != nil {
		password, _ := where.user.Password()
		pair := base64.StdEncoding.EncodeToString([]byte(where.user.Username() + ":" + password))
		header["Authorization"] = []string{"Basic " + pair}
	}
	return &Client{
		pool: p, carrier: k, key: key, spec: spec,
		base: http.Request{
			Method: http.MethodPost, URL: where.url, Host: where.url.Host, Header: header,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		},
	}
}

// Close ends the connections of a client made by New. Of a pool's client it does nothing.
func (c *Client) Close() {
	if c.own {
		c.pool.Close()
	}
}

// Call makes one attempt. The deadline of ctx is the attempt's. Exactly one of reply and fail is non-nil; an empty
// reply is non-nil and means "no effects". The reply is the caller's; body is the caller's again, and no longer read,
// when Call returns.
//
// A request that met a dead pooled connection is sent again, once if any of it may have arrived.
func (c *Client) Call(ctx context.Context, body []byte) (reply []byte, fail *Failure) {
	a := &attempt{client: c, parent: ctx, loan: loan{data: body}}
	defer a.loan.end()
	ctx, a.stop = context.WithCancelCause(ctx)
	defer a.stop(nil)
	a.ctx = ctx
	a.trace.GetConn = a.wantConn
	a.trace.GotConn = a.gotConn
	a.trace.GotFirstResponseByte = a.gotFirstByte

	request := c.base.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
	request.Body = http.NoBody
	if len(body) > 0 {
		request.ContentLength = int64(len(body))
		request.Body = &loanReader{loan: &a.loan}
		request.GetBody = a.bodyAgain
	}
	response, err := c.carrier.transport.RoundTrip(request)
	if err != nil {
		return nil, a.failedBefore(err)
	}
	defer response.Body.Close()
	return a.read(response)
}

// attempt is one Call under way. Fields are the calling goroutine's but where marked.
type attempt struct {
	client *Client
	parent context.Context // the caller's
	ctx    context.Context // the parent, and what stop does
	stop   context.CancelCauseFunc
	loan   loan // has its own mutex
	trace  httptrace.ClientTrace

	conn      *conn       // nil while there is none
	again     int         // how often the request was sent again after some of it had gone out
	firstByte atomic.Bool // set by the connection's read loop
}

func (a *attempt) wantConn(string) { a.conn = nil }

func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	raw := info.Conn
	if wrapped, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = wrapped.NetConn() // TLS
	}
	a.firstByte.Store(false)
	a.conn, _ = raw.(*conn)
	if a.conn != nil {
		a.conn.begin(time.Now(), info.Reused)
	}
}

func (a *attempt) gotFirstByte() { a.firstByte.Store(true) }

// bodyAgain is asked by net/http for the body of a repeated request, after its writing on the failed connection has
// ended. A function that hangs up on every call must not be called once per pooled connection.
func (a *attempt) bodyAgain() (io.ReadCloser, error) {
	if a.conn == nil || a.conn.sent.Load() > 0 {
		if a.again++; a.again > 1 {
			return nil, errDeadTwo
		}
	}
	return &loanReader{loan: &a.loan}, nil
}

// failedBefore says what it means that no response came.
func (a *attempt) failedBefore(err error) *Failure {
	if f := a.stopped(); f != nil {
		return f
	}
	var timeout net.Error
	isTimeout := errors.As(err, &timeout) && timeout.Timeout()
	switch {
	case isTimeout && a.conn != nil:
		return a.failure(Timeout, 0, fmt.Sprintf("no reply in time: %v", err))
	case a.firstByte.Load() && !isTransport(err):
		return a.failure(BadReply, 0, fmt.Sprintf("the reply is not HTTP: %v", err))
	case a.conn == nil:
		return a.failure(Unreachable, 0, fmt.Sprintf("connect: %v", err))
	}
	return a.failure(Unreachable, 0, fmt.Sprintf("no reply: %v", err))
}

// stopped is the failure when it was we who ended the attempt.
func (a *attempt) stopped() *Failure {
	switch err := a.parent.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		text := "no complete reply within the attempt's time-out"
		if a.conn == nil {
			text = "no connection within the attempt's time-out"
		}
		return a.failure(Timeout, 0, text)
	case err != nil:
		return a.failure(Canceled, 0, "the call was cancelled")
	case a.client.pool.ctx.Err() != nil:
		return a.failure(Canceled, 0, errPoolClosed.Error())
	case errors.Is(context.Cause(a.ctx), errSilent):
		return a.failure(Timeout, 0, fmt.Sprintf("no piece of the reply within %s", a.client.spec.Read))
	}
	return nil
}

func (a *attempt) failure(kind Kind, status int, text string) *Failure {
	return &Failure{Kind: kind, Status: status, Text: printable(text, textBytesMax)}
}

// isTransport reports whether the connection failed, as opposed to what came over it.
func isTransport(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, errDeadTwo) || errors.As(err, &netErr)
}
