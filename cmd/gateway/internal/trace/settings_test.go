package trace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func lookup(environment map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := environment[name]
		return v, ok
	}
}

func TestRead(t *testing.T) {
	const traces, base = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, test := range map[string]struct {
		endpoint    string
		environment map[string]string
		want        string
	}{
		"nothing":              {"", nil, ""},
		"the setting":          {"http://collector:4318", nil, "http://collector:4318/v1/traces"},
		"a slash":              {"https://collector/", nil, "https://collector/v1/traces"},
		"a path":               {"https://collector/otlp/v1/traces", nil, "https://collector/otlp/v1/traces"},
		"the setting wins":     {"http://a", map[string]string{traces: "http://b", base: "http://c", "OTEL_SDK_DISABLED": "true"}, "http://a/v1/traces"},
		"that of traces":       {"", map[string]string{traces: "http://b", base: "http://c"}, "http://b"},
		"that of all":          {"", map[string]string{base: "http://c:4318"}, "http://c:4318/v1/traces"},
		"that of all, a path":  {"", map[string]string{base: "http://c/otlp/"}, "http://c/otlp/v1/traces"},
		"set to nothing":       {"", map[string]string{traces: " ", base: ""}, ""},
		"disabled":             {"", map[string]string{base: "http://c", "OTEL_SDK_DISABLED": "TRUE"}, ""},
		"no exporter":          {"", map[string]string{base: "http://c", "OTEL_TRACES_EXPORTER": "none"}, ""},
		"the protocol":         {"", map[string]string{base: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://c/v1/traces"},
		"IPv6":                 {"http://[::1]:4318", nil, "http://[::1]:4318/v1/traces"},
		"broken, and disabled": {"", map[string]string{base: "://", "OTEL_SDK_DISABLED": "true"}, ""},
	} {
		got, err := Read(test.endpoint, 0.5, lookup(test.environment))
		if err != nil || got.Endpoint != test.want || got.On() != (test.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got.Endpoint, err, test.want)
		}
	}
}

func TestReadResource(t *testing.T) {
	s, err := Read("http://c", 0.25, lookup(map[string]string{
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=a%2Cb, service.name=shop ,team=,", "OTEL_EXPORTER_OTLP_HEADERS": " api-key=s%20x , x=1,x=2",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]string{{"deployment.environment.name", "a,b"}, {"team", ""}}, s.Resource); diff != "" || s.Service != "shop" || s.Sample != 0.25 {
		t.Errorf("service %q, sample %v, resource (-want +got):\n%s", s.Service, s.Sample, diff)
	}
	if got := s.Header; got.Get("Api-Key") != "s x" || len(got.Values("X")) != 2 || len(got) != 2 {
		t.Errorf("headers %v", got)
	}
	if s, _ = Read("http://c", 1, lookup(map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop", "OTEL_SERVICE_NAME": "cart"})); s.Service != "cart" {
		t.Errorf("service %q, want that of the variable of its own", s.Service)
	}
	if s, _ = Read("http://c", 1, lookup(nil)); s.Service != "stategate" {
		t.Errorf("service %q without a name", s.Service)
	}
}

// Broken values are errors that name the variable and show nothing of what may be a key.
func TestReadRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		endpoint, variable, value string
	}{
		"no URL":             {"CANARY", "", ""},
		"a broken URL":       {"http://CANARY:x y", "", ""},
		"no scheme":          {"CANARY:4318", "", ""},
		"another scheme":     {"grpc://CANARY", "", ""},
		"no host":            {"http:///CANARY", "", ""},
		"a user":             {"http://CANARY:pw@host", "", ""},
		"a query":            {"http://host/?key=CANARY", "", ""},
		"a fragment":         {"http://host/#CANARY", "", ""},
		"huge":               {"http://" + strings.Repeat("CANARY ", 10_000), "", ""},
		"that of all":        {"", "OTEL_EXPORTER_OTLP_ENDPOINT", "CANARY"},
		"that of traces":     {"", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://CANARY@host"},
		"another protocol":   {"http://c", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc CANARY"},
		"headers, no value":  {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "a=b,CANARY"},
		"headers, no name":   {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "=CANARY"},
		"headers, encoding":  {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "a=CANARY%zz"},
		"headers, a line":    {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "a=CANARY%0d%0ahost: evil"},
		"headers, NUL":       {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "a=CANARY%00"},
		"headers, a name":    {"http://c", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=CANARY"},
		"headers, of others": {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "é=CANARY"},
		"headers, huge":      {"http://c", "OTEL_EXPORTER_OTLP_HEADERS", "CANARY=" + strings.Repeat("a", 100_000)},
		"no file":            {"http://c", "OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"},
		"no certificate":     {"http://c", "OTEL_EXPORTER_OTLP_CERTIFICATE", empty},
		"attributes":         {"http://c", "OTEL_RESOURCE_ATTRIBUTES", "CANARY"},
	} {
		s, err := Read(test.endpoint, 1, lookup(map[string]string{test.variable: test.value}))
		variable := test.variable
		if variable == "" {
			variable = "--trace-endpoint"
		}
		if err == nil || s.On() || !strings.Contains(err.Error(), variable) || strings.Contains(err.Error(), "CANARY") || len(err.Error()) > 500 {
			t.Errorf("%s: %v, on: %v", name, err, s.On())
		}
	}
}
