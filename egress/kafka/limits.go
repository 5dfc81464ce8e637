package kafka

// limits says how much of a topic goes out together. A broker refuses a batch above its topic's max.message.bytes although each
// record of it would pass, and names no record of a batch with one that it finds invalid; both are found by smaller ones. And it ends a
// transaction that takes too long.
type limits struct {
	all   int            // for every topic, in bytes
	learn map[string]int // by topic that exists, in bytes
	most  int            // outputs of a part, while an invalid one is looked for or larger ones take too long; 0: no bound
}

// brokerBatch is what every topic takes in one batch, unless it was made smaller.
const brokerBatch = 1 << 20

func newLimits(recordBytes int) *limits {
	l := &limits{all: recordBytes, learn: make(map[string]int)}
	if recordBytes > brokerBatch {
		l.all = brokerBatch - 4<<10
	}
	return l
}

// batch is how many bytes of a topic go together; one output always does.
func (l *limits) batch(topic string) int {
	if n, ok := l.learn[topic]; ok {
		return min(n, l.all)
	}
	return l.all
}

// shrink makes a topic's batches smaller than one that was too large.
func (l *limits) shrink(topic string, bytes int) {
	if n, ok := l.learn[topic]; ok {
		bytes = min(bytes, n)
	}
	l.learn[topic] = max(bytes/2, 1)
}

// halve makes parts smaller than one of n outputs with an invalid one, or that took too long.
func (l *limits) halve(n int) { l.most = max(n/2, 1) }

// part is how many of n outputs go together.
func (l *limits) part(n int) int {
	if l.most > 0 {
		return min(n, l.most)
	}
	return n
}

// grow lets parts grow again after one that passed, and quickly.
func (l *limits) grow() {
	if l.most *= 2; l.most >= batchOutputs {
		l.most = 0
	}
}
