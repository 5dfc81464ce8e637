// Package api holds the nouns of the gateway: what ingresses bring, functions say and egresses take. It has no behaviour
// beyond naming, sizing and sharding them, does no I/O, and imports nothing of the project.
package api
