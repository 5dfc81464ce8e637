package kafka

// limits says how much of a topic goes out together. A broker refuses a batch above its topic's max.message.bytes although each
// record of it would pass, and names no record of a batch with one that it finds invalid; both are found by smaller runs.
type limits struct {
	all   int             // for every topic, in bytes; 0: the client's own bound is small enough
	learn map[string]int  // by topic that exists, in bytes
	alone map[string]bool // topics whose records go one by one, until a batch passes
}

// brokerBatch is what every topic takes in one batch, unless it was made smaller.
const brokerBatch = 1 << 20

func newLimits(recordBytes int) *limits {
	l := &limits{learn: make(map[string]int), alone: make(map[string]bool)}
	if recordBytes > brokerBatch {
		l.all = brokerBatch - 4<<10
	}
	return l
}

// run is how many of the items, at least one, can be sent together.
func (l *limits) run(items []item) int {
	if l.all == 0 && len(l.learn) == 0 && len(l.alone) == 0 {
		return len(items)
	}
	sums := make(map[string]int)
	for i := range items {
		it := &items[i]
		if !it.sends() {
			continue
		}
		topic := it.record.topic
		sum := sums[topic]
		limit := l.all
		if n, ok := l.learn[topic]; ok {
			limit = n
		}
		if sum > 0 && (l.alone[topic] || limit > 0 && sum+it.record.size() > limit) {
			return i
		}
		sums[topic] = sum + it.record.size()
	}
	return len(items)
}

// tighten makes a topic's runs smaller than one that was refused.
func (l *limits) tighten(topic string, bytes int, large bool) {
	if !large {
		l.alone[topic] = true
		return
	}
	if n, ok := l.learn[topic]; ok {
		bytes = min(bytes, n)
	}
	l.learn[topic] = max(bytes/2, 1)
}

// calm forgets what one bad batch made necessary.
func (l *limits) calm() { clear(l.alone) }
