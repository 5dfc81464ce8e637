package kafka

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
)

// TestRecordsOnTheWire: no request holds two batches of a partition nor one above the bound; sequence numbers follow each other within
// an epoch, over all transactions; and a partition's records come only after it was made part of their transaction.
func TestRecordsOnTheWire(t *testing.T) {
	c, cfg := fake(t)
	cfg.Properties = map[string]string{"max.request.size": "1500"}
	var mu sync.Mutex
	next, added, batches, transactions := map[int32]int32{}, map[int32]bool{}, 0, 0
	c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		switch req := req.(type) {
		case *kmsg.AddPartitionsToTxnRequest:
			for _, topic := range req.Topics {
				for _, p := range topic.Partitions {
					added[p] = true
				}
			}
		case *kmsg.EndTxnRequest:
			clear(added)
			transactions++
		case *kmsg.ProduceRequest:
			if req.Acks != -1 || req.TransactionID == nil {
				t.Errorf("acks %d, transactional id %v", req.Acks, req.TransactionID)
			}
			for _, p := range req.Topics[0].Partitions {
				var b kmsg.RecordBatch
				if err := b.ReadFrom(p.Records); err != nil {
					t.Error(err)
				}
				switch {
				case len(p.Records) > 1500 || int(b.Length)+12 != len(p.Records):
					t.Errorf("%d bytes for a partition, of them a batch of %d", len(p.Records), b.Length+12)
				case b.FirstSequence != next[p.Partition]:
					t.Errorf("partition %d: sequence %d, want %d", p.Partition, b.FirstSequence, next[p.Partition])
				case !added[p.Partition]:
					t.Errorf("partition %d is not in the transaction", p.Partition)
				case b.LastOffsetDelta != b.NumRecords-1 || b.FirstTimestamp < 1e12 || b.Attributes != 0x10:
					t.Errorf("batch %+v", b)
				}
				next[p.Partition] += b.NumRecords
				batches++
			}
		}
		return nil, nil, false
	})
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	for n := range 100 {
		for k := range 5 {
			l.emit(kafkaOutput("out", fmt.Sprintf("key-%d", k), fmt.Sprint(n+1)))
		}
		if n%10 == 9 {
			o.waitDelivered(t, o.next)
		}
	}
	if diff := cmp.Diff(numbers(5, 100), committed(t, cfg.Brokers, "out")); diff != "" {
		t.Error(diff)
	}
	mu.Lock()
	defer mu.Unlock()
	if transactions < 10 || batches < 2*transactions {
		t.Errorf("%d batches in %d transactions: too few to prove anything", batches, transactions)
	}
}

// TestRequestsAreBounded: max.request.size bounds what goes to a broker together, where it is given, as brokers may be set to take no more.
func TestRequestsAreBounded(t *testing.T) {
	for given, want := range map[string]int{"": 1, "2500": 2, "1200": 4} {
		t.Run(given, func(t *testing.T) {
			c, cfg := fake(t)
			bound := math.MaxInt
			if given != "" {
				cfg.Properties = map[string]string{"max.request.size": given}
				bound, _ = strconv.Atoi(given)
			}
			var requests atomic.Int32
			c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				if req, ok := req.(*kmsg.ProduceRequest); ok {
					requests.Add(1)
					bytes := 0
					for _, p := range req.Topics[0].Partitions {
						bytes += len(p.Records)
					}
					if bytes > bound {
						t.Errorf("a request with %d bytes of records", bytes)
					}
				}
				return nil, nil, false
			})
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			var pack []api.Output
			for p := range int32(4) { // one for each partition
				key := 0
				for partition(fmt.Append(nil, key), 4) != int(p) {
					key++
				}
				pack = append(pack, kafkaOutput("out", fmt.Sprint(key), strings.Repeat("x", 1000)))
			}
			l.emit(pack...)
			o.waitDelivered(t, 5)
			if got := int(requests.Load()); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
			if got := committed(t, cfg.Brokers, "out"); len(got) != 4 {
				t.Errorf("%d outputs arrived, want 4", len(got))
			}
		})
	}
}

