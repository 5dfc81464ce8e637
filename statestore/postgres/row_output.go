package postgres

import (
	"github.com/stategate/stategate/api"
)

func encodeOutputs(os []api.Output) []byte {
	var o out
	o.num(uint64(len(os)))
	for j := range os {
		o.address(os[j].Sender)
		o.value(os[j].Value)
	}
	return o
}

func decodeOutputs(b []byte) (os []api.Output, err error) {
	i := in{b: b}
	for range i.count() {
		os = append(os, api.Output{Sender: i.address(), Value: i.value()})
	}
	return os, i.end()
}

func encodeDeadLetter(d *api.DeadLetter) []byte {
	var o out
	o.num(d.Number)
	o.num(uint64(d.Kind))
	o.text(d.From)
	o.text(d.Reason)
	o.text(d.Detail)
	o.int(d.AtMS)
	o.text(d.Source.Ingress)
	o.text(d.Source.Topic)
	o.int(int64(d.Source.Partition))
	o.int(d.Offset)
	o.address(d.Address)
	o.address(d.Caller)
	o.text(d.TypeName)
	o.nilable(d.Key)
	o.nilable(d.Value)
	o.num(uint64(len(d.Headers)))
	for _, h := range d.Headers {
		o.text(h.Key)
		o.nilable(h.Value)
	}
	return o
}

func decodeDeadLetter(b []byte) (d api.DeadLetter, err error) {
	i := in{b: b}
	d.Number, d.Kind = i.num(), api.DeadLetterKind(i.num())
	d.From, d.Reason, d.Detail, d.AtMS = i.text(), i.text(), i.text(), i.int()
	d.Source = api.Source{Ingress: i.text(), Topic: i.text(), Partition: int32(i.int())}
	d.Offset, d.Address, d.Caller, d.TypeName = i.int(), i.address(), i.address(), i.text()
	d.Key, d.Value = i.nilable(), i.nilable()
	for range i.count() {
		d.Headers = append(d.Headers, api.Header{Key: i.text(), Value: i.nilable()})
	}
	return d, i.end()
}
