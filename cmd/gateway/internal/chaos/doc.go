// Package chaos proves with real processes what the gateway promises while everything around it fails: two gateways on one store,
// Kafka, PostgreSQL and functions are killed, frozen, restarted and cut off from each other in an order that a seed draws, while
// clients send events all the time. What came out is read from Kafka at read_committed and from the admin API, and judged by what
// went in alone. It holds tests only.
//
//	go test ./cmd/gateway/internal/chaos                                                  a short run: a minute and a half, three with -race
//	go test ./cmd/gateway/internal/chaos -run TestChaos -v -timeout 60m -kills 100        a long one
//	go test ./cmd/gateway/internal/chaos -run TestChaos/postgres -v -kills 100 -seed 7    the plan of a seed once more
//	go test ./cmd/gateway/internal/chaos -run TestGuardsRemoved -v -timeout 30m -mutants  that it fails when it should
//
// A run that fails says what is wrong, the seed, and where the log of all events is, beside the logs of the processes. A seed gives
// the same events and the same blows in the same order; what they hit is up to the machine.
package chaos