// TestAnswersThatAreLost: of records Kafka sees by their sequence numbers that it has them, and a producer may be opened twice; those are
// asked for again. A request of a transaction is not, for the first may still arrive: a new session asks the cursor.
func TestAnswersThatAreLost(t *testing.T) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce} {
		for _, key := range []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
			if semantic == AtLeastOnce && key != kmsg.Produce && key != kmsg.InitProducerID {
				continue // not asked
			}
			t.Run(fmt.Sprint(semantic, " ", key.Name()), func(t *testing.T) {
				t.Parallel()
				faulty, c, cfg := loses(t)
				cfg.Semantic = semantic
				if key == kmsg.InitProducerID {
					faulty.next(key, 2)
				}
				sessions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
				o := newOutbox("shop/out")
				l := begin(t, o, cfg)
				l.emit(kafkaOutput("out", "key-0", "1"))
				o.waitDelivered(t, 2)
				begun := sessions.Hits()
				if key == kmsg.InitProducerID {
					if begun != 3 {
						t.Errorf("it was asked %d times for a producer id, want 3", begun)
					}
				} else if key == kmsg.EndTxn { // behind it the cursor says that all is there
					faulty.next(key, 1)
				} else {
					faulty.next(key, 2)
				}
				for n := range 9 {
					l.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+2)))
				}
				o.waitDelivered(t, 11)
				if left := faulty.left(key); left > 0 {
					t.Errorf("%d answers were not lost", left)
				}
				if diff := cmp.Diff(numbers(1, 10), committed(t, cfg.Brokers, "out")); diff != "" {
					t.Error(diff)
				}
				again := key != kmsg.Produce && key != kmsg.InitProducerID
				copies := len(readAll(t, cfg.Brokers, "out", kgo.ReadUncommitted())) - 10
				if (sessions.Hits() > begun) != again || copies > 0 && (!again || key == kmsg.EndTxn) {
					t.Errorf("%d new sessions, want some: %v; %d copies in aborted transactions", sessions.Hits()-begun, again, copies)
				}
			})
		}
	}
}

// sequenceGapIsMended: a number that Kafka does not expect is refused, and the next session counts anew.
func sequenceGapIsMended(t *testing.T, b *broker) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce} {
		t.Run(semantic.String(), func(t *testing.T) {
			b := b.apart(t, semantic.String())
			cfg := b.cfg
			cfg.Semantic = semantic
			cfg.StoreID += "-" + semantic.String()
			o := newOutbox("shop/out")
			gaps := 0
			l := begin(t, o, cfg, func(r *Relay) {
				r.reached = func(point string, s *session) {
					if point == "delivered" && gaps < 3 {
						gaps++
						for at := range s.producer.next {
							s.producer.next[at] += 7
						}
					}
				}
			})
			for n := range 10 {
				for k := range 4 {
					l.emit(kafkaOutput(b.topic("out"), fmt.Sprintf("key-%d", k), fmt.Sprint(n+1)))
				}
				o.waitDelivered(t, o.next)
			}
			got := committed(t, cfg.Brokers, b.topic("out"))
			for key := range got {
				if semantic == AtLeastOnce {
					got[key] = lasts(got[key])
				}
			}
			if diff := cmp.Diff(numbers(4, 10), got); diff != "" {
				t.Error(diff)
			}
			l.told.wait(t, "the trouble was told", func() bool { return len(l.told.ended) > 0 })
		})
	}
}

