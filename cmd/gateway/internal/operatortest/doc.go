// Package operatortest looks at what operators do beside a flow of events: the real gateway, with very much in its store. It has no code
// of its own but tests.
package operatortest
