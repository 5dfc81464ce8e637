package kafkaproperty

import (
	"errors"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// scramKeys remembers what a password comes to, which is costly on purpose, for all logins of a client.
type scramKeys struct{ client *scram.Client }

func newScramKeys(mechanism, user string, password Secret) *scramKeys {
	hash := scram.SHA256
	if mechanism == MechanismSCRAM512 {
		hash = scram.SHA512
	}
	// Kafka takes names and passwords as they are (ScramFormatter): no SASLprep. Its only error is that of SASLprep.
	client, err := hash.NewClientUnprepped(user, password.Reveal(), "")
	if err != nil {
		return nil
	}
	return &scramKeys{client}
}

// Conversation is one login by SCRAM. The broker proves in it that it knows the password, too.
type Conversation struct {
	keys *scramKeys
	c    *scram.ClientConversation
}

// Conversation begins a login.
func (s *SASL) Conversation() *Conversation { return &Conversation{keys: s.passwords} }

// Begin starts it. Who logs in is known already.
func (c *Conversation) Begin(_, _, _ string) error {
	if c.keys == nil {
		return errors.New("no password to log in with")
	}
	c.c = c.keys.client.NewConversation()
	return nil
}

// iterationsMax bounds what a broker can make a client reckon. Kafka itself allows 16,384.
const iterationsMax = 1 << 20

// Step answers what the broker said.
func (c *Conversation) Step(challenge string) (string, error) {
	for part := range strings.SplitSeq(challenge, ",") {
		if count, ok := strings.CutPrefix(part, "i="); ok {
			if n, err := strconv.Atoi(count); err != nil || n > iterationsMax {
				return "", errors.New("the broker asks for too many iterations")
			}
		}
	}
	return c.c.Step(challenge)
}

// Done reports whether the login is over.
func (c *Conversation) Done() bool { return c.c.Done() }
