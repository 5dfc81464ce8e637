//go:build unix

package exampletest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

const moduleFiles = statefun + "/modules"

// TestModuleFilesRun checks and runs module files as users of StateFun have them: each order must come out as a line that says which
// function was called with what, and by which path.
func TestModuleFilesRun(t *testing.T) {
	broker := testserver.Kafka(t).Addr()
	const cart = "shop/cart by /statefun: shop.types/Order "
	for _, c := range []struct {
		file string
		said int      // how many warnings
		want []string // for one order, each followed by its value
	}{
		{"windows.yaml", 0, []string{cart}},
		{"separators.yaml", 0, []string{cart}},
		{"unknown-and-repeated-keys.yaml", 5, []string{cart}},
		{"quoted-numbers.yaml", 0, []string{cart}},
		{"json.yaml", 0, []string{cart}},
		{"slashes.yaml", 0, []string{"/audit by /audit: shop.types/Order ", cart}},
		{"address-and-group-from-properties.yaml", 1, []string{cart}}, // max.poll.records has no effect
		{"endpoint-v1.yaml", 0, []string{cart}},
		{"okhttp.yaml", 0, []string{cart}},
		{"legacy.yaml", 0, []string{cart}},
		{"legacy-with-full-kinds.yaml", 0, []string{cart}},
		{"exact-over-namespace.yaml", 0, []string{"shop/audit by /alone/audit?of=audit: shop.types/Order ", "shop/cart by /ns/cart: shop.types/Order "}},
		{"topics.yaml", 2, []string{cart}}, // nobody gets refunds, and one topic is there twice
		{"several", 0, []string{cart}},
	} {
		t.Run(strings.TrimSuffix(c.file, ".yaml"), func(t *testing.T) {
			t.Parallel()
			name := strings.TrimSuffix(c.file, ".yaml")
			in, out := name+"-orders", name+"-results"
			server := httptest.NewServer(&echo{topic: out})
			t.Cleanup(server.Close)
			location := copyModule(t, c.file, "kafka:9092", broker, "functions:8000", strings.TrimPrefix(server.URL, "http://"), "topic: orders", "topic: "+in,
				`"topic": "orders"`, `"topic": "`+in+`"`, "topic: refunds", "topic: "+in+"-back")

			said, err := exec.Command(testgateway.Binary(t), "check", "--module", location).CombinedOutput()
			if warnings := strings.Count(string(said), ": warning: "); err != nil || warnings != c.said || !strings.Contains(string(said), "shop.io/in: kafka "+broker) {
				t.Errorf("gateway check: %v, %d warnings, want %d:\n%s", err, warnings, c.said, said)
			}

			client := kafkaClient(t, kgo.SeedBrokers(broker))
			createTopics(t, client, 2, in, in+"-back", out)
			g := testgateway.New(t, t.ArtifactDir(), "gateway", nil, "--module", location, "--store", "sqlite:"+filepath.Join(t.TempDir(), "stategate.db"))
			g.Start()
			var want []string
			for n := range 4 {
				key, value := fmt.Sprintf("k%d", n%2), fmt.Sprint("order ", n)
				produce(t, client, in, key, []byte(value))
				for _, w := range c.want {
					want = append(want, key+": "+w+value)
				}
			}
			r := readResults(t, broker, out)
			var got []string
			for range want {
				k := r.next()
				got = append(got, string(k.Key)+": "+string(k.Value))
			}
			g.Until("active", testgateway.IsActive)
			g.Stop()
			for _, k := range r.rest() {
				got = append(got, string(k.Key)+": "+string(k.Value))
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		entries, err := os.ReadDir(moduleFiles)
		if err != nil || len(entries) != 15 { // and a README
			t.Errorf("%d files, %v: want each in the table", len(entries), err)
		}
	})
}

// copyModule copies a file, or a folder with all in it, byte by byte but for some places.
func copyModule(t *testing.T, name string, places ...string) string {
	t.Helper()
	from, to := filepath.Join(moduleFiles, name), filepath.Join(t.TempDir(), name)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 0; i < len(places); i += 2 {
			text = bytes.ReplaceAll(text, []byte(places[i]), []byte(places[i+1]))
		}
		target := to + strings.TrimPrefix(path, from)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// echo serves every function: a message becomes a result that says what was called.
type echo struct{ topic string }

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call protocol.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &call)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := call.GetInvocation().GetTarget()
	result := &protocol.FromFunction_InvocationResponse{}
	for _, i := range call.GetInvocation().GetInvocations() {
		argument := i.GetArgument()
		text := fmt.Sprintf("%s/%s by %s: %s %s", target.GetNamespace(), target.GetType(), r.RequestURI, argument.GetTypename(), argument.GetValue())
		record, err := proto.Marshal(&protocol.KafkaProducerRecord{Topic: e.topic, Key: []byte(target.GetId()), ValueBytes: []byte(text)})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		result.OutgoingEgresses = append(result.OutgoingEgresses, &protocol.FromFunction_EgressMessage{
			EgressNamespace: "shop.io", EgressType: "out",
			Argument: &protocol.TypedValue{Typename: "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord", HasValue: true, Value: record},
		})
	}
	reply, err := proto.Marshal(&protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: result}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(reply)
}
