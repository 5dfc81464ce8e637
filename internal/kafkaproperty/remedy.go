package kafkaproperty

import (
	"errors"
	"io"
)

// Place is what a request was about: whatever of it is known.
type Place struct{ Topic, Group, Transaction string }

// Codes of errors in Kafka's protocol.
const (
	codeTopic       = 29
	codeGroup       = 30
	codeCluster     = 31
	codeMechanism   = 33
	codeSASLState   = 34
	codeTransaction = 53
)

// Remedy says what to do about an error that a broker has sent (code; 0: it sent none), in words to stand behind the error's own: which
// right the user lacks, above all. It is empty where the error says all.
func Remedy(role Role, err error, code int16, at Place) string {
	named := func(what, name string) string {
		if name == "" {
			return "the " + what
		}
		return what + " " + name
	}
	switch {
	case code == codeTopic && role == Consumer:
		return " (the user needs the rights DESCRIBE and READ on " + named("topic", at.Topic) + ")"
	case code == codeTopic:
		return " (the user needs the rights DESCRIBE and WRITE on " + named("topic", at.Topic) + ")"
	case code == codeGroup:
		return " (the user needs the right READ on " + named("group", at.Group) + ")"
	case code == codeTransaction:
		return " (the user needs the rights DESCRIBE and WRITE on " + named("transactional id", at.Transaction) + ")"
	case code == codeCluster:
		return " (the user needs the right IDEMPOTENT_WRITE on the cluster, or WRITE on any topic)"
	case code == codeMechanism:
		return " (this listener does not take that sasl.mechanism)"
	case code == codeSASLState, code == 0 && errors.Is(err, io.EOF):
		return " (the broker has closed the connection: does security.protocol fit this listener?)"
	}
	return ""
}
