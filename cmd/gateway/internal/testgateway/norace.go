//go:build !race

package testgateway

const raced = false
