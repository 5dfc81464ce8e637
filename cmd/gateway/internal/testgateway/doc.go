// Package testgateway runs the gateway as tests of whole worlds need it: the real program, built once for a test binary, in
// processes of its own that are started, frozen, killed and asked over HTTP like by an operator. It knows nothing of the engine. A
// test binary that uses it begins with Main, or calls RemoveBinary at its end.
package testgateway
