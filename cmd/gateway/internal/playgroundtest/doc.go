// Package playgroundtest runs an application as StateFun's playground has it, its greeter, on the real gateway: events come and results
// go by curl. It has no code of its own but tests.
package playgroundtest
