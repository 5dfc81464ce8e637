package kafka

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	fetchKey = 1 // of the request
	// frameKept is how large the memory is that an answer is read into and that stays for the next one; a larger answer has its own.
	frameKept = 1 << 20
	frameMin  = 4 << 10
)

// place is one partition.
type place struct {
	topic     string
	partition int32
}

// sieve keeps the batches of a broker's answers back from the library, which would take all of an answer apart at once, into an
// allocation or more for each record, and a whole answer for unreadable where one batch is. What the library gets is the answer without
// them. Messages of the formats before batches it gets, up to a partition's first batch.
type sieve struct {
	dialer interface {
		Dial(network, address string) (net.Conn, error)
	}
	client  string        // its id, as it stands in requests
	timeout time.Duration // of an answer once it has begun

	mu      sync.Mutex
	expects bool               // guarded by mu: the next fetch's answer
	sound   bool               // guarded by mu: a fetch went out, and nothing is wrong with the connection since
	sets    map[place]batchSet // guarded by mu: of the last answer
}

func newSieve(config *sarama.Config) *sieve {
	return &sieve{dialer: config.Net.Proxy.Dialer, client: config.ClientID, timeout: config.Net.ReadTimeout}
}

// begin is called before a fetch.
func (s *sieve) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expects, s.sound, s.sets = true, false, nil
}

// end is called after it. sound: the fetch went out, and what came back was read; an error is the answer's, then, and not the connection's.
// The library ends that also when an answer ends too early for what it holds. sets are the batches that were kept back, by partition; they
// are good until the next fetch.
func (s *sieve) end() (sound bool, sets map[place]batchSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expects = false
	return s.sound, s.sets
}

// failed notes that the connection is not what it was.
func (s *sieve) failed(err error) error {
	if err != nil {
		s.mu.Lock()
		s.sound = false
		s.mu.Unlock()
	}
	return err
}

// Dial opens a connection whose answers go through the sieve.
func (s *sieve) Dial(network, address string) (net.Conn, error) {
	c, err := s.dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &sievedConnection{Conn: c, sieve: s}, nil
}

// sievedConnection has one fetch at a time on its way.
type sievedConnection struct {
	net.Conn
	sieve *sieve

	awaited *fetchHead // guarded by sieve.mu: the request whose answer is to be sieved

	// Read's own.
	ready []byte // of an answer that was sieved
	frame []byte // where answers lie
}

type fetchHead struct {
	version     int16
	correlation int32
}

// isFetch reports whether that is a fetch of the client's. What goes out while a connection is made need not be a request at all.
func (s *sieve) isFetch(b []byte) bool {
	return len(b) >= 14+len(s.client) && binary.BigEndian.Uint16(b[4:]) == fetchKey &&
		int(binary.BigEndian.Uint16(b[12:])) == len(s.client) && string(b[14:14+len(s.client)]) == s.client
}

// Write is called with one request at a time.
func (c *sievedConnection) Write(b []byte) (int, error) {
	s := c.sieve
	s.mu.Lock()
	if s.expects && s.isFetch(b) {
		s.expects, s.sound = false, true
		c.awaited = &fetchHead{version: int16(binary.BigEndian.Uint16(b[6:])), correlation: int32(binary.BigEndian.Uint32(b[8:]))}
	}
	s.mu.Unlock()
	n, err := c.Conn.Write(b)
	return n, s.failed(err)
}

