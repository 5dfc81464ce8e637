package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// Semantic is what an egress promises about each output.
type Semantic uint8

const (
	ExactlyOnce Semantic = iota // seen once by readers at read_committed
	AtLeastOnce                 // never lost; seen again after an error
	None                        // sent; lost when Kafka does not take it, and seldom sent again
)

func (s Semantic) String() string {
	switch s {
	case ExactlyOnce:
		return "exactly-once"
	case AtLeastOnce:
		return "at-least-once"
	case None:
		return "none"
	}
	return fmt.Sprintf("semantic(%d)", uint8(s))
}

// Config is one egress. ID and Brokers are needed, StoreID too for ExactlyOnce.
type Config struct {
	ID       string   // of the egress in module.yaml, "namespace/name"
	Brokers  []string // host:port to begin with
	Semantic Semantic

	// TransactionTimeout bounds from above how long a dead gateway's open transaction holds up readers. What is used is the
	// smaller of it and 30 s; 0 means 30 s. Below 1 s a slow broker aborts good transactions, again and again (Check says so).
	TransactionTimeout time.Duration
	// StoreID is the store's UUID. Transactional id and cursor group are "stategate-<store>-<egress>-<slot>".
	StoreID string
	// Claim is the token of the claim that the lane came with. The cursor carries it, so that a store that went back is noticed
	// also when it has committed anew since.
	Claim string
	// Formerly is the lane that an egress which keeps no outbox now had before, as it was claimed. When it was started, the
	// transaction that it may have left open is ended first. Zero: there was none. (Other semantics know it by their own lane.)
	Formerly statestore.Lane
	// CursorTopic has one partition and never a record; the cursor is an offset of it. Default "stategate-cursor". It is made at
	// start where it is missing and making topics is allowed.
	CursorTopic string
	// Properties are properties of Kafka's Java producer. Check says which are not used.
	Properties map[string]string
	// MemoryBytes bounds the outputs that Offer holds. Default 16 MiB. Beyond it they are read back from the store, which
	// costs a query for every few MiB. The batch that is being delivered comes on top (4 MiB, or one output).
	MemoryBytes int64

	Log   *slog.Logger // default slog.Default()
	Hooks egress.Hooks

	keepAlive time.Duration // how old the cursor may grow; 0: keepAliveEvery
}

// Bounds of a configuration.
const (
	transactionTimeoutMax = 30 * time.Second
	transactionTimeoutLow = time.Second // below it Check warns
	memoryDefault         = 16 << 20
	cursorTopicDefault    = "stategate-cursor"
	claimBytesMax         = 1024           // brokers take 4 KiB beside an offset
	keepAliveEvery        = 24 * time.Hour // brokers forget a cursor 7 days after its last commit, where nothing else is set
)

// validate fills the defaults in.
func (c *Config) validate() error {
	switch {
	case c.ID == "":
		return errors.New("it has no id")
	case len(c.Brokers) == 0:
		return errors.New("it has no brokers")
	case c.Semantic > None:
		return fmt.Errorf("unknown semantic %d", c.Semantic)
	case c.Semantic == ExactlyOnce && c.StoreID == "":
		return errors.New("exactly-once needs the store's id")
	case len(c.Claim) > claimBytesMax:
		return fmt.Errorf("claim of %d bytes: at most %d are allowed", len(c.Claim), claimBytesMax)
	case c.TransactionTimeout < 0:
		return fmt.Errorf("transaction timeout %s: it must not be negative", c.TransactionTimeout)
	}
	if c.CursorTopic == "" {
		c.CursorTopic = cursorTopicDefault
	}
	if err := checkTopic(c.CursorTopic); err != nil {
		return fmt.Errorf("cursor topic: %w", err)
	}
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = memoryDefault
	}
	if c.keepAlive <= 0 {
		c.keepAlive = keepAliveEvery
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

// timeout is the effective transaction timeout.
func (c *Config) timeout() time.Duration {
	if c.TransactionTimeout == 0 {
		return transactionTimeoutMax
	}
	return max(min(c.TransactionTimeout, transactionTimeoutMax), time.Millisecond)
}

// name is the transactional id of a lane, and the group of its cursor.
func (c *Config) name(lane statestore.LaneID) string {
	return fmt.Sprintf("stategate-%s-%s-%d", c.StoreID, lane.Egress, lane.Slot)
}

// checkTopic says why a text is not a topic's name, or nil (rules of org.apache.kafka.common.internals.Topic).
func checkTopic(name string) error {
	switch {
	case name == "":
		return errors.New("the topic is empty")
	case len(name) > topicBytesMax:
		return fmt.Errorf("topic of %d bytes: at most %d are allowed", len(name), topicBytesMax)
	case name == "." || name == "..":
		return fmt.Errorf("topic %q is not a name", name)
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("topic %q: only letters, digits, '.', '_' and '-' are allowed", name)
		}
	}
	return nil
}

const topicBytesMax = 249
