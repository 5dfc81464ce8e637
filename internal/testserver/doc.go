//go:build unix

// Package testserver starts real Apache Kafka and real PostgreSQL for tests, and kills them when a test asks for it.
//
// Kafka(t) and Postgres(t) answer one server per test binary, shared by its tests: topics, groups and schemas must have names
// of their own per test. PrivateKafka and PrivatePostgres answer a server for one test, which may stop it, kill it, start it
// again and give it settings. StartKafka and StartPostgres are the same for programs that are no tests. A test binary that uses
// the package has
//
//	func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }
//
// The servers listen on 127.0.0.1 and trust everybody there. They die with the process that started them (on Linux even when it
// is killed), and what a killed one leaves in the temporary folder is removed by the next.
//
// Kinesis(t) is a stand-in for the service of that name, shared likewise.
//
// The package never downloads anything: scripts/kafka.sh, scripts/postgres.sh, scripts/kinesis.sh and scripts/sdks.sh install;
// SDK(t, language) finds what the last one did. Where a server or an SDK is not installed the test is skipped and Main says so;
// with STATEGATE_TEST_REQUIRE or CI set it fails.
package testserver
