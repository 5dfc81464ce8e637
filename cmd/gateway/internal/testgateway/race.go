//go:build race

package testgateway

// raced: the gateway is built with the race detector when the tests are.
const raced = true
