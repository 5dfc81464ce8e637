//go:build unix

package exampletest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// each runs a test for every example.
func each(t *testing.T, play func(t *testing.T, example string, steps []step)) {
	found, err := filepath.Glob(filepath.Join(examples, "*", "README.md"))
	if err != nil || len(found) < 4 {
		t.Fatalf("%d examples, %v", len(found), err)
	}
	for _, readme := range found {
		example := filepath.Base(filepath.Dir(readme))
		t.Run(example, func(t *testing.T) {
			t.Parallel() // each mostly waits
			play(t, example, walk(t, readme))
		})
	}
}

// placed copies a module file of testdata/statefun, with other places in it: pairs of what stands there and what shall.
func placed(t *testing.T, name string, places ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(statefun, name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(places); i += 2 {
		if !strings.Contains(string(text), places[i]) {
			t.Fatalf("%s does not name %s", name, places[i])
		}
	}
	file := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(file, []byte(strings.NewReplacer(places...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// declared is what the module files of an example declare.
func declared(t *testing.T, example string) (playground, kafka *module.Module) {
	t.Helper()
	for name, m := range map[string]**module.Module{"module.yaml": &playground, "module-kafka.yaml": &kafka} {
		var complaints module.Complaints
		if *m, complaints = module.Load(filepath.Join(examples, example, name), nil); *m == nil || len(complaints) > 0 {
			t.Fatalf("%s: %s", example, complaints)
		}
	}
	return playground, kafka
}

// TestExamplesOnKafka plays what each README says to type through a real Kafka instead: what goes in goes into the topic whose type
// and target it has, with the target's id as the key; what comes out is read from the topics, committed, in order. Half way the
// gateway is killed, and the functions with it, and nothing is to be seen of it.
func TestExamplesOnKafka(t *testing.T) {
	broker := testserver.Kafka(t).Addr()
	each(t, func(t *testing.T, example string, steps []step) {
		playground, kafka := declared(t, example)
		client := kafkaClient(t, kgo.SeedBrokers(broker))
		var in []string
		for _, topic := range kafka.KafkaIngresses[0].Topics {
			in = append(in, topic.Topic)
		}
		out := playground.PlaygroundEgress.Topics
		createTopics(t, client, 4, in...)
		createTopics(t, client, 1, out...) // so that the order of all results can be told

		folder := t.ArtifactDir()
		f := newFunctions(t, folder, "examples/"+example, "OUTPUT=kafka")
		f.start()
		file := placed(t, "examples/"+example+"/module-kafka.yaml", kafkaPlace, broker, functionsPlace, f.addr)
		g := testgateway.New(t, folder, "gateway", nil, "--module", file, "--store", "sqlite:"+filepath.Join(t.TempDir(), "stategate.db"))
		g.Start()

		read := map[string]*results{}
		for _, topic := range out {
			read[topic] = readResults(t, broker, topic)
		}
		for i, s := range steps {
			if i == len(steps)/2 {
				g.Kill()
				f.kill()
				g.Start()
				f.start()
			}
			if s.topic == "" {
				produce(t, client, topicOf(t, kafka, s.in), s.in.id, []byte(s.in.arg))
				continue
			}
			record := read[s.topic].next()
			if got := string(record.Value); got != s.want {
				t.Fatalf("step %d: %s came out of %s, want %s", i+1, got, s.topic, s.want)
			}
			if len(record.Key) == 0 || !strings.Contains(s.want, string(record.Key)) {
				t.Errorf("step %d: key %q of %s", i+1, record.Key, s.want)
			}
		}
		g.Until("active", testgateway.IsActive)
		g.Stop()
		for topic, r := range read {
			if rest := r.rest(); len(rest) > 0 {
				t.Errorf("%d more records in %s, the first: %s", len(rest), topic, rest[0].Value)
			}
		}
	})
}

// topicOf is the topic of an ingress by which a message can come.
func topicOf(t *testing.T, m *module.Module, in message) string {
	t.Helper()
	for _, topic := range m.KafkaIngresses[0].Topics {
		for _, target := range topic.Targets {
			if topic.ValueType == in.valueType && target.String() == in.function {
				return topic.Topic
			}
		}
	}
	t.Fatalf("no topic for %+v", in)
	return ""
}
