package module

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestAgainstLoaderOfStateFun goes through what running StateFun 3.3's loader on some ninety files has shown beyond its documents: what it
// takes is taken here with the same meaning, what it refuses is refused, and what it takes and then fails on, or takes for
// something else in silence, is told.
func TestAgainstLoaderOfStateFun(t *testing.T) {
	const taken, told, refused = "taken", "taken, with a warning", "refused"
	for _, c := range []struct {
		what, file, here string
		says             string // in the complaints
		means            string // in what was read
	}{
		{"an offset that is no number; there it means 0, in silence", "bad/kafka-start-offsets", refused, `want the offset of "orders/0" as an integer of at least 0, got "first"`, ""},
		{"an URL with a space; there the first message fails", "good/late-url-with-a-space", told, "no call can be made", "Endpoints[0].Fault: urlPathTemplate"},
		{"compound durations of endpoints v1; there the first message fails", "good/late-duration-v1-compound", told, `"1m30s" is no duration`, ".Call: 1m0s"},
		{"a call below the default of read; there the first message fails", "good/late-call-below-the-default-read", told, "read", ""},
		{"exactly-once without a timeout; there an error that names no key", "bad/egress-semantics", refused, "deliverySemantic has no transactionTimeout, which is required", ""},
		{"a date without a date; there an error that names no key", "bad/kafka-start-date", refused, "startupPosition has no date, which is required", ""},
		{"a semantic that is a text", "bad/egress-semantics", refused, `deliverySemantic: want a map, got "exactly-once"`, ""},
		{"a quoted batch size of endpoints v1", "bad/batch-requests", refused, `want an integer without quotes, got "7"`, ""},
		{"a quoted batch size of endpoints v2", "good/batch-requests-quoted-and-negative", taken, "", "Endpoints[0].MaxNumBatchRequests: 7"},
		{"Windows line ends", "good/windows-line-ends", taken, "", "Topics[0].Topic: orders\n"},
		{"a byte order mark", "good/byte-order-mark", taken, "", "Endpoints[0].Functions: shop/*"},
		{"JSON documents", "good/json-document", taken, "", "KafkaIngresses[0].ID: shop/in"},
		{"a leading separator and documents of comments", "good/empty-documents", taken, "", "KafkaIngresses[0].ID: shop/orders-in"},
		{"a trailing separator", "good/trailing-separator", taken, "", "KafkaIngresses[0].ID: shop/orders-in"},
		{"ids with a trailing slash", "good/ids-with-a-trailing-slash", taken, "", "KafkaIngresses[0].ID: a/b\n"},
		{"an empty namespace", "good/empty-namespace", taken, "", "Topics[0].Targets[0]: /cart"},
		{"address and group from properties alone", "good/kafka-address-and-group-from-properties", taken, "", "KafkaIngresses[0].ConsumerGroupID: 7"},
		{"no targets", "good/kafka-topic-twice-and-targets", told, "targets is empty: the records are dropped", "KafkaIngresses[0].Topics[1].Topic: b"},
		{"the format 3.0", "good/example-legacy", taken, "", "KafkaIngresses[0].ID: billing.io/legacy-in"},
		{"the format 3.0 with full kinds", "good/legacy-full-kinds", told, `unknown key "id"`, "Endpoints[0].Transport.Kind: async"},
		{"one key twice", "good/repeated-key", told, "the last one counts", "Endpoints[0].MaxNumBatchRequests: 6"},
		{"unknown keys; there in silence", "good/unknown-keys", told, `did you mean "maxNumBatchRequests"?`, "Endpoints[0].MaxNumBatchRequests: 1000"},
		{"aliases; there the text behind the star", "good/aliases", told, `alias *type is resolved, but StateFun reads it as the text "type"`, "Topics[1].ValueType: shop.types/Order"},
		{"a list at the top", "bad/top-level-list", refused, "a document: want a map, got a list", ""},
		{"a text at the top", "bad/top-level-text", refused, `a document: want a map, got "hello"`, ""},
		{"an empty file", "bad/empty-file", refused, "the module has no ingress", ""},
		{"the version as a number", "bad/legacy-version-number", refused, `version: want the text "3.0", in quotes`, ""},
		{"an older version", "bad/legacy-version-old", refused, "is no longer supported", ""},
		{"one id twice", "bad/declared-twice", refused, "is declared twice (first in line", ""},
		{"a target that nobody serves; there its first message fails", "good/target-without-endpoint", told, "is served by no endpoint", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			m, complaints := Load(filepath.Join(fixtures, c.file+".yaml"), environment)
			here := taken
			switch {
			case m == nil:
				here = refused
			case len(complaints) > 0:
				here = told
			}
			if here != c.here || !strings.Contains(complaints.String(), c.says) || (c.says == "") != (c.here == taken) {
				t.Errorf("%s: %s, want %s, saying %q:\n%s", c.file, here, c.here, c.says, complaints)
			}
			if m != nil && !strings.Contains(render(m), c.means) {
				t.Errorf("%s: want %q in\n%s", c.file, c.means, render(m))
			}
		})
	}
}
