package stategate

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Invocation is one message on which a function is called, and takes the effects that the function asks for.
//
// Effects leave only when the whole call has succeeded; so they return no errors: one that cannot be carried (no function type, a
// value that does not encode, a reply to nobody) makes the call fail once the function has returned.
//
// An Invocation ends when the function returns, and is used by one goroutine at a time.
type Invocation struct {
	batch    *batch
	caller   Address
	called   bool // it has a caller
	argument TypedValue
}

// Self is the address that is called.
func (in *Invocation) Self() Address { return in.batch.self }

// Caller is the address that sent the message; ok is false when it came from an ingress.
func (in *Invocation) Caller() (caller Address, ok bool) { return in.caller, in.called }

// Argument is what the message carries.
func (in *Invocation) Argument() TypedValue { return in.argument }

// Logger is the Handler's, with the address that is called: function and id.
func (in *Invocation) Logger() *slog.Logger {
	return in.batch.logger.With("function", in.batch.self.Function(), "id", in.batch.self.ID)
}

// Send sends a message.
func (in *Invocation) Send(to Address, value TypedValue) {
	if err := errors.Join(to.check(), value.check()); err != nil {
		in.fail(fmt.Errorf("send to %s: %w", to, err))
		return
	}
	effects := in.effects(messagesField)
	*effects = appendMessage(*effects, to, value)
}

// Reply sends a message to the caller.
func (in *Invocation) Reply(value TypedValue) {
	caller, ok := in.Caller()
	if !ok {
		in.fail(errors.New("reply: the message has no caller"))
		return
	}
	in.Send(caller, value)
}

// SendAfter sends a message when the delay has passed; delays are whole milliseconds, rounded up.
func (in *Invocation) SendAfter(delay time.Duration, to Address, value TypedValue) {
	in.sendAfter(delay, "", to, value)
}

// SendAfterToken is SendAfter of a message that Cancel can take back by its token, which is not empty. A token belongs to the id of the
// address that is called. A gateway that has a message pending under the same token sends the new one in its place.
func (in *Invocation) SendAfterToken(delay time.Duration, token string, to Address, value TypedValue) {
	if token == "" {
		in.fail(fmt.Errorf("send after %v to %s: the cancellation token is empty", delay, to))
		return
	}
	in.sendAfter(delay, token, to, value)
}

func (in *Invocation) sendAfter(delay time.Duration, token string, to Address, value TypedValue) {
	err := errors.Join(to.check(), value.check(), checkText("cancellation token", token))
	if delay < 0 {
		err = errors.Join(err, errors.New("the delay is negative"))
	}
	if err != nil {
		in.fail(fmt.Errorf("send after %v to %s: %w", delay, to, err))
		return
	}
	effects := in.effects(delayedField)
	*effects = appendDelayed(*effects, milliseconds(delay), token, to, value)
}

// Cancel takes back a delayed message that was sent with this token and has not left yet; if there is none, nothing happens.
func (in *Invocation) Cancel(token string) {
	if token == "" {
		in.fail(errors.New("cancel: the cancellation token is empty"))
		return
	}
	if err := checkText("cancellation token", token); err != nil {
		in.fail(fmt.Errorf("cancel: %w", err))
		return
	}
	effects := in.effects(delayedField)
	*effects = appendCancellation(*effects, token)
}

// SendEgress gives a value to an egress, "namespace/name".
func (in *Invocation) SendEgress(egress string, value TypedValue) {
	namespace, name := splitTypeName(egress)
	err := errors.Join(value.check(), checkText("egress", egress))
	if namespace == "" || name == "" {
		err = errors.Join(fmt.Errorf("egress %q: want namespace/name", egress), err)
	}
	if err != nil {
		in.fail(fmt.Errorf("send to egress %s: %w", egress, err))
		return
	}
	effects := in.effects(egressesField)
	*effects = appendEgress(*effects, namespace, name, value)
}

// KafkaRecord is a record for a Kafka egress.
type KafkaRecord struct {
	Topic string
	Key   []byte // empty: no key
	Value []byte
}

// SendKafka gives a record to a Kafka egress, "namespace/name".
func (in *Invocation) SendKafka(egress string, record KafkaRecord) {
	if record.Topic == "" {
		in.fail(fmt.Errorf("send to egress %s: the record has no topic", egress))
		return
	}
	b := make([]byte, 0, sizeOf(len(record.Key))+sizeOf(len(record.Value))+sizeOf(len(record.Topic)))
	b = appendText(appendText(appendText(b, 1, record.Key), 2, record.Value), 3, record.Topic)
	in.SendEgress(egress, TypedValue{TypeName: kafkaRecordType, Value: b, err: checkText("topic", record.Topic)})
}

const (
	kafkaRecordType   = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
	kinesisRecordType = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
)

// KinesisRecord is a record for a Kinesis egress.
type KinesisRecord struct {
	Stream          string
	PartitionKey    string
	ExplicitHashKey string // empty: the partition key decides
	Value           []byte
}

// SendKinesis gives a record to a Kinesis egress, "namespace/name".
func (in *Invocation) SendKinesis(egress string, record KinesisRecord) {
	if record.Stream == "" || record.PartitionKey == "" {
		in.fail(fmt.Errorf("send to egress %s: the record needs a stream and a partition key", egress))
		return
	}
	b := appendText(appendText(appendText(nil, 1, record.PartitionKey), 2, record.Value), 3, record.Stream)
	b = appendText(b, 4, record.ExplicitHashKey)
	err := errors.Join(checkText("stream", record.Stream), checkText("explicit hash key", record.ExplicitHashKey))
	in.SendEgress(egress, TypedValue{TypeName: kinesisRecordType, Value: b, err: err})
}

// fail makes the call fail once the function has returned; the first reason counts.
func (in *Invocation) fail(err error) {
	if in.batch.err == nil {
		in.batch.err = err
	}
}

// effects are those of a field of the reply.
func (in *Invocation) effects(field int) *[]byte { return &in.batch.effects[field-messagesField] }

func (in *Invocation) cell(name string) (*cell, error) {
	for i, spec := range in.batch.function.specs {
		if spec.StateName == name {
			return &in.batch.cells[i], nil
		}
	}
	return nil, fmt.Errorf("state %q is not in the States of function %s", name, in.batch.self.Function())
}
