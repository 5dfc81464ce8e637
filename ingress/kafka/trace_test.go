package kafka

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestTraceOfARecord: one header that is right says in which trace a record is; broken ones, and two of them, say nothing, and are no reason
// not to take the record. Nothing is looked for when nothing is traced.
func TestTraceOfARecord(t *testing.T) {
	of := func(pairs ...string) (all []header) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, header{[]byte(pairs[i]), []byte(pairs[i+1])})
		}
		return all
	}
	for name, test := range map[string]struct {
		headers []header
		want    string
	}{
		"one":               {of("a", "b", "traceparent", traceparent, "tracestate", "x=y"), traceparent},
		"sampled out":       {of("traceparent", traceparent[:54]+"0"), traceparent[:54] + "0"},
		"none":              {nil, ""},
		"others":            {of("Traceparent", traceparent, "trace", traceparent, "", traceparent), ""},
		"two":               {of("traceparent", traceparent, "traceparent", traceparent[:54]+"0"), ""},
		"two that are one":  {of("traceparent", traceparent, "traceparent", traceparent), ""},
		"one broken of two": {of("traceparent", "", "traceparent", traceparent), ""},
		"null":              {[]header{{[]byte("traceparent"), nil}}, ""},
		"null and one":      {append([]header{{[]byte("traceparent"), nil}}, of("traceparent", traceparent)...), ""},
		"empty":             {of("traceparent", ""), ""},
		"upper case":        {of("traceparent", strings.ToUpper(traceparent)), ""},
		"zeros":             {of("traceparent", "00-"+strings.Repeat("0", 32)+"-"+strings.Repeat("0", 16)+"-00"), ""},
		"huge":              {of("traceparent", strings.Repeat(traceparent, 100_000)), ""},
		"no text":           {of("traceparent", string(bytes.Repeat([]byte{0xff}, 55))), ""},
	} {
		m := &entry{offset: 7, key: []byte("id"), value: []byte("v"), headers: test.headers}
		for _, traced := range []bool{true, false} {
			topic := &Topic{Name: "t", Routes: []api.Route{{Key: "a/b"}}, traced: traced}
			var r api.Record
			var values slab
			if skipped := record(&r, api.Source{}, topic, m, &values); skipped != "" || r.Dead != nil || r.ID != "id" {
				t.Fatalf("%s: skipped as %q, record %+v", name, skipped, r)
			}
			got := ""
			if r.Trace != nil {
				got = r.Trace.String()
			}
			if want := map[bool]string{true: test.want}[traced]; got != want {
				t.Errorf("%s, traced %v: in %q, want %q", name, traced, got, want)
			}
		}
	}
	if c := (Config{Topics: []Topic{{Name: "t"}}, Traces: true}).withDefaults(0); !c.Topics[0].traced {
		t.Error("a topic of an ingress with traces has none")
	}
}