func (c *sievedConnection) Read(b []byte) (int, error) {
	if len(c.ready) == 0 {
		c.sieve.mu.Lock()
		awaited := c.awaited
		c.awaited = nil
		c.sieve.mu.Unlock()
		if awaited == nil {
			n, err := c.Conn.Read(b)
			return n, c.sieve.failed(err)
		}
		if err := c.fill(awaited); err != nil {
			return 0, c.sieve.failed(err)
		}
	}
	n := copy(b, c.ready)
	if c.ready = c.ready[n:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return n, nil
}

// fill reads an answer. One that is not what it should be goes on as it is: the library says what is wrong with it.
func (c *sievedConnection) fill(awaited *fetchHead) error {
	if cap(c.frame) < frameMin || cap(c.frame) > frameKept {
		c.frame = make([]byte, frameMin)
	}
	frame := c.frame[:cap(c.frame)]
	got, err := io.ReadAtLeast(c.Conn, frame, 4)
	if err != nil {
		return err
	}
	n := int(int32(binary.BigEndian.Uint32(frame))) + 4
	if n < 8 || n > int(sarama.MaxResponseSize)+4 || got > n {
		c.ready = frame[:got]
		return nil
	}
	if got < n {
		frame = slices.Grow(frame[:got], n-got)[:n]
		if c.sieve.timeout > 0 {
			_ = c.Conn.SetReadDeadline(time.Now().Add(c.sieve.timeout)) // what was waited for the broker does not count
		}
		if _, err := io.ReadFull(c.Conn, frame[got:]); err != nil {
			return err
		}
	}
	c.frame, frame = frame, frame[:n]
	c.ready = frame
	if int32(binary.BigEndian.Uint32(frame[4:])) != awaited.correlation {
		return nil
	}
	rest, sets := keepBack(frame, awaited.version)
	c.ready = rest
	c.sieve.mu.Lock()
	c.sieve.sets = sets
	c.sieve.mu.Unlock()
	return nil
}

// keepBack answers a fetch's answer without the batches in it, and those, which lie in the frame. An answer that it does not understand is as it was.
func keepBack(frame []byte, version int16) (rest []byte, sets map[place]batchSet) {
	if version < 4 {
		return frame, nil // no batches
	}
	s := scanner{rest: frame, flexible: version >= 12}
	done := 0 // of the frame, in rest
	s.skip(8) // length, correlation
	s.tags()
	s.skip(4) // throttling
	if version >= 7 {
		s.skip(6) // error, session
	}
	sets = map[place]batchSet{}
	for range s.count() { // topics
		topic := string(s.text())
		for range s.count() { // partitions
			partition := s.partition(version)
			lengthAt := len(frame) - len(s.rest)
			size := s.count()
			at := len(frame) - len(s.rest)
			s.skip(size)
			if s.tags(); s.bad {
				return frame, nil
			}
			set := frame[at : at+size]
			old := oldMessages(set)
			if old == size {
				continue
			}
			sets[place{topic, partition}] = batchSet(set[old:])
			rest = append(rest, frame[done:lengthAt]...)
			if s.flexible {
				rest = binary.AppendUvarint(rest, uint64(old+1))
			} else {
				rest = binary.BigEndian.AppendUint32(rest, uint32(old))
			}
			rest = append(rest, set[:old]...)
			done = at + size
		}
		if s.tags(); s.bad {
			return frame, nil
		}
	}
	if s.tags(); s.bad || len(s.rest) > 0 || done == 0 {
		return frame, nil
	}
	rest = append(rest, frame[done:]...)
	binary.BigEndian.PutUint32(rest, uint32(len(rest)-4))
	return rest, sets
}

// oldMessages is how many bytes of messages in formats before batches come first. The last of them may be cut off.
func oldMessages(set []byte) (n int) {
	for {
		left := set[n:]
		if len(left) > magicAt && left[magicAt] >= 2 {
			return n
		}
		if len(left) < 12 {
			break
		}
		size := int64(int32(binary.BigEndian.Uint32(left[8:])))
		if size < 0 || 12+size > int64(len(left)) {
			break
		}
		n += 12 + int(size)
	}
	return len(set)
}

// scanner reads an answer from the front; bad when that has ended.
type scanner struct {
	rest     []byte
	flexible bool
	bad      bool
}

// partition reads a partition's answer up to its records.
func (s *scanner) partition(version int16) int32 {
	id := s.take(4)
	s.skip(2 + 8 + 8) // error, ends of the log
	if version >= 5 {
		s.skip(8) // its start
	}
	for range s.count() { // aborted transactions
		s.skip(16)
		if s.tags(); s.bad {
			return 0
		}
	}
	if version >= 11 {
		s.skip(4) // replica
	}
	if len(id) < 4 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(id))
}

func (s *scanner) take(n int) []byte {
	if n < 0 || n > len(s.rest) {
		s.bad, s.rest = true, nil
		return nil
	}
	b := s.rest[:n]
	s.rest = s.rest[n:]
	return b
}

func (s *scanner) skip(n int) { s.take(n) }

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

func (s *scanner) text() []byte {
	if s.flexible {
		return s.take(s.count())
	}
	n := s.take(2)
	if len(n) < 2 {
		return nil
	}
	return s.take(int(binary.BigEndian.Uint16(n)))
}

func (s *scanner) tags() {
	if !s.flexible {
		return
	}
	for range s.uvarint() {
		s.uvarint() // which
		if s.skip(s.uvarint()); s.bad {
			return
		}
	}
}
