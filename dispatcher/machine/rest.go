package machine

// Cells at rest: nothing waits in them, nothing of them is uncommitted. They are a cache, bounded in bytes, and the least
// recently used goes first. A member is the only writer of its addresses, so what is cached is never stale.

const cellOverhead = 400

func (c *cell) restWeight() int { return cellOverhead + len(c.address.ID) + c.weight }

// rest puts a cell into the cache if it may be forgotten.
func (m *Machine) rest(c *cell) {
	if c.resting || c.pins > 0 || c.phase != idle || c.mailLen() > 0 || c.dirty || c.trim != 0 {
		return
	}
	c.resting = true
	c.older, c.newer = m.newest, nil
	if m.newest != nil {
		m.newest.newer = c
	} else {
		m.oldest = c
	}
	m.newest = c
	m.restBytes += c.restWeight()
	m.use(c, -c.weight)
	for m.restBytes > m.cfg.CacheBytesMax && m.oldest != nil {
		old := m.oldest
		m.wake(old)
		m.forget(old)
	}
}

// forget drops a cell that is not at rest.
func (m *Machine) forget(c *cell) {
	delete(m.cells, c.address)
	m.use(c, -c.weight)
	c.values, c.weight = nil, 0 // lists that are swept later still hold the cell
}

// wake takes a cell out of the cache.
func (m *Machine) wake(c *cell) {
	if !c.resting {
		return
	}
	c.resting = false
	m.restBytes -= c.restWeight()
	m.use(c, c.weight)
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		m.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		m.newest = c.older
	}
	c.older, c.newer = nil, nil
}
