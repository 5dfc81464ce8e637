package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"sync"

	"github.com/IBM/sarama"
)

const (
	fetchKey      = 1  // of the request
	batchHeadSize = 61 // of a record batch, up to its records
	// denseRecordsMax is how many records a batch may hold that has fewer bytes than records: each costs some 130 bytes while it is taken apart.
	denseRecordsMax = 1 << 20
)

// padder makes answers to fetches readable that the library takes for ones that are cut off. It holds the number of a batch's records
// against the bytes that are left of the answer, so one with many like records, which compress to less than a byte each, would never be
// read as long as it is the last. Behind it the padder puts what may follow any batch: the beginning of one that is cut off.
type padder struct {
	dialer interface {
		Dial(network, address string) (net.Conn, error)
	}

	mu    sync.Mutex
	looks bool       // guarded by mu: at the next answer
	sound bool       // guarded by mu: a fetch went out, and nothing is wrong with the connection since
	head  *batchHead // guarded by mu: of the last answer
}

// batchHead is what a batch says of itself that has come whole.
type batchHead struct {
	offset         int64
	bytes, records int
}

func (h *batchHead) String() string {
	return fmt.Sprintf("batch at offset %d, %d records in %d bytes", h.offset, h.records, h.bytes)
}

// refused is why it cannot be read, though it is not cut off.
func (h *batchHead) refused() error {
	if h.records > denseRecordsMax && h.records > h.bytes {
		return fmt.Errorf("%v: at most %d are taken from so few bytes", h, denseRecordsMax)
	}
	return fmt.Errorf("%v: it does not hold what it says", h)
}

// begin is called before a fetch. looks makes the padder look at the answer, which is for one partition.
func (p *padder) begin(looks bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks, p.sound, p.head = looks, false, nil
}

// end is called after it. sound: the fetch went out, and what came back was read; an error is the answer's, then, and not the connection's.
// The library ends that also when an answer ends too early for what it holds. head is the batch that the answer began with; nil: it was
// not looked at, or there is none, or it is cut off.
func (p *padder) end() (sound bool, head *batchHead) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sound, p.head
}

// failed notes that the connection is not what it was.
func (p *padder) failed(err error) error {
	if err != nil {
		p.mu.Lock()
		p.sound = false
		p.mu.Unlock()
	}
	return err
}

// Dial opens a connection whose answers it may change.
func (p *padder) Dial(network, address string) (net.Conn, error) {
	c, err := p.dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &paddedConnection{Conn: c, padder: p}, nil
}

// paddedConnection has one fetch at a time on its way.
type paddedConnection struct {
	net.Conn
	padder *padder

	awaited *fetchHead // guarded by padder.mu: the request whose answer is to be looked at
	ready   []byte     // Read's own: of an answer that was looked at
}

type fetchHead struct {
	version     int16
	correlation int32
}

// Write is called with one request at a time.
func (c *paddedConnection) Write(b []byte) (int, error) {
	if len(b) >= 12 && binary.BigEndian.Uint16(b[4:]) == fetchKey {
		c.padder.mu.Lock()
		c.padder.sound = true
		if c.padder.looks {
			c.awaited = &fetchHead{version: int16(binary.BigEndian.Uint16(b[6:])), correlation: int32(binary.BigEndian.Uint32(b[8:]))}
		}
		c.padder.mu.Unlock()
	}
	n, err := c.Conn.Write(b)
	return n, c.padder.failed(err)
}

