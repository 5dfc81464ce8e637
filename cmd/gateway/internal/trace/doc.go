// Package trace makes spans of what happens to events and sends them to a collector by OTLP over HTTP. It is the only place that knows
// OpenTelemetry's messages. It holds nothing up: spans that the collector does not take are dropped and counted.
//
// It writes OTLP's messages itself. OpenTelemetry's exporter for Go brings gRPC with it also where it speaks HTTP, which makes the program
// larger by 6 MB, and its queue drops spans without telling how many.
package trace
