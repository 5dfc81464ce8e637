// Package documenttest runs the commands that documents show, with real programs: what a reader pastes must work and must answer what
// the text says. It has no code of its own but tests.
package documenttest
