// Package securitytest runs the real gateway between functions and a Kafka that asks who comes, with a module file as StateFun's users
// have it. It has no code of its own but tests.
package securitytest
