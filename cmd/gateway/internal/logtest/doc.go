// Package logtest reads what the real gateway logs: what payloads may not do there, how much a failure that lasts may say, and whether
// the documents explain each line. It has no code of its own but tests.
package logtest
