package module

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hostileHead = "kind: io.statefun.kafka.v1/ingress\nspec:\n  id: a/b\n  address: k:1\n  consumerGroupId: g\n"

// TestHostile: whatever a file holds is answered in bounded time and memory, with a complaint that says which bound it was.
func TestHostile(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := byte('b'); c <= 'l'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 10), ", "))
	}
	tests := []struct{ name, text, want string }{
		{"too large", strings.Repeat("#", fileBytesMax+1), "larger than"},
		{"too many values", "a: [" + strings.Repeat("x,", nodesMax) + "]", "more than 1000000 values"},
		{"lists in lists", strings.Repeat("[", 9000), "not YAML"},
		{"deep lists", strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "nested deeper"},
		{"deeper than the library allows", strings.Repeat("[", 1<<20), "not YAML"},
		{"deep maps", strings.Repeat("{a: ", 9000) + strings.Repeat("}", 9000), "nested deeper"},
		{"aliases of aliases", bomb, "has no kind"},
		{"one long list in many places", hostileHead + "  topics:\n  - {topic: a0, valueType: v, targets: &t [" + strings.Repeat("a/b, ", 20000) + "]}\n" +
			strings.Repeat("  - {topic: a, valueType: v, targets: *t}\n", 5000), "counted once for each alias"},
		{"large variables many times", hostileHead + "  topics:\n" + strings.Repeat("  - ${LARGE}\n", 100), "bring in more than"},
		{"unclosed placeholders", hostileHead + "  x: '" + strings.Repeat("${A:-", 200000) + "'\n", "not closed"},
		{"many unknown keys", hostileHead + strings.Repeat("  k: 1\n", 100000), "more complaints"},
		{"a long key", hostileHead + "  " + strings.Repeat("k", 1000) + ": 1\n", "unknown key"},
		{"many unserved targets", "kind: io.statefun.endpoints.v2/http\nspec: {functions: a/b, urlPathTemplate: 'http://h/'}\n---\n" + hostileHead +
			"  topics:\n  - {topic: a, valueType: v, targets: [" + strings.Repeat("a/c, ", 100000) + "]}\n", "more complaints"},
		{"many properties", hostileHead + "  properties:\n" + strings.Repeat("  - a: b\n", 100000), "more complaints"},
		{"a property of aliases of aliases", hostileHead + "  x:\n    " + strings.ReplaceAll(strings.TrimSpace(bomb), "\n", "\n    ") + "\n  properties:\n" + strings.Repeat("  - a: *l\n", 3), "what concerns security"},
		{"a property that holds itself", hostileHead + "  properties:\n  - a: &a {b: {c: [*a, *a]}}\n", "what concerns security"},
		{"a long item in many places", hostileHead + "  x: &x {" + strings.Repeat("a, ", 20000) + "b}\n  properties: [" + strings.Repeat("*x, ", 20000) + "]\n", "what concerns security"},
		{"no text", "\x00\x01\x02", "not YAML"},
		{"no UTF-8", "kind: \xff\xfe\n", "not YAML"},
		{"half of UTF-16", "\xff\xfek", "not YAML"},
	}
	lookup := func(name string) (string, bool) { return large, name == "LARGE" }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, complaints := Parse("f", []byte(tt.text), lookup)
			if !strings.Contains(complaints.String(), tt.want) {
				s := complaints.String()
				t.Errorf("want %q in:\n%s", tt.want, s[:min(len(s), 2000)])
			}
			if complaints.HasErrors() == (m != nil) || len(complaints) > complaintsMax+1 {
				t.Errorf("module %v, %d complaints", m != nil, len(complaints))
			}
			for _, c := range complaints {
				if len(c.Text) > 4096 {
					t.Errorf("a complaint of %d bytes: %s", len(c.Text), c.Text[:200])
				}
			}
		})
	}
}

// TestManyEndpoints: an honest large module is no hostile one.
func TestManyEndpoints(t *testing.T) {
	var b bytes.Buffer
	const n = 5000
	for i := range n {
		fmt.Fprintf(&b, "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: shop/f%d\n  urlPathTemplate: http://functions:8000/{function.name}\n---\n", i)
	}
	fmt.Fprint(&b, hostileHead+"  topics:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {topic: t%d, valueType: v, targets: [shop/f%d]}\n", i, i)
	}
	m, complaints := Parse("f", b.Bytes(), nil)
	if len(complaints) > 0 || len(m.Endpoints) != n || len(m.KafkaIngresses[0].Topics) != n {
		t.Fatalf("complaints:\n%s", complaints)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(fixtures, "*/*.yaml"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, complaints := Parse("f", data, environment)
		if complaints.HasErrors() == (m != nil) {
			t.Fatalf("module %v with complaints\n%s", m != nil, complaints)
		}
		for _, c := range complaints {
			if c.Line < 1 || c.Column < 1 || c.Text == "" || c.File != "f" {
				t.Fatalf("complaint without place or text: %+v", c)
			}
			if strings.Contains(c.Text, "hunter2") && !bytes.Contains(data, []byte("hunter2")) {
				t.Fatalf("a secret is shown: %s", c)
			}
		}
		if m == nil {
			return
		}
		_ = m.Summary()
		for i := range m.Endpoints {
			e := &m.Endpoints[i]
			if e.Transport.Call <= 0 || e.Transport.Connect <= 0 || e.MaxNumBatchRequests < 0 || e.Transport.PoolSize <= 0 {
				t.Fatalf("endpoint that cannot be used: %+v", e)
			}
		}
		for _, k := range m.KafkaIngresses {
			if k.ID == "" || len(k.Brokers()) == 0 || k.ConsumerGroupID == "" || len(k.Topics) == 0 {
				t.Fatalf("ingress that cannot be used: %+v", k)
			}
		}
		for _, k := range m.KafkaEgresses {
			if k.ID == "" || len(k.Brokers()) == 0 || (k.Semantic == ExactlyOnce) != (k.TransactionTimeout > 0) {
				t.Fatalf("egress that cannot be used: %+v", k)
			}
		}
	})
}
