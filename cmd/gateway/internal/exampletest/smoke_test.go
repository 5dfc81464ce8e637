//go:build unix

package exampletest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

const (
	smokeCommands = 2400 // from outside; some two times as many messages
	smokeParts    = 8    // behind each but the last something is killed
)

// TestSmoke is StateFun's own end-to-end test, on the official SDKs: random trees of messages, delayed ones and some that are called
// off, while the gateway and the functions are killed again and again. In the end each id's count is what the trees come to, and
// each record came out once.
func TestSmoke(t *testing.T) {
	broker := testserver.Kafka(t).Addr()
	for _, language := range []string{"python", "javascript"} {
		t.Run(language, func(t *testing.T) { smoke(t, broker, "smoke-"+language) })
	}
}

func smoke(t *testing.T, broker, name string) {
	seed := *seedFlag
	for seed == 0 {
		seed = uint64(rand.Uint32())
	}
	t.Logf("seed %d", seed)
	client := kafkaClient(t, kgo.SeedBrokers(broker))
	createTopics(t, client, 4, name+"-commands", name+"-discards", name+"-verifications")
	folder := t.ArtifactDir()
	f := newFunctions(t, folder, name)
	f.start()
	file := placed(t, name+"/module.yaml", kafkaPlace, broker, functionsPlace, f.addr)
	g := testgateway.New(t, folder, "gateway", nil, "--module", file, "--store", "sqlite:"+filepath.Join(t.TempDir(), "stategate.db"))
	g.Start()

	draw := newGenerator(seed)
	for part := range smokeParts {
		records := make([]*kgo.Record, smokeCommands/smokeParts)
		for i := range records {
			target, tree := draw.source()
			records[i] = smokeRecord(t, name, target, tree)
		}
		smokeProduce(t, client, records)
		if part == smokeParts-1 {
			break
		}
		testgateway.Poll(t, "the gateway to be at work", func() (bool, string) {
			g.MustRun()
			n := g.Samples().Commits()
			return n > 0, fmt.Sprint(n, " commits")
		})
		if part%3 == 2 {
			f.kill()
			f.start()
		} else {
			g.Kill()
			g.Start()
		}
	}
	verifications := readResults(t, broker, name+"-verifications")
	smokeVerify(t, client, name, verifications, draw.counts)
	g.Stop()

	seen := map[string]int{}
	for _, k := range readResults(t, broker, name+"-discards").rest() {
		seen[string(k.Value)]++
	}
	for number := 1; number <= draw.egress; number++ {
		if n := seen[strconv.Itoa(number)]; n != 1 {
			t.Errorf("record %d came out %d times (seed %d)", number, n, seed)
		}
	}
	if len(seen) != draw.egress || draw.egress == 0 {
		t.Errorf("%d different records came out, want %d (seed %d)", len(seen), draw.egress, seed)
	}
	total := 0
	for _, n := range draw.counts {
		total += n
	}
	t.Logf("%d counted in %d ids, %d records, %d tokens, %d lives of the gateway", total, draw.ids, draw.egress, draw.tokens, g.Lives)
}

func smokeRecord(t *testing.T, name string, target int, tree []command) *kgo.Record {
	t.Helper()
	value, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return &kgo.Record{Topic: name + "-commands", Key: []byte(strconv.Itoa(target)), Value: value}
}

func smokeProduce(t *testing.T, client *kgo.Client, records []*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// smokeVerify asks all ids for their counts, again and again until all are as they must be: what lacks may still be under way. It is
// over at once when one has counted too much, and a last round sees that nothing comes late.
func smokeVerify(t *testing.T, client *kgo.Client, name string, verifications *results, want []int) {
	t.Helper()
	missing, isLast := 0, false
	testgateway.Poll(t, "all counts to be right", func() (bool, string) {
		records := make([]*kgo.Record, len(want))
		for id, n := range want {
			records[id] = smokeRecord(t, name, id, []command{{Verify: &n}})
		}
		smokeProduce(t, client, records)
		var lacking []string
		missing = 0
		for range want {
			var result struct {
				ID               string
				Expected, Actual int
			}
			if err := json.Unmarshal(verifications.next().Value, &result); err != nil {
				t.Fatal(err)
			}
			id, err := strconv.Atoi(result.ID)
			if err != nil || want[id] != result.Expected {
				t.Fatalf("verification of %s: %+v", result.ID, result)
			}
			switch {
			case result.Actual > result.Expected:
				t.Fatalf("%s has counted %d, want %d", result.ID, result.Actual, result.Expected)
			case result.Actual < result.Expected:
				missing += result.Expected - result.Actual
				lacking = append(lacking, fmt.Sprintf("%s: %d of %d", result.ID, result.Actual, result.Expected))
			}
		}
		if missing > 0 && isLast {
			t.Fatalf("%d were counted and are no more", missing)
		}
		wasLast := isLast
		isLast = missing == 0
		slices.Sort(lacking)
		return wasLast, fmt.Sprintf("%d are missing, in %d ids: %.200q", missing, len(lacking), lacking)
	})
}
