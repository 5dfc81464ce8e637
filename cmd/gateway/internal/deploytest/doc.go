// Package deploytest holds the files of deploy against the program that they start, and makes backups and restores them by the commands
// of docs/OPERATIONS.md. It is tests only.
package deploytest
