package kafka

import (
	"fmt"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/internal/kafkaproperty"
)

// Complaint is what is to be said of one property, at whose line.
type Complaint = kafkaproperty.Complaint

// settings is what the properties come to.
type settings struct {
	*kafkaproperty.Settings
	client *sarama.Config
}

// Check says whether the configuration can be used, and what is to be said of its properties: what is wrong with them, and which
// have no effect.
func Check(c Config) ([]Complaint, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	_, complaints := kafkaproperty.Translate(kafkaproperty.Consumer, c.Properties)
	return complaints, nil
}

// newSettings translates the properties. Where several are wrong the error names them all.
func newSettings(properties map[string]string) (*settings, error) {
	translated, complaints := kafkaproperty.Translate(kafkaproperty.Consumer, properties)
	if err := kafkaproperty.Errors(complaints); err != nil {
		return nil, err
	}
	s := &settings{translated, newClientConfig()}
	s.configure()
	if err := s.client.Validate(); err != nil {
		return nil, fmt.Errorf("properties: %w", err)
	}
	return s, nil
}

// configure says to the client's library what the properties say, and leaves its defaults elsewhere.
func (s *settings) configure() {
	c := s.client
	given(&c.ClientID, s.ClientID)
	given(&c.RackID, s.Rack)
	given(&c.Consumer.Fetch.Min, s.FetchMin)
	given(&c.Consumer.Fetch.MaxBytes, s.FetchMax)
	given(&c.Consumer.Fetch.Default, s.FetchPartition)
	given(&c.Consumer.MaxWaitTime, s.FetchWait)
	given(&c.Net.ReadTimeout, s.RequestTimeout)
	given(&c.Net.WriteTimeout, s.RequestTimeout)
	given(&c.Metadata.RefreshFrequency, s.MetadataAge)
	if s.Isolation == kafkaproperty.ReadUncommitted {
		c.Consumer.IsolationLevel = sarama.ReadUncommitted
	}
	if s.SASL == nil {
		return
	}
	sasl := &c.Net.SASL
	sasl.Enable, sasl.Mechanism, sasl.User, sasl.Password = true, sarama.SASLMechanism(s.SASL.Mechanism), s.SASL.User, s.SASL.Password.Reveal()
	sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return s.SASL.Conversation() }
	sasl.TokenProvider = tokens{} // of each client its own, see newClient
}

// given sets what is said.
func given[T comparable](to *T, value T) {
	var none T
	if value != none {
		*to = value
	}
}

// tokens gives the tokens of one client; they end with its dialer.
type tokens struct {
	dialer *dialer
	sasl   *kafkaproperty.SASL
}

// Token implements sarama.AccessTokenProvider.
func (t tokens) Token() (*sarama.AccessToken, error) {
	text, err := t.sasl.Tokens.Token(t.dialer.ctx)
	if err != nil {
		return nil, err
	}
	return &sarama.AccessToken{Token: text.Reveal(), Extensions: t.sasl.Extensions}, nil
}
