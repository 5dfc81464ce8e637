// Package kafka delivers the outputs of one lane to Kafka. Exactly-once: the lane's cursor is the offset of a group that
// nobody joins, and it moves in the transaction that carries the outputs, so what was delivered is asked of Kafka and never
// remembered. It never delivers what was not offered or read from the store as committed, and never skips an output
// that was neither delivered nor made a dead letter.
//
// # How a lane comes to life
//
// Every session with Kafka is opened in one order, at start as after any error:
//
//  1. the store says that this member still owns the lane
//  2. InitProducerId ends what a former session left open and fences it
//  3. the cursor is read, with RequireStable
//  4. the store is asked again, for the answer of 1 may have aged meanwhile
//  5. outputs below the cursor are delivered, the others are sent
//
// One goroutine (Run) owns everything but the queue, which Offer shares with it under a mutex. Calls that block in the client
// run aside and are waited for; they end early because their session's connections can be cut.
//
// # What becomes of an output
//
//   - Its topic is missing: it is waited for, 5 s from when the topic was first missed; then this output and all later ones for it
//     are set aside as dead letters, at once, until metadata shows the topic. Outputs behind it wait for those 5 s, once.
//   - It is no KafkaProducerRecord, names no valid topic, is above max.request.size or above what the topic takes, or Kafka finds
//     it invalid (a compacted topic wants keys): it is set aside, the others go on. A batch that is refused is tried in
//     smaller parts until the one at fault is alone.
//   - The broker is away, or does not let the gateway write: it waits in the outbox, for as long as it takes, and so do all behind it.
//   - The cursor is gone, or above all that the store has committed: the lane stands still until an operator has decided.
//   - The gateway ends or is killed: what was not committed in Kafka is sent by the lane's next owner.
//
// At-least-once differs in this: after an error, outputs that Kafka has already are sent again, in order, behind what had
// overtaken them; an owner that slept through a takeover can send old ones once more. None differs further: what Kafka does not take
// (its broker being away, after the client's own retries) is lost, counted and logged; what waits when the gateway dies is lost too.
// Refused outputs become dead letters under every semantic. An egress that was exactly-once before first ends the transaction that a
// crash may have left open in that time.
package kafka
