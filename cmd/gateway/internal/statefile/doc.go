// Package statefile is state as a file: JSON Lines, one for each value, that people and other programs can read and make. Export
// writes what a view of a store holds, Import commits what a file holds; they are each other's inverse. It moves the states of
// addresses and what is known of them, never messages, timers, positions or outputs, and it opens no store and no file itself.
//
// A file is lines of UTF-8, each a JSON object of one of these forms:
//
//	{"stategate":"state","version":1,"store":"UUID","at":"2026-01-31T12:00:00Z"}
//	{"function":"shop/cart","state":"items","type":"io.statefun.types/int","expiration":{"mode":"afterWrite","ttl":"48h0m0s"}}
//	{"function":"shop/cart","id":"ada","state":"items","type":"io.statefun.types/int","value":3,"touched":1767225600000}
//	{"function":"shop/cart","id":"ada","state":"note","type":"shop.types/Note","base64":"eyJ0ZXh0IjoiaGkifQ=="}
//	{"end":true,"values":2}
//
// Only the values are needed. A file that begins with the first form is whole only when it ends with the last. A state whose
// expiration no line tells is asked of its function when that is first called.
package statefile
