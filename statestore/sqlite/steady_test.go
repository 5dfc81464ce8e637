package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// pages is the size of the database, whatever is in the log.
func pages(t *testing.T, s *Store) (all, free int64) {
	t.Helper()
	err := s.readers.read(t.Context(), func(c *conn) error {
		r, err := c.one(`SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count)`)
		if err == nil {
			all, free = r.int(0), r.int(1)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, free
}

// What is written and finished again and again takes the same room for ever: outbox, packs, mail, timers and large states.
func TestSteadyLoadKeepsItsSize(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	c := acquire(t, s, newMember(), "shop/out")
	lane := statestore.LaneID{Egress: "shop/out"}
	value := bytes.Repeat([]byte("v"), 300)
	message := api.Message{Target: addr("m"), Caller: addr("c"), Argument: api.TypedValue{TypeName: "t", HasValue: true, Value: value}}
	const perRound, behind = 20, 5 // what a round brings; how many rounds later it is finished
	round := func(n uint64) {
		t.Helper()
		first := n * perRound
		cut := &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: first + perRound}
		pack := statestore.Pack{Number: first}
		out := statestore.OutputPack{Lane: lane, First: (n-1)*perRound + 1}
		chunk := statestore.MailChunk{Address: addr(fmt.Sprint("box ", n%7))}
		for i := range uint64(perRound) {
			cut.States = append(cut.States, state(fmt.Sprint("id ", (first+i)%500), value))
			pack.Messages = append(pack.Messages, statestore.Mail{Number: first + i, Message: message})
			chunk.Messages = append(chunk.Messages, statestore.Mail{Number: first + i, Message: message})
			out.Outputs = append(out.Outputs, api.Output{Sender: addr("s"), Value: message.Argument})
			cut.Timers = append(cut.Timers, statestore.Timer{TimerKey: statestore.TimerKey{Due: int64(n), Number: first + i}, Token: fmt.Sprint(i), Message: message})
		}
		cut.States = append(cut.States, state(fmt.Sprint("large ", n%3), bytes.Repeat(value, int(100+n%50))))
		cut.Packs, cut.Outputs, cut.Mail = []statestore.Pack{pack}, []statestore.OutputPack{out}, []statestore.MailChunk{chunk}
		if n > behind {
			old := (n - behind) * perRound
			cut.PackMarks = []statestore.PackMark{{Number: old, Remove: true}}
			cut.Trims = []statestore.Trim{{Lane: lane, Below: (n-behind)*perRound + 1}}
			cut.MailTrims = []statestore.MailTrim{{Address: addr(fmt.Sprint("box ", (n-behind)%7)), Below: old + perRound}}
			for i := range uint64(perRound / 2) {
				cut.TimerEnds = append(cut.TimerEnds, statestore.TimerKey{Due: int64(n - behind), Number: old + i})
				cut.Cancels = append(cut.Cancels, statestore.Cancel{SenderID: "c", Token: fmt.Sprint(i + perRound/2), Below: old + perRound})
			}
		}
		if err := s.Commit(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
	}
	const rounds, settled = 1500, 300
	var before int64
	for n := uint64(1); n <= rounds; n++ {
		round(n)
		if n == settled {
			before, _ = pages(t, s)
		}
	}
	after, free := pages(t, s)
	info, err := os.Stat(s.cfg.Path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pages after %d commits, %d (%d free) after %d; log of %d KiB", before, settled, after, free, rounds, info.Size()>>10)
	if after > before+before/4 {
		t.Errorf("%d pages after %d commits, %d after %d: something is never given back", before, settled, after, rounds)
	}
	if most := int64(1000+400) * pageBytes; info.Size() > most {
		t.Errorf("the log has %d bytes, want at most %d", info.Size(), most)
	}
}

// Somebody reads at every moment, so SQLite by itself would never write the log from its start again.
func TestLogIsBoundedUnderReaders(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	c := acquire(t, s, newMember())
	const bound = 2 << 20
	<-s.writer.turn
	s.writer.logBound = bound
	s.writer.turn <- struct{}{}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range s.cfg.Readers {
		readers.Go(func() {
			for {
				err := s.readers.read(t.Context(), func(c *conn) error {
					if _, err := c.one(`SELECT count(*) FROM state`); err != nil {
						return err
					}
					select { // one view, held over several commits
					case <-stop:
					case <-time.After(3 * time.Millisecond):
					}
					return nil
				})
				if err != nil {
					t.Errorf("read: %v", err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	value, most := bytes.Repeat([]byte("v"), 8000), int64(0)
	for n := uint64(1); n <= 1500; n++ {
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: n, States: []statestore.AddressState{state(fmt.Sprint(n%50), value)}})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(s.cfg.Path + "-wal"); err == nil {
			most = max(most, info.Size())
		}
	}
	close(stop)
	readers.Wait()
	t.Logf("1500 commits wrote some %d MiB; the log had at most %d KiB", 1500*2*pageBytes>>20, most>>10)
	if most > bound+(1<<20) {
		t.Errorf("the log had %d bytes, want at most about %d", most, bound)
	}
}

// Readers see whole commits only, and nothing fails, while commits go on.
func TestReadersDuringCommits(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	c := acquire(t, s, newMember(), "shop/out")
	addresses := []api.Address{addr("a"), addr("b"), addr("large")}
	large := func(n uint64) []byte { return bytes.Repeat(fmt.Appendf(nil, "%08d", n), 2000) }
	commit := func(n uint64) {
		t.Helper()
		value := fmt.Appendf(nil, "%08d", n)
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: n,
			States: []statestore.AddressState{state("a", value), state("b", value), state("large", large(n))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	commit(1)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	reads := make([]int, 5)
	for i := range reads {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				found, err := s.States(t.Context(), addresses)
				if err != nil {
					t.Errorf("states: %v", err)
					return
				}
				a, b, l := found[0].Values[0].Value, found[1].Values[0].Value, found[2].Values[0].Value
				if !bytes.Equal(a, b) || !bytes.Equal(l, bytes.Repeat(a, 2000)) {
					t.Errorf("read of different commits: %s, %s, %.8s", a, b, l)
					return
				}
				reads[i]++
			}
		})
	}
	for n := uint64(2); n <= 100; n++ {
		commit(n)
	}
	close(stop)
	readers.Wait()
	for i, n := range reads {
		if n == 0 {
			t.Errorf("reader %d read nothing", i)
		}
	}
}

// Another program keeps the file locked: readers and new handles do not care, a commit ends within the bound and works later.
func TestOtherProgramWrites(t *testing.T) {
	s := open(t, Config{Path: fresh(t), BusyTimeMax: 200 * time.Millisecond})
	c := acquire(t, s, newMember())
	other, err := dial(s.cfg.dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.close() }()
	if err := other.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut := &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 5, States: []statestore.AddressState{state("a", []byte("1"))}}
	start := time.Now()
	if err := s.Commit(t.Context(), cut); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("commit: %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took < 150*time.Millisecond || took > 3*time.Second {
		t.Errorf("gave up after %v, want 200ms", took)
	}
	if err := s.Renew(t.Context(), c.Fence); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("renew: %v, want ErrUnavailable", err)
	}
	if got := loaded(t, open(t, s.cfg), "a"); len(got.Values) != 0 {
		t.Errorf("a commit that was refused left %v", got)
	}
	if _, err := other.exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), cut); err != nil {
		t.Errorf("the same commit after that: %v", err)
	}
}
