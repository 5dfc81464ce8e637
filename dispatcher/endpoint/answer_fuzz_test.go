package endpoint

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzAnswer: an answer with any status, header and body is a reply within its bound, or a failure with a text for people; and the
// reply is what the standard library makes of the body. It is read as a call reads it, without a network.
func FuzzAnswer(f *testing.F) {
	pool := NewPool()
	f.Cleanup(pool.Close)
	const most = 1 << 10
	c, err := pool.Client(Spec{URL: "http://f/", ReplyBytesMax: most})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, kind, encoding, after string, body []byte, counted bool) {
		if status < 100 || status > 999 {
			return
		}
		response := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}, "Retry-After": {after}}, ContentLength: -1, Body: io.NopCloser(bytes.NewReader(body))}
		if encoding != "" {
			response.Header["Content-Encoding"] = []string{encoding}
		}
		if counted {
			response.ContentLength = int64(len(body))
		}
		a := &attempt{client: c, parent: t.Context()}
		a.ctx, a.stop = context.WithCancelCause(a.parent)
		defer a.stop(nil)
		reply, fail := a.read(response)
		if fail != nil {
			checkFailure(t, fail, status)
		}
		if (reply == nil) != (fail != nil) || len(reply) > most {
			t.Fatalf("got %x, %+v", reply, fail)
		}
		if pool.replies.used != 0 {
			t.Fatalf("%d bytes of the budget are held by a small reply", pool.replies.used)
		}
		if status/100 != 2 || kind != contentType {
			if fail == nil && !strings.Contains(strings.ToLower(kind), contentType) || fail == nil && status/100 != 2 {
				t.Fatalf("status %d, content type %q: got a reply", status, kind)
			}
			return
		}
		want, ok := decoded(encoding, body, most)
		if counted && len(body) == 0 {
			want, ok = nil, true
		}
		if ok && (fail != nil || !bytes.Equal(reply, want)) || !ok && fail == nil {
			t.Fatalf("%q of %x: got %x, %+v, want %x, %v", encoding, body, reply, fail, want, ok)
		}
	})
}

func checkFailure(t *testing.T, fail *Failure, status int) {
	t.Helper()
	switch {
	case fail.Text == "" || len(fail.Text) > textBytesMax+3 || !utf8.ValidString(fail.Text) || strings.ContainsFunc(fail.Text, unicode.IsControl):
		t.Fatalf("text %q", fail.Text)
	case fail.RetryAfter < 0 || fail.RetryAfter > retryAfterMax:
		t.Fatalf("retry after %v", fail.RetryAfter)
	case fail.Status != status || fail.Kind.String() == "unknown":
		t.Fatalf("status %d is told as %+v", status, fail)
	case fail.Kind.Endpoint() && status != 429 && status != 502 && status != 503 && status != 504:
		t.Fatalf("status %d is the endpoint's fault", status)
	case status/100 == 2 && fail.Kind != BadReply:
		t.Fatalf("status %d is %v", status, fail.Kind)
	}
}

// decoded is the body as the standard library reads it; ok is false where it is broken, too long or in an encoding that was not offered.
func decoded(encoding string, body []byte, most int64) (whole []byte, ok bool) {
	var r io.Reader = bytes.NewReader(body)
	rest := r.(*bytes.Reader)
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
	case "gzip", "x-gzip":
		if len(body) == 0 {
			return nil, true
		}
		r, err = gzip.NewReader(rest)
	case "deflate":
		if len(body) == 0 {
			return nil, true
		}
		if r, err = zlib.NewReader(rest); err != nil && len(body) > 1 && (body[0]&0x0f != 8 || (uint(body[0])<<8|uint(body[1]))%31 != 0) || len(body) == 1 {
			rest.Reset(body)
			r, err = flate.NewReader(rest), nil
		}
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	whole, err = io.ReadAll(io.LimitReader(r, most+1))
	return whole, err == nil && int64(len(whole)) <= most && rest.Len() == 0
}
