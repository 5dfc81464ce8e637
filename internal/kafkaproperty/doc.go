// Package kafkaproperty reads the properties of Kafka's Java clients, as module files give them, and says what becomes of each. It
// is the one table of their names: for every adapter, in words that belong to no client library. It opens connections (with TLS,
// where asked for) and gives what a login needs; it never speaks Kafka's protocol, and it never logs. No complaint and no error of
// it holds a value that may be a secret.
package kafkaproperty
