//go:build race

package killtest

// raced: the gateway is built with the race detector when the tests are.
const raced = true
