package endpoint

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/stategate/stategate/api"
)

const contentType = "application/octet-stream"

var (
	errSilent  = errors.New("the function fell silent")
	errUntaken = errors.New("the function took nothing of the request")
	errDeadTwo = errors.New("connection closed before a reply, and so was the one before it")
	errRefused = errors.New("the endpoint refuses the call unseen, time after time")
)

// aloneFor is how long a function whose reply broke a connection is kept apart from others.
const aloneFor = 10 * time.Minute

// refusalsMax bounds how often a call is sent again that was refused unseen. Waiting in between is for the caller to decide.
const refusalsMax = 2

// Client calls one URL. It may be used by any number of goroutines.
type Client struct {
	pool    *Pool
	carrier *carrier
	key     clientKey
	own     bool   // the pool is this client's alone
	spec    Spec   // defaults filled in
	base    asking // of an ordinary call
	bulk    asking // of many calls
	heard   atomic.Pointer[announcement]
	secrets []string // of the URL, as a request carries them
	// aloneUntil is until when each call has a connection of its own, in Unix nanoseconds: a reply broke the one it came over.
	aloneUntil atomic.Int64
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
		bulkHeader:        {bulkVersion},
	}
	if spec.BulkCallsMax == 1 {
		delete(header, bulkHeader)
	}
	if spec.Accept {
		header["Accept"] = []string{contentType}
	}
	if where.user != nil {
		password, _ := where.user.Password()
		pair := base64.StdEncoding.EncodeToString([]byte(where.user.Username() + ":" + password))
		header["Authorization"] = []string{"Basic " + pair}
	}
	base := http.Request{
		Method: http.MethodPost, URL: where.url, Host: where.url.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	bulk := base
	bulk.Header = bulkHeaders(header)
	return &Client{
		pool: p, carrier: k, key: key, spec: spec, secrets: secretsOf(where),
		base: asking{base, headOf(&base)}, bulk: asking{bulk, headOf(&bulk)},
	}
}

// asking is what the requests of a client have in common, but for their bodies.
type asking struct {
	request http.Request
	head    head
}

// Close ends the connections of a client made by New. Of a pool's client it does nothing.
func (c *Client) Close() {
	if c.own {
		c.pool.Close()
	}
}

// Call makes one attempt. The deadline of ctx is the attempt's. Exactly one of reply and fail is non-nil; an empty
// reply is non-nil and means "no effects". The reply is the caller's, who owes the pool its Room; body is the caller's again, and no longer read,
// when Call returns. bulk is how many calls of a bulk the endpoint runs at once, as it said beside the reply; 0: it takes none.
//
// A request that met a dead pooled connection is sent again, once if any of it may have arrived; one that the endpoint refused
// unseen, as HTTP/2 can say, a few times. One that lost its connection through what came over it is sent again once, alone, if it was not
// alone before: it may have been another's reply.
func (c *Client) Call(ctx context.Context, body []byte) (reply []byte, bulk int, fail *Failure) {
	return c.CallTraced(ctx, body, nil)
}

// CallTraced is Call with a header that says in which trace the call is; nil: in none.
func (c *Client) CallTraced(ctx context.Context, body []byte, in *api.Trace) (reply []byte, bulk int, fail *Failure) {
	a := c.begin(ctx, &c.base, body)
	a.in = in
	defer a.end()
	reply, fail = a.try()
	if fail != nil && a.broken && !a.wasAlone {
		a.alone = true
		reply, fail = a.try()
	}
	if fail != nil && a.broken && a.wasAlone {
		c.aloneUntil.Store(time.Now().Add(aloneFor).UnixNano())
	}
	return reply, a.announced, fail
}

// begin makes an attempt with a request. Its end must be told.
func (c *Client) begin(ctx context.Context, base *asking, body []byte) *attempt {
	return &attempt{client: c, base: base, parent: ctx, loan: loan{data: body}}
}

