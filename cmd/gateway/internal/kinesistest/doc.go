// Package kinesistest runs the gateway between two streams of a stand-in for Kinesis, and kills it. It has tests only.
package kinesistest
