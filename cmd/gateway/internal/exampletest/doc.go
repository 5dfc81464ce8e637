// Package exampletest runs what users of StateFun have: module files as they are written in the field, and ports of the well-known
// examples on the official SDKs (testdata/statefun/examples), with the real program. What an example's README says to type is what is
// played, with curl, and again through a real Kafka; the answers must be those that stand there. It holds tests only.
package exampletest
