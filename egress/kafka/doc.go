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
// # How outputs come to Kafka
//
// The client library keeps connections and metadata; the producer is our own, for a general one spends most of its time on passing
// records one by one between goroutines. A part of the outbox, at most 5000 outputs, goes this way:
//
//  1. packed: each output goes to the partition of its key, behind those before it, into a batch that no topic is too small for
//  2. AddPartitionsToTxn, with all partitions of the part: what is sent now is of this transaction
//  3. Produce, round by round: at most one batch of each partition, one request to each broker (more where max.request.size is given and
//     bounds it), all brokers at once; the next round when all have answered. A batch that is not taken now goes again, as it was, with
//     the next round
//  4. AddOffsetsToTxn and TxnOffsetCommit: the cursor, behind the last output of the part
//  5. EndTxn, once every batch and the cursor are acknowledged
//
// Without transactions it is 1 and 3.
//
// An idle lane sends at once what comes to it. While it is busy, outputs gather: a transaction begins no sooner than 20 ms after the one
// before, unless enough wait to fill it.
//
// Why each output is there once: readers at read_committed see a transaction as a whole or not at all, so they see the outputs exactly
// if they see the cursor behind them. Within a session a transaction is committed only when each step before was acknowledged. Asked for
// again is what was never sent, what a broker has answered with "not now", and Produce. Whatever else goes wrong ends the session, without
// a guess at what has happened: InitProducerId of the next one makes Kafka end the old transaction, one way or the other, and take
// nothing more under its epoch; only then the cursor is read, and it alone says where delivery goes on. Sequence numbers are not taken
// back, and need not be: they begin at 0 with each session's epoch.
//
// Why they are there in order: a batch is sent when the one before it in its partition is acknowledged, and a transaction when the one
// before it is committed.
//
// # Requests that arrive late
//
// A request whose answer does not come may still be on its way, for minutes: in the broker, or behind a network that stood still. It must
// do no harm, whatever it meets:
//
//   - EndTxn and TxnOffsetCommit name a producer and its epoch, but no transaction. In the next one of that epoch they would commit its
//     first half without its cursor, or set its cursor back. So none follows: an answer of theirs that is lost ends the session.
//   - AddPartitionsToTxn and AddOffsetsToTxn would add what gets no records, or begin a transaction that holds none, until Kafka's
//     time-out ends that and the session with it. They are treated like the others.
//   - Produce is sent again, over whichever connection: a partition knows the sequence numbers that it has of an epoch, and refuses the
//     one that comes late. One of a session before is refused by its epoch; at-least-once, where it has another id, it is a repeat, in
//     order or behind what has overtaken it. Only an abort leaves a gap that it fits in, and brokers that do not verify (before 3.6) would
//     let it in behind the abort, for nobody to end: so a relay that ends leaves such a transaction to its time-out.
//   - InitProducerId fences: it costs the session that has begun meanwhile.
//
// Brokers end connections that rest, and what is then sent over them gets no answer. So that this costs no session, a coordinator that was
// not asked for a minute is connected to anew.
//
// # What becomes of an output
//
//   - Its topic is missing: it is waited for, 5 s from when the topic was first missed; then this output and all later ones for it
//     are set aside as dead letters, at once, until metadata shows the topic. Outputs behind it wait for those 5 s, once.
//   - It is no KafkaProducerRecord, names no valid topic, is above max.request.size or above what the topic takes, or Kafka finds
//     it invalid (a compacted topic wants keys): it is set aside, the others go on. A batch that is refused is tried in
//     smaller ones until the one at fault is alone.
//   - The broker is away, or does not let the gateway write: it waits in the outbox, for as long as it takes, and so do all behind it.
//   - Kafka finds its time wrong, which is the gateway's: it waits, too, and has another time when it is sent again.
//   - Its transaction takes longer than the time-out that it has in Kafka, and is ended: it goes again, in one of half as many outputs. They
//     grow again when a transaction needs less than a quarter of its time.
//   - The cursor is gone, or above all that the store has committed: the lane stands still until an operator has
//     decided where it goes on; then a new session writes the cursor there, with no output, and delivers.
//   - The gateway ends or is killed: what was not committed in Kafka is sent by the lane's next owner.
//
// At-least-once differs in this: after an error, outputs that Kafka has already are sent again, in order, behind what had
// overtaken them; an owner that slept through a takeover can send old ones once more. None differs further: what Kafka does not take
// (its broker being away, after the client's own retries) is lost, counted and logged, unless it is for its time; what waits when the
// gateway dies is lost too.
// Refused outputs become dead letters under every semantic. An egress that was exactly-once before first ends the transaction that a
// crash may have left open in that time.
package kafka
