// Package memorytest runs the real gateway with little memory on much of everything, and looks at what the system says that it takes. It
// has no code of its own but tests.
package memorytest
