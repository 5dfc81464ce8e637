//go:build race

package simulation_test

// What is played in parallel is whole lives, so few of them show whether they share anything.
const (
	underRace    = true
	livesDefault = 300
)
