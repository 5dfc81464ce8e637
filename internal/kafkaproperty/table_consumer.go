package kafkaproperty

import (
	"errors"
	"math"
	"strconv"
	"time"
)

const (
	noGroup  = "the group is never joined"
	ownStore = "positions live in the store and are shown to the group every few seconds"
)

var consumerProperties = []property{
	{name: "client.rack", role: Consumer, set: func(s *Settings, v string) error { s.Rack = v; return nil }, does: "the replica that is near is read, where brokers allow it"},
	{name: "isolation.level", role: Consumer, does: "`read_committed` (**the default here**) or `read_uncommitted` (Java's default)",
		set: oneOf(map[string]Isolation{"read_committed": ReadCommitted, "read_uncommitted": ReadUncommitted}, "read_committed or read_uncommitted",
			func(s *Settings, v Isolation) { s.Isolation = v })},
	{name: "fetch.min.bytes", role: Consumer, set: count(1, func(s *Settings, n int32) { s.FetchMin = n }), does: "what a fetch waits for; 0 counts as 1"},
	{name: "fetch.max.bytes", role: Consumer, set: count(1, func(s *Settings, n int32) { s.FetchMax = n }), does: "most of one fetch; 8 MiB without it"},
	{name: "max.partition.fetch.bytes", role: Consumer, set: count(1, func(s *Settings, n int32) { s.FetchPartition = n }), does: "most of one partition in a fetch; a larger record makes it larger"},
	{name: "fetch.max.wait.ms", role: Consumer, set: millis(func(s *Settings, d time.Duration) { s.FetchWait = d }), does: "how long a fetch waits for `fetch.min.bytes`; 500 ms without it"},
	{name: "flink.partition-discovery.interval-millis", role: Consumer, set: discovery, does: "how often new partitions are looked for, where it is shorter than the gateway's 5 s"},

	{name: "group.id", role: Consumer, surplus: "`consumerGroupId` says it; without that it is the group"},
	{name: "key.deserializer", role: Consumer, surplus: "records are bytes"},
	{name: "value.deserializer", role: Consumer, surplus: "records are bytes"},
	{name: "auto.offset.reset", role: Consumer, surplus: "`autoOffsetResetPosition` decides, its default (latest) too; reading the module warns of it"},

	{name: "enable.auto.commit", role: Consumer, because: ownStore},
	{name: "auto.commit.interval.ms", role: Consumer, because: ownStore},
	{name: "commit.offsets.on.checkpoint", role: Consumer, because: ownStore},
	{name: "allow.auto.create.topics", role: Consumer, because: "a topic is never created by reading it"},
	{name: "check.crcs", role: Consumer, because: "checksums are always checked"},
	{name: "exclude.internal.topics", role: Consumer, because: "topics are named one by one"},
	{name: "max.poll.records", role: Consumer, because: "a batch is what has gathered"},
	{name: "default.api.timeout.ms", role: Consumer, because: "a broker that is away is waited for"},
	{name: "max.poll.interval.ms", role: Consumer, because: noGroup},
	{name: "session.timeout.ms", role: Consumer, because: noGroup},
	{name: "heartbeat.interval.ms", role: Consumer, because: noGroup},
	{name: "group.instance.id", role: Consumer, because: noGroup},
	{name: "group.protocol", role: Consumer, because: noGroup},
	{name: "group.remote.assignor", role: Consumer, because: noGroup},
	{name: "partition.assignment.strategy", role: Consumer, because: noGroup},
	{name: "internal.leave.group.on.close", role: Consumer, because: noGroup},
	{name: "internal.throw.on.fetch.stable.offset.unsupported", role: Consumer, because: "only stable offsets of a group are taken"},
	{name: "share.acknowledgement.mode", role: Consumer, because: "partitions are read, no share group is joined"},
	// Flink's own.
	{name: "flink.poll-timeout", role: Consumer, because: "it speaks to Flink"},
	{name: "register.consumer.metrics", role: Consumer, because: "it speaks to Flink"},
	{name: "partition.discovery.interval.ms", role: Consumer, because: "write flink.partition-discovery.interval-millis"},
}

func discovery(s *Settings, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return errors.New("want a number of milliseconds")
	}
	if n > 0 {
		s.Discovery = time.Duration(min(n, math.MaxInt32)) * time.Millisecond
	}
	return nil
}
