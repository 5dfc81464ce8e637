package endpoint

import (
	"bufio"
	"bytes"
	"net/http"
	"sync"
)

const (
	// headsMax bounds how many heads are remembered. There is one for each length of a reply, and new ones each second, for a head has
	// the time in it.
	headsMax = 256
	// rememberedBytesMax: longer ones are not.
	rememberedBytesMax = 1 << 10
)

// heads remembers what net/http has read in the heads of answers, by their bytes. An endpoint says the same again and again, and to read
// it is a tenth of a call.
type heads struct {
	mu    sync.RWMutex
	known map[string]*meaning // guarded by mu
}

// meaning is what a head says: a good answer with a body of a known length, on a connection that stays.
type meaning struct {
	header http.Header // never changed
	length int64
}

// nextHead answers the head that is next in a reader, if all of it has come; what it answers is valid until the reader is used.
func nextHead(r *bufio.Reader) []byte {
	come, _ := r.Peek(min(r.Buffered(), rememberedBytesMax))
	end := []byte("\r\n\r\n")
	at := bytes.Index(come, end)
	if at < 0 {
		return nil
	}
	return come[:at+len(end)]
}

func (h *heads) find(head []byte) *meaning {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.known[string(head)]
}

// remember keeps what a head means whose bytes those are, all of them.
func (h *heads) remember(head string, response *http.Response) {
	if response.StatusCode != http.StatusOK || response.ContentLength < 0 || response.Close {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= headsMax {
		h.known = make(map[string]*meaning)
	}
	h.known[head] = &meaning{header: response.Header, length: response.ContentLength}
}