// handOver prepares the attempt for net/http.
func (a *attempt) handOver() {
	if a.stop != nil {
		return
	}
	a.ctx, a.stop = context.WithCancelCause(a.parent)
	a.trace.GetConn = a.wantConn
	a.trace.GotConn = a.gotConn
	a.trace.GotFirstResponseByte = a.gotFirstByte
	if a.client.spec.Write > 0 {
		a.trace.WroteRequest = a.wroteRequest
	}
	a.alone = a.alone || time.Now().UnixNano() < a.client.aloneUntil.Load()
}

func (a *attempt) end() {
	if a.stop != nil {
		a.stop(nil)
	}
	a.loan.end()
}

// try sends the call and reads its reply.
func (a *attempt) try() (reply []byte, fail *Failure) {
	a.broken = false
	defer func() { a.leave(fail != nil && fail.Kind == Timeout) }()
	response, fail := a.response()
	if fail != nil {
		return nil, fail
	}
	defer response.Body.Close()
	return a.read(response)
}

// response sends the call and answers what comes back, in the protocol that the endpoint speaks.
func (a *attempt) response() (*http.Response, *Failure) {
	k := a.client.carrier
	shares := k.shares()
	response, err := a.send(shares)
	if err != nil && a.metOtherProtocol() {
		a.leave(false)
		k.learn(!shares)
		response, err = a.send(!shares)
	}
	if err != nil {
		return nil, a.failedBefore(err)
	}
	return response, nil
}

// attempt is one Call, or one Bulk, under way. Fields are the calling goroutine's but where marked.
type attempt struct {
	client *Client
	base   *asking
	in     *api.Trace      // nil: in none
	parent context.Context // the caller's
	loan   loan            // has its own mutex

	exchange exchange // in this goroutine

	// These are for net/http, and nil otherwise.
	ctx   context.Context // the parent, and what stop does
	stop  context.CancelCauseFunc
	trace httptrace.ClientTrace

	conn      *conn                      // nil while there is none
	line      *line                      // that it shares with other calls; nil: none
	alone     bool                       // it gets a line for itself
	wasAlone  bool                       // it had its last line for itself, as it turned out
	broken    bool                       // the line ended through what came over it
	announced int                        // how many calls of a bulk the endpoint runs at once, as the response says
	once      bool                       // it is not sent again when any of it may have arrived
	again     int                        // how often the request was sent again after some of it had gone out
	firstByte atomic.Bool                // set by the connection's read loop
	untaken   atomic.Pointer[time.Timer] // runs while a shared connection takes nothing of the request; nil: not watched
}

func (a *attempt) send(shares bool) (*http.Response, error) {
	a.conn, a.again = nil, 0
	if k := a.client.carrier; !shares && k.direct != nil {
		return a.sendDirect()
	}
	a.handOver()
	if shares {
		return a.sendShared()
	}
	return a.client.carrier.http1.RoundTrip(a.request())
}

// sendShared sends the call on a connection that it shares with others. One that was not worked on is sent again, a few times: another
// connection may take it.
func (a *attempt) sendShared() (*http.Response, error) {
	k := a.client.carrier
	for {
		l, err := k.lines.take(a.ctx, a.alone)
		if errors.Is(err, errOnlyHTTP1) && a.client.spec.HTTP2 == HTTP2Auto {
			k.learn(false)
			return a.send(false)
		}
		if err != nil {
			return nil, err
		}
		if k.askAt.Load() != 0 {
			k.learn(true)
		}
		a.line, a.conn = l, l.conn
		a.firstByte.Store(false)
		a.watchTaking()
		response, err := l.client.RoundTrip(a.request())
		if err == nil {
			return response, nil
		}
		if !unseen(err) || a.ctx.Err() != nil {
			return nil, err
		}
		a.leave(false)
		if a.again++; a.again > refusalsMax {
			return nil, errRefused
		}
	}
}

func (a *attempt) request() *http.Request {
	request := a.base.request.WithContext(httptrace.WithClientTrace(a.ctx, &a.trace))
	request.Body = http.NoBody
	if signer := a.client.pool.signer; signer != nil {
		request.Header = signer.signed(a.base.request.Header, a.loan.data) // nobody ends the loan before this call does
	}
	if a.in != nil {
		request.Header = traced(request.Header, a.in)
	}
	if size := len(a.loan.data); size > 0 {
		request.ContentLength = int64(size)
		request.Body = a.loan.reader(a)
		request.GetBody = a.bodyAgain
	}
	return request
}

