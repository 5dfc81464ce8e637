// Package requesttest runs applications on the real gateway whose events and requests come by HTTP: replies, delays, routes, a gateway
// that waits beside the one that works, and ends of all kinds. It has no code of its own but tests.
package requesttest
