package api

// Shards is the fixed number of parts that all addresses fall into. Topics whose number of partitions divides it and whose
// key is the id are split along the same lines.
const Shards = 1440

// Shard is the part that an id belongs to: the choice of Kafka's default partitioner over the id alone.
func Shard(id string) int { return int(Murmur2(id)&0x7fffffff) % Shards }

// Murmur2 is the hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils.murmur2).
func Murmur2(data string) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	n := len(data)
	h := uint32(seed) ^ uint32(n)
	i := 0
	for ; i+4 <= n; i += 4 {
		k := uint32(data[i]) | uint32(data[i+1])<<8 | uint32(data[i+2])<<16 | uint32(data[i+3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
	}
	switch n & 3 {
	case 3:
		h ^= uint32(data[i+2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[i+1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[i])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
