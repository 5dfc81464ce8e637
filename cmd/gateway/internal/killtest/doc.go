// Package killtest proves with real processes what the gateway promises: it builds the program, runs it beside real Kafka and
// real PostgreSQL (or on a file), kills all of them in turn, and reads from Kafka itself what came out. It holds tests only, and
// judges nothing by what the engine says of itself but whether it was at work when it was killed.
//
//	go test ./cmd/gateway/internal/killtest                                   about two minutes, four with -race
//	go test ./cmd/gateway/internal/killtest -run TestKill/ -duration 1h       as long as you like
//	go test ./cmd/gateway/internal/killtest -run TestGuardsRemoved -mutants   that the test fails when it should
//
// Every failure says which keys are wrong and how, the seed, and the ends of the processes' logs; with -artifacts the logs are
// kept whole.
package killtest
