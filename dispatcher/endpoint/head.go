package endpoint

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
)

// head is what stands before the body of each request of a client: net/http has written it once.
type head struct {
	before, after []byte // what differs, the length of the body
	err           error  // why it cannot be written
}

func headOf(request *http.Request) head {
	empty := request.Clone(request.Context())
	empty.Body = http.NoBody
	var text bytes.Buffer
	if err := empty.Write(&text); err != nil {
		return head{err: err}
	}
	const name = "Content-Length: "
	before, after, found := bytes.Cut(text.Bytes(), []byte(name+"0\r\n"))
	if !found {
		return head{err: errors.New("the request has no length")}
	}
	return head{before: append(before[:len(before):len(before)], name...), after: append([]byte("\r\n"), after...)}
}

func (h *head) append(b []byte, length int) []byte {
	b = append(b, h.before...)
	b = strconv.AppendInt(b, int64(length), 10)
	return append(b, h.after...)
}
