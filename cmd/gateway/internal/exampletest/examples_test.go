//go:build unix

package exampletest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// TestExamplesOnPlayground types what each README says to type: the playground's module file runs as it is, and every curl line gives
// what stands behind it.
func TestExamplesOnPlayground(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err == nil {
		_, err = exec.LookPath("curl")
	}
	if err != nil {
		lack(t, "curl is not installed")
	}
	each(t, func(t *testing.T, example string, steps []step) {
		folder := t.ArtifactDir()
		f := newFunctions(t, folder, "examples/"+example)
		f.start()
		var ports []string
		for range 2 {
			addr, err := testgateway.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, addr[strings.LastIndex(addr, ":")+1:])
		}
		file := placed(t, "examples/"+example+"/module.yaml", functionsPlace, f.addr, "port: 8090", "port: "+ports[0], "port: 8091", "port: "+ports[1])
		g := testgateway.New(t, folder, "gateway", nil, "--module", file, "--store", "memory:")
		g.Start()
		g.Until("active", testgateway.IsActive)
		moved := strings.NewReplacer(ingressPlace, "localhost:"+ports[0], egressPlace, "localhost:"+ports[1])
		// curl types a line, and answers what it prints and the status.
		curl := func(line string) (string, int) {
			out, err := exec.Command(shell, "-c", moved.Replace(line)+` -sS --max-time 30 -w '\n%{http_code}'`).CombinedOutput()
			text := strings.Split(string(out), "\n")
			status, statusErr := strconv.Atoi(text[len(text)-1])
			if err != nil || statusErr != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			return strings.Join(text[:len(text)-1], "\n"), status
		}
		var topics []string
		for i, s := range steps {
			if s.topic == "" {
				if out, status := curl(s.line); status != 200 || out != "" {
					t.Fatalf("step %d: %s: %d %s", i+1, s.line, status, out)
				}
				continue
			}
			if !slices.Contains(topics, s.line) {
				topics = append(topics, s.line)
			}
			testgateway.Poll(t, s.line, func() (bool, string) {
				g.MustRun()
				out, status := curl(s.line)
				if status != 404 && (status != 200 || out != s.want) {
					t.Fatalf("step %d: %s: %d %s, want %s", i+1, s.line, status, out, s.want)
				}
				return status == 200, out
			})
		}
		for _, line := range topics {
			if out, status := curl(line); status != 404 {
				t.Errorf("%s at the end: %d %s", line, status, out)
			}
		}
		g.Stop()
	})
}