// fencedBeforeEachRequest: another session of the lane begins at every place of a transaction. What is under way never shows, and the
// owner begins anew.
func fencedBeforeEachRequest(t *testing.T, b *broker) {
	for _, request := range []string{"add partitions to transaction", "send", "add cursor to transaction", "write cursor in transaction", "commit transaction"} {
		t.Run(request, func(t *testing.T) {
			b := b.apart(t, strings.ReplaceAll(request, " ", "-"))
			cfg := b.cfg
			cfg.StoreID += "-" + strings.ReplaceAll(request, " ", "-")
			var log bytes.Buffer
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			o := newOutbox("shop/out")
			var armed atomic.Bool
			l := begin(t, o, cfg, func(r *Relay) {
				r.about = func(at string) {
					if at != request || !armed.CompareAndSwap(true, false) {
						return
					}
					cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID(r.cfg.name(o.id)))
					if err != nil {
						t.Error(err)
						return
					}
					defer cl.Close()
					if _, _, err := cl.ProducerID(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
			for n := range 4 {
				armed.Store(n == 2)
				for k := range 4 {
					l.emit(kafkaOutput(b.topic("out"), fmt.Sprintf("key-%d", k), fmt.Sprint(n+1)))
				}
				o.waitDelivered(t, o.next)
			}
			if armed.Load() {
				t.Error("the request was not met")
			}
			if err := l.end(t); err != nil {
				t.Fatal(err)
			}
			if text := log.String(); !strings.Contains(text, "Kafka does not take outputs") || strings.Contains(text, "Unknown error") {
				t.Errorf("%s\n does not say what has happened", text)
			}
			if diff := cmp.Diff(numbers(4, 4), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLeaderMoves: between two transactions and in the middle of one. It costs no session.
func TestLeaderMoves(t *testing.T) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			t.Parallel()
			c, cfg := fake(t, kfake.NumBrokers(3))
			cfg.Semantic = semantic
			sessions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
			o := newOutbox("shop/out")
			var moves atomic.Int32
			l := begin(t, o, cfg, func(r *Relay) {
				r.about = func(request string) {
					if request != "send" || moves.Add(1)%2 == 0 {
						return
					}
					for p := range int32(4) {
						if err := c.MoveTopicPartition("out", p, (c.LeaderFor("out", p)+1)%3); err != nil {
							t.Error(err)
						}
					}
				}
			})
			for n := range 5 {
				for k := range 8 {
					l.emit(kafkaOutput("out", fmt.Sprintf("key-%d", k), fmt.Sprint(n+1)))
				}
				o.waitDelivered(t, o.next)
			}
			if diff := cmp.Diff(numbers(8, 5), committed(t, cfg.Brokers, "out")); diff != "" {
				t.Error(diff)
			}
			want := 1
			if semantic == None {
				want = 0
			}
			if got := sessions.Hits(); got != want {
				t.Errorf("%d producer ids, want %d", got, want)
			}
		})
	}
}

// TestOneBrokerOfThreeFails: what it does not take now is sent to it again, alone; what it refuses for good is refused for the whole
// transaction.
func TestOneBrokerOfThreeFails(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotEnoughReplicas, kerr.UnknownServerError} {
		t.Run(e.Message, func(t *testing.T) {
			c, cfg := fake(t, kfake.NumBrokers(3), kfake.SeedTopics(12, "wide"))
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			l.emit(kafkaOutput("wide", "key-0", "1"))
			o.waitDelivered(t, 2)
			failing := c.LeaderFor("wide", 0)
			healthy := 0
			for p := range int32(12) {
				if c.LeaderFor("wide", p) != failing {
					healthy++
				}
			}
			if healthy == 0 || healthy == 12 {
				t.Fatalf("%d partitions are with other brokers", healthy)
			}
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Nodes: []int32{failing}, Err: e, Count: 1})
			sessions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
			want := map[string][]string{"key-0": {"1"}}
			for k := range 100 {
				key := fmt.Sprintf("other-%d", k)
				want[key] = []string{"x"}
				l.emit(kafkaOutput("wide", key, "x"))
			}
			o.waitDelivered(t, 102)
			if fault.Hits() != 1 {
				t.Errorf("the fault was met %d times", fault.Hits())
			}
			if diff := cmp.Diff(want, committed(t, cfg.Brokers, "wide")); diff != "" {
				t.Error(diff)
			}
			copies := len(readAll(t, cfg.Brokers, "wide", kgo.ReadUncommitted())) - 101
			if again := e == kerr.UnknownServerError; (sessions.Hits() > 0) != again || (copies > 0) != again {
				t.Errorf("%d new sessions and %d copies in aborted transactions, want some: %v", sessions.Hits(), copies, again)
			}
		})
	}
}

// TestCompression: what the property says is what the broker gets, and readers see the same.
func TestCompression(t *testing.T) {
	for codec, want := range map[string]uint8{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4} {
		t.Run(codec, func(t *testing.T) {
			_, cfg := fake(t)
			cfg.Properties = map[string]string{"compression.type": codec, "compression." + codec + ".level": "3"}
			if codec != "gzip" && codec != "zstd" {
				delete(cfg.Properties, "compression."+codec+".level")
			}
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			for n := range 50 {
				l.emit(kafkaOutput("out", "key-0", strings.Repeat(fmt.Sprint(n), 100)))
			}
			o.waitDelivered(t, 51)
			all := readAll(t, cfg.Brokers, "out", kgo.ReadCommitted())
			for n, r := range all {
				if r.Attrs.CompressionType() != want || string(r.Value) != strings.Repeat(fmt.Sprint(n), 100) || string(r.Key) != "key-0" {
					t.Fatalf("record %d: codec %d, %.20s", n, r.Attrs.CompressionType(), r.Value)
				}
			}
			if len(all) != 50 {
				t.Errorf("%d records", len(all))
			}
		})
	}
}

// TestAcks: an egress that promises nothing asks for as few acknowledgements as it is told to.
func TestAcks(t *testing.T) {
	for value, want := range map[string]int16{"all": -1, "1": 1, "0": 0} {
		t.Run(value, func(t *testing.T) {
			c, cfg := fake(t)
			cfg.Semantic, cfg.StoreID, cfg.Properties = None, "", map[string]string{"acks": value}
			asked, records, all := int16(99), 0, make(chan struct{})
			c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				if req, ok := req.(*kmsg.ProduceRequest); ok {
					var b kmsg.RecordBatch
					if err := b.ReadFrom(req.Topics[0].Partitions[0].Records); err != nil {
						t.Error(err)
					}
					asked = req.Acks
					if records += int(b.NumRecords); records == 20 {
						close(all)
					}
				}
				return nil, nil, false
			})
			o := newOutbox("shop/out")
			o.id.Slot = -1
			l := begin(t, o, cfg)
			for n := range 20 {
				l.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+1)))
			}
			o.waitDelivered(t, 21)
			<-all // where nothing is acknowledged, the broker may be behind
			if asked != want {
				t.Errorf("acks %d, want %d", asked, want)
			}
			if diff := cmp.Diff(numbers(1, 20), committed(t, cfg.Brokers, "out")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
