// Command floor is what the gateway is measured against: the smallest program that a good engineer would write for one function that
// counts, with the gateway's guarantees. It reads a Kafka topic in batches, sends each batch to the function as one bulk request, and
// keeps states, positions and outputs in one PostgreSQL transaction; a Kafka transaction then carries the outputs, with the number of
// the last one as the offset of a group that nobody joins. One batch is called while the one before it commits and an earlier one goes to
// Kafka. It knows one function and one state, and takes the shortest way out of trouble: it ends, or begins again from what is stored.
//
//	floor -kafka ADDR -postgres URL -function URL -in TOPIC -name NAME [flags]
//
// It writes the line "ready" to stdout once it has taken over from whoever ran under this name before and reads its topic. SIGTERM and
// SIGINT end it at once; so may kill -9.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"
)

type config struct {
	kafka, postgres, function string
	in, cursors               string // topics
	name                      string
	address                   functionType
	batch, cache              int
	pause                     time.Duration
	batches                   string
}

func main() {
	var cfg config
	flag.StringVar(&cfg.kafka, "kafka", "127.0.0.1:9092", "address of a Kafka broker")
	flag.StringVar(&cfg.postgres, "postgres", "", "URL of a PostgreSQL database")
	flag.StringVar(&cfg.function, "function", "", "URL of the function; it must take bulk calls")
	flag.StringVar(&cfg.in, "in", "", "topic to read")
	flag.StringVar(&cfg.cursors, "cursors", "floor-cursors", "topic of the cursor; made when it is missing, never written to")
	flag.StringVar(&cfg.name, "name", "floor", "of this application: schema in PostgreSQL, transactional id and group in Kafka")
	flag.StringVar(&cfg.address.namespace, "namespace", "test", "of the function's type")
	flag.StringVar(&cfg.address.name, "type", "count", "of the function's type, the name")
	flag.IntVar(&cfg.batch, "batch", 4000, "records of a batch, at most")
	flag.IntVar(&cfg.cache, "cache", 200_000, "states kept in memory, at most; at least 8 batches")
	flag.DurationVar(&cfg.pause, "pause", 20*time.Millisecond, "from the end of a Kafka transaction to the next, while less than a batch waits")
	flag.StringVar(&cfg.batches, "batches", "sarama", "\"sarama\": sarama's AsyncProducer and PartitionConsumer; \"own\": record batches and fetch requests of its own")
	profile := flag.String("cpuprofile", "", "keep a CPU profile in this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	if err := supervise(ctx, cfg); err != nil {
		log.Fatal("floor: ", err)
	}
}

// supervise begins again after any trouble but that of the first connection. What was taken over by another is left to it: two that take it back would go on for ever. Of
// that the store knows: Kafka has one word for a fence and for a transaction that took too long.
func supervise(ctx context.Context, cfg config) error {
	if cfg.cache < 8*cfg.batch {
		return fmt.Errorf("a cache of %d is less than 8 batches of %d", cfg.cache, cfg.batch)
	}
	for epoch := int64(0); ; {
		err := run(ctx, cfg, &epoch)
		switch {
		case ctx.Err() != nil:
			return nil
		case epoch == 0 || errors.Is(err, errFenced) || errors.Is(err, errCursor):
			return err
		}
		log.Print("begins again: ", err)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

var (
	errFenced = errors.New("another has taken over")
	errCursor = errors.New("the cursor does not belong to the store")
)

// source brings records, those of a partition in order, from a position per partition on.
type source interface {
	run(ctx context.Context, positions []int64, out chan<- []record) error
}

// sink takes outputs: all of them, and the number of the last as the cursor, or nothing.
type sink interface {
	commit(rows []row) error
	close()
}

// run is one life, under the epoch behind the one before it; 0: whatever that is. The order of its first steps is what makes it right. The store's epoch is raised first, so nobody else commits;
// then the producer is opened, which ends what its predecessor left open; only then does the cursor say what was delivered.
func run(ctx context.Context, cfg config, epoch *int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	db, err := openStore(ctx, cfg, *epoch)
	if err != nil {
		return err
	}
	defer db.close()
	*epoch = db.epoch
	in, out, cursor, err := openKafka(ctx, cfg)
	if err != nil {
		return err
	}
	defer out.close()
	outbox, err := db.resume(ctx, cursor)
	if err != nil {
		return err
	}
	var (
		failed    = make(chan error, 4)
		records   = make(chan []record, 16)
		called    = make(chan *batch, 1) // the batch behind the one that commits
		rows      = make(chan row, 16)
		delivered atomic.Int64
	)
	delivered.Store(cursor)
	start := func(f func() error) {
		go func() { failed <- f(); cancel() }()
	}
	start(func() error { return in.run(ctx, db.positions, records) })
	start(func() error { return newCaller(cfg, db).run(ctx, records, called) })
	start(func() error { return commit(ctx, db, called, rows, &delivered) })
	start(func() error { return deliver(ctx, cfg, out, outbox, rows, &delivered) })
	fmt.Println("ready")
	err = <-failed
	for range cap(failed) - 1 {
		<-failed
	}
	return err
}

func commit(ctx context.Context, db *store, called <-chan *batch, rows chan<- row, delivered *atomic.Int64) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-called:
			r, err := db.commit(ctx, b, delivered.Load())
			if err != nil {
				return err
			}
			if r.count == 0 {
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case rows <- r:
			}
		}
	}
}

// deliver sends what is committed, first what an earlier life has left. Transactions back to back cost more than they bring while there is
// little to send, so the next one waits until a batch has gathered, or for the pause.
func deliver(ctx context.Context, cfg config, out sink, outbox []row, rows <-chan row, delivered *atomic.Int64) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	send := func(gathered []row) error {
		if err := out.commit(gathered); err != nil {
			return fmt.Errorf("deliver: %w", err)
		}
		delivered.Store(gathered[len(gathered)-1].last)
		pause.Reset(cfg.pause)
		return nil
	}
	for len(outbox) > 0 {
		n, count := 0, 0
		for n < len(outbox) && count < cfg.batch {
			count += outbox[n].count
			n++
		}
		if err := send(outbox[:n]); err != nil {
			return err
		}
		outbox = outbox[n:]
	}
	var gathered []row
	count, paused := 0, false
	for {
		if count >= cfg.batch || paused && count > 0 {
			for more := true; more && count < cfg.batch; { // what is there already goes along
				select {
				case r := <-rows:
					gathered, count = append(gathered, r), count+r.count
				default:
					more = false
				}
			}
			if err := send(gathered); err != nil {
				return err
			}
			gathered, count, paused = gathered[:0], 0, false
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-rows:
			gathered, count = append(gathered, r), count+r.count
		case <-pause.C:
			paused = true
		}
	}
}