// metOtherProtocol reports whether the endpoint speaks another protocol in the clear than it was spoken to in, and so did not understand
// the call.
func (a *attempt) metOtherProtocol() bool {
	return a.conn != nil && a.conn.foreign.Load() && a.parent.Err() == nil
}

// leave ends the call on its line.
func (a *attempt) leave(timedOut bool) {
	a.wroteRequest(httptrace.WroteRequestInfo{})
	if a.line != nil {
		a.wasAlone = a.client.carrier.lines.release(a.line, timedOut)
		a.line = nil
	}
}

func (a *attempt) wantConn(string) { a.conn = nil }

// gotConn is told of connections that the call has to itself.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.firstByte.Store(false)
	raw := info.Conn
	for {
		wrapped, ok := raw.(*tls.Conn) // two of them where a proxy speaks TLS
		if !ok {
			break
		}
		raw = wrapped.NetConn()
	}
	if a.conn, _ = raw.(*conn); a.conn != nil {
		a.conn.begin(time.Now(), info.Reused)
	}
}

// watchTaking bounds the time in which the endpoint takes nothing of the request. Where calls share a connection that shows in none of
// its writes: the one that is not taken waits for its turn, and the others go on.
func (a *attempt) watchTaking() {
	wait := a.client.spec.Write
	if wait == 0 {
		return
	}
	if old := a.untaken.Swap(time.AfterFunc(wait, func() { a.stop(errUntaken) })); old != nil {
		old.Stop()
	}
}

// taken is told by the request's body, in the goroutine that writes it.
func (a *attempt) taken() {
	if timer := a.untaken.Load(); timer != nil {
		timer.Reset(a.client.spec.Write)
	}
}

func (a *attempt) wroteRequest(httptrace.WroteRequestInfo) {
	if timer := a.untaken.Load(); timer != nil {
		timer.Stop()
	}
}

func (a *attempt) gotFirstByte() { a.firstByte.Store(true) }

// bodyAgain is asked by net/http for the body of a repeated request, after its writing on the failed connection has
// ended. A function that hangs up on every call must not be called once per pooled connection.
func (a *attempt) bodyAgain() (io.ReadCloser, error) {
	if err := a.mayRepeat(); err != nil {
		return nil, err
	}
	return a.loan.reader(a), nil
}

// mayRepeat is asked before a request is sent again that met a dead connection.
func (a *attempt) mayRepeat() error {
	if a.conn == nil || a.conn.sent.Load() > 0 {
		if a.again++; a.again > 1 || a.once {
			return errDeadTwo
		}
	}
	return nil
}

// failedBefore says what it means that no response came.
func (a *attempt) failedBefore(err error) *Failure {
	if f := a.stopped(); f != nil {
		return f
	}
	a.broken = brokenLine(err)
	var timeout net.Error
	isTimeout := errors.As(err, &timeout) && timeout.Timeout()
	switch {
	case a.exchange.intake.waited:
		return a.failure(Timeout, 0, fmt.Sprintf("no reply in time: none within %s", a.client.spec.Read))
	case isTimeout && a.conn != nil:
		return a.failure(Timeout, 0, fmt.Sprintf("no reply in time: %v", err))
	case a.broken, a.firstByte.Load() && !isTransport(err):
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
	case a.exchange.fellSilent(), a.ctx != nil && errors.Is(context.Cause(a.ctx), errSilent):
		return a.failure(Timeout, 0, fmt.Sprintf("no piece of the reply within %s", a.client.spec.Read))
	case a.ctx != nil && errors.Is(context.Cause(a.ctx), errUntaken):
		return a.failure(Timeout, 0, fmt.Sprintf("no piece of the request was taken within %s", a.client.spec.Write))
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
		errors.Is(err, errDeadTwo) || errors.Is(err, errRefused) || errors.As(err, &netErr)
}
