package kafka

import (
	"errors"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/internal/kafkaproperty"
)

// mendable is an error of Kafka's with what an operator can do about it.
type mendable struct {
	cause  error
	remedy string
}

func (m *mendable) Error() string { return m.cause.Error() + m.remedy }
func (m *mendable) Unwrap() error { return m.cause }

// withRemedy adds what can be done about an error, where that is known and not said yet.
func withRemedy(err error, role kafkaproperty.Role, at kafkaproperty.Place) error {
	var said *mendable
	if err == nil || errors.As(err, &said) {
		return err
	}
	var code sarama.KError
	errors.As(err, &code)
	remedy := kafkaproperty.Remedy(role, err, int16(code), at)
	if code == sarama.ErrInvalidTimestamp {
		remedy = " (records have the gateway's time: does its clock agree with the broker's, and does the topic allow for it, message.timestamp.before.max.ms and .after.max.ms?)"
	}
	if remedy != "" {
		return &mendable{err, remedy}
	}
	return err
}

// ofTopic is an error about a topic that outputs go to.
func ofTopic(err error, topic string) error {
	return withRemedy(err, kafkaproperty.Producer, kafkaproperty.Place{Topic: topic})
}

// ofLane is an error about what the lane itself has in Kafka.
func (r *Relay) ofLane(err error) error {
	name := r.cfg.name(r.lane)
	return withRemedy(err, kafkaproperty.Consumer, kafkaproperty.Place{Topic: r.cfg.CursorTopic, Group: name, Transaction: name})
}
