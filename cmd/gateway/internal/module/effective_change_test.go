package module

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func changing(password, address, onFailure, more string) string {
	return "kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: \"http://h/\", onFailure: " + onFailure + "}\n---\n" +
		"kind: io.stategate.http.v1/ingress\nspec: {id: shop/api, functions: [shop/*]}\n---\n" +
		"kind: io.statefun.kafka.v1/egress\nspec: {id: shop/out, address: \"" + address + "\", properties: [{sasl.jaas.config: \"" + password + "\"}, {ssl.key.password: " + password + "}]}\n" + more
}

func snapshotOf(t *testing.T, text, salt string) Snapshot {
	t.Helper()
	m, complaints := Parse("module.yaml", []byte(text), environment)
	if m == nil {
		t.Fatal(complaints)
	}
	data, err := json.Marshal(m.Snapshot(salt))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "hunter") {
		t.Errorf("a secret is kept: %s", data)
	}
	var kept Snapshot // as it comes back from where it was kept
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	return kept
}

// TestSince: what has changed is told, a secret as one that has changed and nothing else of it.
func TestSince(t *testing.T) {
	const logEgress = "---\nkind: io.stategate.log.v1/egress\nspec: {id: shop/log}\n"
	before := snapshotOf(t, changing("hunter2", "k:1", "retry", ""), "store")
	for name, c := range map[string]struct {
		text string
		want []Change
	}{
		"nothing":         {changing("hunter2", "k:1", "retry", ""), nil},
		"where it stands": {"# a line\n\n" + changing("hunter2", "k:1", "retry", ""), nil},
		"a value":         {changing("hunter2", "k:1", "deadLetter", ""), []Change{{"endpoint", "shop/*", "onFailure", "retry", "deadLetter"}}},
		"a secret": {changing("hunter3", "k:1", "retry", ""), []Change{
			{"egress", "shop/out", "properties.sasl.jaas.config", "***", "*** (changed)"}, {"egress", "shop/out", "properties.ssl.key.password", "***", "*** (changed)"},
		}},
		"a new one": {changing("hunter2", "k:1", "retry", logEgress), []Change{{"egress", "shop/log", "", "", "declared"}}},
		"a setting that was not written": {strings.Replace(changing("hunter2", "k:1", "retry", ""), "{ssl.key.password: hunter2}", "{ssl.key.password: hunter2}, {acks: all}", 1),
			[]Change{{"egress", "shop/out", "properties.acks", "", "all"}}},
		"a setting that is gone": {strings.Replace(changing("hunter2", "k:1", "retry", ""), ", {ssl.key.password: hunter2}", "", 1),
			[]Change{{"egress", "shop/out", "properties.ssl.key.password", "***", ""}}},
		"an URL with a password": {strings.Replace(changing("hunter2", "k:1", "retry", ""), "http://h/", "http://u:hunter2@h/", 1),
			[]Change{{"endpoint", "shop/*", "urlPathTemplate", "http://h/", "http://***@h/"}}},
	} {
		if diff := cmp.Diff(c.want, snapshotOf(t, c.text, "store").Since(before)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	gone := snapshotOf(t, changing("hunter2", "k:1", "retry", ""), "store").Since(snapshotOf(t, changing("hunter2", "k:1", "retry", logEgress), "store"))
	if diff := cmp.Diff([]Change{{"egress", "shop/log", "", "declared", ""}}, gone); diff != "" {
		t.Errorf("one that is gone (-want +got):\n%s", diff)
	}
	was := strings.Replace(changing("hunter2", "k:1", "retry", ""), "http://h/", "http://u:hunter2@h/", 1)
	is := strings.Replace(was, "u:hunter2@", "u:hunter3@", 1)
	if diff := cmp.Diff([]Change{{"endpoint", "shop/*", "urlPathTemplate", "http://***@h/", "http://***@h/ (changed)"}}, snapshotOf(t, is, "store").Since(snapshotOf(t, was, "store"))); diff != "" {
		t.Errorf("the password of an URL (-want +got):\n%s", diff)
	}
}

// TestDigest: a digest says too little to find a secret by trying, and says it of one setting of one store only.
func TestDigest(t *testing.T) {
	of := digest("store", "egress", "shop/out", "properties.ssl.key.password", "hunter2")
	if len(of)*4 != digestBits {
		t.Fatalf("digest %s has %d bits, want %d", of, len(of)*4, digestBits)
	}
	for _, other := range []string{
		digest("other", "egress", "shop/out", "properties.ssl.key.password", "hunter2"), digest("store", "egress", "shop/in", "properties.ssl.key.password", "hunter2"),
		digest("store", "egress", "shop/out", "properties.ssl.truststore.password", "hunter2"), digest("store", "egress", "shop/out", "properties.ssl.key.password", "hunter3"),
	} {
		if other == of {
			t.Errorf("two digests are %s", of)
		}
	}
	fit := 0
	for n := range 100_000 {
		if digest("store", "egress", "shop/out", "properties.ssl.key.password", fmt.Sprintf("password%d", n)) == of {
			fit++
		}
	}
	if fit < 10 || fit > 60 { // 24 are to be expected
		t.Errorf("%d of 100,000 other passwords have the digest, want about 24", fit)
	}
}

// TestSnapshotOfOthers: what is no snapshot is an error, and one of others is compared.
func TestSnapshotOfOthers(t *testing.T) {
	for _, text := range []string{"", "{}", `"x"`, "[1]", `[{"kind":1}]`, strings.Repeat("[", 20_000), "\xff"} {
		var s Snapshot
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%.20q is read", text)
		}
	}
	var s Snapshot
	if err := json.Unmarshal([]byte(`[{"kind":"x","id":"\u001b[2J","settings":null},{},{"settings":[{},{"path":"a"},{"path":"a"}]}]`), &s); err != nil {
		t.Fatal(err)
	}
	if got := (Snapshot{}).Since(s); len(got) == 0 {
		t.Error("what is there no more is not told")
	}
}

// TestEffectiveOfMany: the list of a large module takes a time in proportion to it, and names few of many placeholders.
func TestEffectiveOfMany(t *testing.T) {
	text := func(topics int) []byte {
		var b strings.Builder
		b.WriteString("kind: io.statefun.endpoints.v2/http\nspec: {functions: a/*, urlPathTemplate: \"http://h/\"}\n---\nkind: io.statefun.kafka.v1/ingress\nspec:\n  id: a/in\n  address: k:1\n  consumerGroupId: g\n  topics:\n")
		for i := range topics {
			fmt.Fprintf(&b, "  - {topic: t%d, valueType: v, targets: [a/b]}\n", i)
		}
		fmt.Fprintf(&b, "  properties:\n  - client.id: \"%s\"\n", strings.Repeat("${PORT}", topics)+"${BATCH}")
		return []byte(b.String())
	}
	// The best of three: others use this machine, too.
	took := func(topics int) (best time.Duration) {
		data := text(topics)
		for try := range 3 {
			began := time.Now()
			m, complaints := Parse("f", data, environment)
			if took := time.Since(began); try == 0 || took < best {
				best = took
			}
			if m == nil {
				t.Fatal(complaints)
			}
			settings := m.Effective()[1].Settings
			if want := fmt.Sprintf("f:%d, placeholder PORT (environment), placeholder BATCH (environment)", topics+11); len(settings) < 4*topics || settings[len(settings)-1].From != want {
				t.Fatalf("%d settings, the last from %s, want %s", len(settings), settings[len(settings)-1].From, want)
			}
		}
		return best
	}
	if small, large := took(1000), took(20_000); large > 100*small { // 20 by proportion, 400 by its square
		t.Errorf("a module of 20 times the size takes %s, and the small one %s", large, small)
	}
}
