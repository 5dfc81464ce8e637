package kafka

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/internal/kafkaproperty"
	"github.com/stategate/stategate/statestore"
)

// FuzzRecord: a record of any bytes is for an address that can be, or set aside with all that it holds, or skipped where the module
// says so; never two of them, never none. Nothing of the result lies in the fetch, and a dead letter comes back from its row.
func FuzzRecord(f *testing.F) {
	source := api.Source{Ingress: "a/in", Topic: "t", Partition: 3}
	routes := []api.Route{{Key: "a/f", Target: api.FunctionType{Namespace: "a", Name: "f"}}}
	f.Fuzz(func(t *testing.T, offset int64, key, value, name []byte, nullKey, nullValue, skip bool) {
		topic := &Topic{Name: "t", ValueType: "t/x", Routes: routes}
		if skip {
			topic.OnNullKey, topic.OnNullValue = NullSkip, NullSkip
		}
		fetch := func() *entry {
			m := &entry{offset: offset, key: append([]byte{}, key...), value: append([]byte{}, value...),
				headers: []header{{}, {bytes.Clone(name), bytes.Clone(value)}, {}}}
			if nullKey {
				m.key = nil
			}
			if nullValue {
				m.value = nil
			}
			return m
		}
		m := fetch()
		var values slab
		before := values.clone(bytes.Repeat([]byte{7}, 100))
		var r, again api.Record
		skipped := record(&r, source, topic, m, &values)
		after := values.clone(bytes.Repeat([]byte{9}, 100))
		for i := range before {
			before[i], after[i] = 0, 0 // values lie beside each other
		}
		_, _ = append(before, 1), append(after, 1)
		record(&again, source, topic, fetch(), new(slab))
		for _, b := range [][]byte{m.key, m.value, m.headers[1].key, m.headers[1].value} {
			for i := range b {
				b[i] ^= 0xff
			}
		}
		if r.Dead != nil && again.Dead != nil {
			again.Dead.AtMS = r.Dead.AtMS
		}
		if diff := cmp.Diff(again, r); diff != "" {
			t.Fatalf("changes with the fetch that it came in:\n%s", diff)
		}
		if r.Offset != offset {
			t.Errorf("offset %d, want %d", r.Offset, offset)
		}
		null := nullKey || nullValue
		switch {
		case skipped != "":
			if !skip || !null || r.Dead != nil || r.Routes != nil {
				t.Errorf("skipped for %q: %+v", skipped, r)
			}
		case r.Dead == nil:
			if null || r.ID != string(key) || !bytes.Equal(r.Value.Value, value) || r.Value.Value == nil || !r.Value.HasValue || r.Value.TypeName != "t/x" || len(r.Routes) != 1 {
				t.Errorf("got %+v", r)
			}
			if err := api.CheckAddress(api.Address{Type: routes[0].Target, ID: r.ID}); err != nil {
				t.Errorf("for no address: %v", err)
			}
		default:
			d := r.Dead
			good := !null && utf8.Valid(key) && len(key) <= api.IDBytesMax && len(value) <= api.ValueBytesMax
			if good || r.Routes != nil || d.Reason == "" || d.Detail == "" || d.Source != source || d.Offset != offset || d.Kind != api.DeadRecord {
				t.Errorf("set aside as %+v", d)
			}
			if now := time.Now().UnixMilli(); d.AtMS > now || d.AtMS < now-600_000 {
				t.Errorf("set aside at %d", d.AtMS)
			}
			whole := fetch()
			if !cmp.Equal(d.Key, whole.key) || !cmp.Equal(d.Value, whole.value) || len(d.Headers) != 3 || d.Headers[1].Key != string(name) || !bytes.Equal(d.Headers[1].Value, value) {
				t.Errorf("set aside with %x %x %+v", d.Key, d.Value, d.Headers)
			}
			back, err := statestore.DecodeDeadLetter(statestore.AppendDeadLetter(nil, d))
			if err != nil || !cmp.Equal(back, *d) {
				t.Errorf("comes back from its row as %+v, %v", back, err)
			}
		}
	})
}

// FuzzProperties: a property of any name and text gives a configuration that the client takes, or is refused by its name.
func FuzzProperties(f *testing.F) {
	known := kafkaproperty.Names(kafkaproperty.Consumer)
	f.Fuzz(func(t *testing.T, which uint16, name, value string) {
		if n := int(which) % (2 * len(known)); n < len(known) {
			name = known[n]
		}
		s, err := newSettings(map[string]string{name: value})
		if err != nil {
			if !strings.Contains(err.Error(), "propert") {
				t.Errorf("%q=%q: %v", name, value, err)
			}
			return
		}
		if err := s.client.Validate(); err != nil {
			t.Errorf("%q=%q: %v", name, value, err)
		}
		if s.Discovery < 0 || s.client.Net.ReadTimeout <= 0 || s.client.Consumer.Fetch.Default < 1 || s.client.Consumer.MaxWaitTime <= 0 {
			t.Errorf("%q=%q gives %+v", name, value, s)
		}
	})
}
