// Package migrationtest does what docs/MIGRATION.md says, with the commands that stand there: an application on the official Python
// SDK moves out of one runtime into another, its offsets and its state with it, and back again. It holds tests only. The runtime that
// is left is a gateway, too: it speaks StateFun's protocol, and commits offsets to the group as StateFun does.
package migrationtest
