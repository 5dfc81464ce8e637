package postgres

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func encodeAddress(a api.Address) []byte { var o out; o.address(a); return o }
func decodeAddress(b []byte) (api.Address, error) {
	i := in{b: b}
	a := i.address()
	return a, i.end()
}

func encodeProgress(p *statestore.Progress) []byte {
	var o out
	o.text(p.Source.Ingress)
	o.text(p.Source.Topic)
	o.int(int64(p.Source.Partition))
	o.text(p.TopicID)
	o.int(p.Start)
	o.num(uint64(len(p.Targets)))
	for _, t := range p.Targets {
		o.text(t.Key)
		o.int(t.Done.Watermark)
		o.num(uint64(len(t.Done.Above)))
		for _, r := range t.Done.Above {
			o.int(r.From)
			o.int(r.To)
		}
	}
	return o
}

func decodeProgress(b []byte) (p statestore.Progress, err error) {
	i := in{b: b}
	p.Source = api.Source{Ingress: i.text(), Topic: i.text(), Partition: int32(i.int())}
	p.TopicID, p.Start = i.text(), i.int()
	for range i.count() {
		t := statestore.TargetProgress{Key: i.text()}
		t.Done.Watermark = i.int()
		for range i.count() {
			t.Done.Above = append(t.Done.Above, statestore.Range{From: i.int(), To: i.int()})
		}
		p.Targets = append(p.Targets, t)
	}
	return p, i.end()
}

func encodeFunction(f *statestore.FunctionSpec) []byte {
	var o out
	o.fn(f.Function)
	o.num(uint64(len(f.States)))
	for _, s := range f.States {
		o.text(s.Name)
		o.text(s.TypeName)
		o.num(uint64(s.Expiration))
		o.int(s.TTL)
	}
	return o
}

func decodeFunction(b []byte) (f statestore.FunctionSpec, err error) {
	i := in{b: b}
	f.Function = i.fn()
	for range i.count() {
		f.States = append(f.States, statestore.StateSpec{Name: i.text(), TypeName: i.text(), Expiration: statestore.Expiration(i.num()), TTL: i.int()})
	}
	return f, i.end()
}

// storedValue is a value of a state row; apart: its bytes are in state_large.
type storedValue struct {
	statestore.StateValue
	apart bool
}

func plain(v []storedValue) []statestore.StateValue {
	o := make([]statestore.StateValue, len(v))
	for i := range v {
		o[i] = v[i].StateValue
	}
	return o
}

func encodeState(a *statestore.AddressState) []byte {
	var o out
	o.address(a.Address)
	o.num(uint64(len(a.Values)))
	for j := range a.Values {
		v := &a.Values[j]
		o.text(v.Name)
		o.text(v.TypeName)
		o.int(v.Touched)
		o.flag(large(v))
		if !large(v) {
			o.bytes(v.Value)
		}
	}
	return o
}

func decodeState(b []byte) (vs []storedValue, err error) {
	i := in{b: b}
	i.address()
	for range i.count() {
		var v storedValue
		v.Name, v.TypeName, v.Touched, v.apart = i.text(), i.text(), i.int(), i.flag()
		if !v.apart {
			v.Value = i.bytes()
		}
		vs = append(vs, v)
	}
	return vs, i.end()
}

// stateAddress reads only whose row it is.
func stateAddress(b []byte) (api.Address, error) {
	i := in{b: b}
	a := i.address()
	return a, i.err
}