func (c *paddedConnection) Read(b []byte) (int, error) {
	if len(c.ready) == 0 {
		c.padder.mu.Lock()
		awaited := c.awaited
		c.awaited = nil
		c.padder.mu.Unlock()
		if awaited == nil {
			n, err := c.Conn.Read(b)
			return n, c.padder.failed(err)
		}
		if err := c.fill(awaited); err != nil {
			return 0, c.padder.failed(err)
		}
	}
	n := copy(b, c.ready)
	if c.ready = c.ready[n:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return n, nil
}

// fill reads an answer. One that is not what it should be goes on as it is: the library says what is wrong with it.
func (c *paddedConnection) fill(awaited *fetchHead) error {
	var size [4]byte
	if _, err := io.ReadFull(c.Conn, size[:]); err != nil {
		return err
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > sarama.MaxResponseSize {
		c.ready = size[:]
		return nil
	}
	frame := make([]byte, 4+n)
	copy(frame, size[:])
	if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
		return err
	}
	c.ready = frame
	if int32(binary.BigEndian.Uint32(frame[4:])) != awaited.correlation {
		return nil
	}
	frame, head := pad(frame, awaited.version)
	c.ready = frame
	c.padder.mu.Lock()
	c.padder.head = head
	c.padder.mu.Unlock()
	return nil
}

// pad answers a fetch's answer, for one partition, so that the library reads the first batch in it, and what that says of itself; nil
// where there is none, or it is cut off.
func pad(frame []byte, version int16) ([]byte, *batchHead) {
	lengthAt, at, size := locate(frame, version)
	if size < batchHeadSize {
		return frame, nil
	}
	set := frame[at : at+size]
	length := int64(int32(binary.BigEndian.Uint32(set[8:])))
	if set[16] != 2 || length < batchHeadSize-12 || 12+length > int64(size) {
		return frame, nil
	}
	head := &batchHead{offset: int64(binary.BigEndian.Uint64(set)), bytes: int(12 + length), records: int(int32(binary.BigEndian.Uint32(set[57:])))}
	short := head.records - (size - batchHeadSize)
	if short <= 0 || head.records > denseRecordsMax {
		return frame, head
	}
	filler := make([]byte, max(short, batchHeadSize))
	binary.BigEndian.PutUint32(filler[8:], math.MaxInt32)
	filler[16] = 2
	out := make([]byte, 0, len(frame)+len(filler)+4)
	out = append(out, frame[:lengthAt]...)
	if version >= 12 {
		out = binary.AppendUvarint(out, uint64(size+len(filler)+1))
	} else {
		out = binary.BigEndian.AppendUint32(out, uint32(size+len(filler)))
	}
	out = append(out, set...)
	out = append(out, filler...)
	out = append(out, frame[at+size:]...)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out, head
}

// locate finds the records in a fetch's answer for one partition, and the length before them; size is 0 where there are none.
func locate(frame []byte, version int16) (lengthAt, at, size int) {
	s := scanner{rest: frame, flexible: version >= 12}
	s.skip(8) // length, correlation
	s.tags()
	s.skip(4) // throttling
	if version >= 7 {
		s.skip(6) // error, session
	}
	if s.count() != 1 {
		return 0, 0, 0
	}
	s.text()
	if s.count() != 1 {
		return 0, 0, 0
	}
	s.skip(4 + 2 + 8 + 8) // partition, error, ends of the log
	if version >= 5 {
		s.skip(8) // its start
	}
	for range s.count() { // aborted transactions
		s.skip(16)
		if s.tags(); s.bad {
			break
		}
	}
	if version >= 11 {
		s.skip(4) // replica
	}
	lengthAt = len(frame) - len(s.rest)
	size = s.count()
	at = len(frame) - len(s.rest)
	if version < 4 || s.bad || size > len(s.rest) {
		return 0, 0, 0
	}
	return lengthAt, at, size
}

// scanner reads an answer from the front; bad when that has ended.
type scanner struct {
	rest     []byte
	flexible bool
	bad      bool
}

func (s *scanner) skip(n int) {
	if n < 0 || n > len(s.rest) {
		s.bad, n = true, len(s.rest)
	}
	s.rest = s.rest[n:]
}

func (s *scanner) uvarint() int {
	v, n := binary.Uvarint(s.rest)
	if n <= 0 || v > math.MaxInt32 {
		s.bad, s.rest = true, nil
		return 0
	}
	s.rest = s.rest[n:]
	return int(v)
}

// count is a length, of an array or of bytes; 0 also for null.
func (s *scanner) count() int {
	if s.flexible {
		return max(s.uvarint()-1, 0)
	}
	if len(s.rest) < 4 {
		s.bad, s.rest = true, nil
		return 0
	}
	n := int32(binary.BigEndian.Uint32(s.rest))
	s.rest = s.rest[4:]
	return int(max(n, 0))
}

func (s *scanner) text() {
	if s.flexible {
		s.skip(s.count())
		return
	}
	if len(s.rest) < 2 {
		s.bad, s.rest = true, nil
		return
	}
	n := int(binary.BigEndian.Uint16(s.rest))
	s.skip(2 + n)
}

func (s *scanner) tags() {
	if !s.flexible {
		return
	}
	for range s.uvarint() {
		s.uvarint()
		if s.skip(s.uvarint()); s.bad {
			return
		}
	}
}
