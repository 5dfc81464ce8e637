package module

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

func load(t *testing.T, file string) *Module {
	t.Helper()
	m, complaints := Load(file, environment)
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	return m
}

// TestSample: the sample application at the root is without any complaint, in an empty environment too.
func TestSample(t *testing.T) {
	m, complaints := Load("../../../../module.yaml", nil)
	if len(complaints) > 0 || m == nil {
		t.Fatalf("complaints:\n%s", complaints)
	}
}

func TestEndpointSelection(t *testing.T) {
	m := load(t, filepath.Join(fixtures, "good/example-every-kind.yaml"))
	for name, want := range map[string]string{
		"billing.eu/ledger": "billing.eu/ledger", // the exact one wins
		"billing.eu/audit":  "billing.eu/*",
		"billing.eu/*":      "billing.eu/*",
		"billing.eu.x/y":    "",
		"billing/eu":        "",
		"/ledger":           "",
	} {
		ft, err := api.ParseFunctionType(name)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := m.Endpoint(ft)
		if ok != (want != "") || ok && e.Functions.String() != want {
			t.Errorf("%s: got %v, %v, want %q", name, e, ok, want)
		}
	}
	if _, ok := new(Module).Endpoint(api.FunctionType{Namespace: "a", Name: "b"}); ok {
		t.Error("an empty module serves something")
	}
}

func TestBrokersAndProperties(t *testing.T) {
	k := load(t, filepath.Join(fixtures, "good/kafka-address-and-group-from-properties.yaml")).KafkaIngresses[0]
	if diff := cmp.Diff([]string{"kafka-0:9092", "[::1]:9093"}, k.Brokers()); diff != "" {
		t.Error(diff)
	}
	if v, ok := k.Properties.Value("group.id"); v != "7" || !ok {
		t.Errorf("group.id: %q, %v", v, ok)
	}
	if _, ok := k.Properties.Value("x"); ok {
		t.Error("a property that is not there")
	}
	if got := k.Properties.Map(); got["group.id"] != "7" || len(got) != 2 {
		t.Errorf("map: %v", got)
	}
}

func TestSecretsStayHidden(t *testing.T) {
	m := load(t, filepath.Join(fixtures, "good/example-every-kind.yaml"))
	c := m.KinesisEgresses[0].Credentials
	if string(c.SecretAccessKey) != "SK" {
		t.Errorf("secret %q", string(c.SecretAccessKey))
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "credentials", c)
	if all := log.String() + fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(all, "SK") {
		t.Error(all)
	}
}

func TestLoadWhatIsNoFile(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		m, complaints := Load(path, environment)
		if m != nil || !complaints.HasErrors() || !strings.HasPrefix(complaints.String(), path+":1:1: read the module: ") {
			t.Errorf("%s: %v, %s", path, m, complaints)
		}
	}
}

func TestLoadSaysTooLarge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(file, make([]byte, fileBytesMax+5), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, complaints := Load(file, nil); len(complaints) != 1 || !strings.Contains(complaints[0].Text, "larger than") {
		t.Errorf("got %s", complaints)
	}
}

// TestClasspathIsBesideTheModule: what StateFun finds on its class path is looked for in the folder of the module.
func TestClasspathIsBesideTheModule(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(fixtures, "good/transport-async-all.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, complaints := Parse("/etc/shop/module.yaml", data, nil)
	if m == nil {
		t.Fatal(complaints)
	}
	if got, want := m.Endpoints[0].Transport.TrustCACerts, "/etc/shop/tls/ca.pem"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeysOfOurKindsAreStrict(t *testing.T) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte("port: 1\nport: 2\nprot: 3\n"), &doc); err != nil {
		t.Fatal(err)
	}
	p := &parser{file: "f"}
	o := p.object(doc.Content[0], "spec of io.stategate.x.v1/ingress", Error)
	o.ours = true
	if got := o.number("port", 0, 0, 9); got != 2 {
		t.Errorf("got %d, want the last one, 2", got)
	}
	o.close()
	want := `f:2:1: key "port" is given twice in spec of io.stategate.x.v1/ingress (first in line 1): the last one counts
f:3:1: unknown key "prot" in spec of io.stategate.x.v1/ingress: did you mean "port"?
`
	if diff := cmp.Diff(want, p.complaints.ordered().String()); diff != "" || !p.complaints.HasErrors() {
		t.Error(diff)
	}
}

func TestComplaints(t *testing.T) {
	e := Complaint{File: "f", Line: 2, Column: 1, Text: "e"}
	w := Complaint{File: "f", Line: 1, Column: 7, Severity: Warning, Text: "w"}
	got := Complaints{e, w, e}.ordered()
	if diff := cmp.Diff(Complaints{w, e}, got); diff != "" {
		t.Error(diff)
	}
	if got.String() != "f:1:7: warning: w\nf:2:1: e\n" {
		t.Errorf("got %s", got)
	}
	if len(got.Errors()) != 1 || len(got.Warnings()) != 1 || !got.HasErrors() || got.Warnings().HasErrors() {
		t.Errorf("got %v", got)
	}

	// An error behind too many warnings still counts.
	var many Complaints
	for i := range 2 * complaintsMax {
		many = append(many, Complaint{Line: i + 1, Severity: Warning})
	}
	if got := append(Complaints{}, many...).ordered(); len(got) != complaintsMax+1 || got.HasErrors() {
		t.Errorf("%d complaints, errors %v", len(got), got.HasErrors())
	}
	if got := append(many, Complaint{Line: 1 << 20}).ordered(); len(got) != complaintsMax+1 || !got.HasErrors() {
		t.Errorf("%d complaints, errors %v", len(got), got.HasErrors())
	}
}
