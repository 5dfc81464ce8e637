package kafkaproperty

const (
	tried    = "outputs are tried until Kafka takes them"
	outbox   = "outputs wait in the outbox for as long as it takes"
	murmur   = "keys are spread as by Kafka's default partitioner"
	noLinger = "outputs gather while those before them are on their way; an idle egress waits for nothing"
)

var producerProperties = []property{
	{name: "acks", role: Producer, does: "only with `deliverySemantic: none`; the others need `all`",
		set: oneOf(map[string]Acks{"all": AcksAll, "-1": AcksAll, "1": AcksLeader, "0": AcksNone}, `"all", "-1", "0" or "1"`,
			func(s *Settings, v Acks) { s.Acks = v })},
	{name: "compression.type", role: Producer, does: "`none`, `gzip`, `snappy`, `lz4` or `zstd`",
		set: oneOf(map[string]Codec{"none": None, "gzip": Gzip, "snappy": Snappy, "lz4": LZ4, "zstd": Zstd}, "none, gzip, snappy, lz4 or zstd",
			func(s *Settings, v Codec) { s.Codec = v })},
	{name: "compression.gzip.level", role: Producer, does: "1 to 9, or -1"},
	{name: "compression.zstd.level", role: Producer, does: "1 to 22; below 1 counts as 1, 0 as the default"},
	{name: "compression.lz4.level", role: Producer, because: "lz4 has one level here, the fast one"},
	{name: "max.request.size", role: Producer, does: "the largest output, and the largest batch", set: func(s *Settings, v string) error {
		n, err := number(v, RecordBytesMin, RecordBytesMax)
		s.RecordBytes = int(n)
		return err
	}},

	{name: "key.serializer", role: Producer, surplus: "records are bytes"},
	{name: "value.serializer", role: Producer, surplus: "records are bytes"},
	{name: "enable.idempotence", role: Producer, because: "the delivery semantic says it"},
	{name: "transaction.timeout.ms", role: Producer, because: "deliverySemantic.transactionTimeout says it"},
	{name: "transactional.id", role: Producer, because: "it belongs to the lane"},
	{name: "transaction.two.phase.commit.enable", role: Producer, because: "the store decides, and the cursor in Kafka follows: no two-phase commit is needed"},
	{name: "linger.ms", role: Producer, because: noLinger},
	{name: "batch.size", role: Producer, because: "a batch holds what has gathered, up to max.request.size"},
	{name: "buffer.memory", role: Producer, because: "outputs are bounded by the gateway's own budget"},
	{name: "max.block.ms", role: Producer, because: outbox},
	{name: "delivery.timeout.ms", role: Producer, because: tried},
	{name: "retries", role: Producer, because: tried},
	{name: "max.in.flight.requests.per.connection", role: Producer, because: "order needs one at a time"},
	{name: "metadata.max.idle.ms", role: Producer, because: "topics are looked up when an output asks for them"},
	{name: "partitioner.class", role: Producer, because: murmur},
	{name: "partitioner.ignore.keys", role: Producer, because: murmur},
	{name: "partitioner.adaptive.partitioning.enable", role: Producer, because: murmur},
	{name: "partitioner.availability.timeout.ms", role: Producer, because: murmur},
	{name: "register.producer.metrics", role: Producer, because: "it speaks to Flink"},
}

// Bounds of max.request.size: what one record takes in every case, and what the client can put into one request, with room around it.
const (
	RecordBytesMin = 82
	RecordBytesMax = 100<<20 - 64<<10
)

// level reads the levels of compression: each counts for its own codec.
func (t *translation) level() {
	if value, ok := t.given["compression.gzip.level"]; ok && value != "-1" {
		n, err := number(value, 1, 9)
		if err != nil {
			t.wrong("compression.gzip.level", "want a level from 1 to 9, or -1")
		} else if t.settings.Codec == Gzip {
			t.settings.Level = int(n)
		}
	}
	if value, ok := t.given["compression.zstd.level"]; ok {
		n, err := number(value, -1<<17, 22)
		switch {
		case err != nil:
			t.wrong("compression.zstd.level", "want a level from 1 to 22; what is below 1 counts as 1, and 0 as zstd's own default")
		case t.settings.Codec == Zstd && n != 0:
			t.settings.Level = int(max(n, 1))
		}
	}
}
