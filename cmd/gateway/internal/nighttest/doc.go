// Package nighttest plays a bad night - an endpoint down, a message that a function cannot read, a broker that is away, a database that is slow, a
// cursor that is lost - on a real gateway with a real Kafka and a real PostgreSQL, and mends it by the commands of the runbook in
// docs/OPERATIONS.md alone, as they stand there. It has no code of its own but tests.
package nighttest
