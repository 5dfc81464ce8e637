// Package protocol is the wire between the gateway and functions: the messages of StateFun's request-reply protocol, its
// built-in types and its egress records. The messages are generated from the .proto files beside this one; only their field
// numbers and types are on the wire, so their protobuf names are ours. It never judges what a message asks for: it
// carries unknown numbers, absent parts and odd values as they came.
package protocol

//go:generate ../../scripts/generate.sh

// ContentType is the media type of every request and every reply.
const ContentType = "application/octet-stream"

// Names of the built-in types; each is one message of this package. Their default value is zero bytes.
const (
	TypeBool   = "io.statefun.types/bool"   // BooleanWrapper
	TypeInt    = "io.statefun.types/int"    // IntWrapper
	TypeLong   = "io.statefun.types/long"   // LongWrapper
	TypeFloat  = "io.statefun.types/float"  // FloatWrapper
	TypeDouble = "io.statefun.types/double" // DoubleWrapper
	TypeString = "io.statefun.types/string" // StringWrapper
)

// Names of the types that the Kafka and Kinesis egresses take; they are compared as they stand.
const (
	TypeKafkaProducerRecord = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord" // KafkaProducerRecord
	TypeKinesisEgressRecord = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord" // KinesisEgressRecord
)
