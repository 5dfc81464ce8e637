package statestore

import (
	"errors"
	"fmt"

	"github.com/stategate/stategate/api"
)

// AppendAct writes what an operator has done, its number included. Fields: 1 number, 2 time, 3 by, 4 what, 5 on, 7 detail.
func AppendAct(b []byte, a *Act) []byte {
	b = append(b, formatOne)
	b = appendNumber(b, 1, a.Number)
	b = appendZigzag(b, 2, a.AtMS)
	b = appendText(b, 3, a.By)
	b = appendText(b, 4, a.What)
	b = appendText(b, 5, a.On)
	return appendText(b, 7, a.Detail)
}

// DecodeAct reads what AppendAct wrote.
func DecodeAct(row []byte) (Act, error) {
	r := open(row)
	var a Act
	for r.next() {
		switch r.tag {
		case varint1:
			a.Number = r.n
		case varint2:
			a.AtMS = r.zigzag()
		case bytes3:
			a.By = string(r.data)
		case bytes4:
			a.What = string(r.data)
		case bytes5:
			a.On = string(r.data)
		case bytes7:
			a.Detail = string(r.data)
		}
	}
	if r.err != nil {
		return Act{}, fmt.Errorf("act: %w", r.err)
	}
	return a, nil
}

var errPauseKind = errors.New("pause: stored row has no kind")

// AppendPause writes a pause that has not ended. Fields: 1 kind, 2 address, 3 ingress, 4 time, 5 by.
func AppendPause(b []byte, p *Pause) []byte {
	b = append(b, formatOne)
	b = appendNumber(b, 1, uint64(p.Kind))
	b = appendAddressChange(b, 2, p.Address, &api.Address{})
	b = appendText(b, 3, p.Ingress)
	b = appendZigzag(b, 4, p.AtMS)
	return appendText(b, 5, p.By)
}

// DecodePause reads what AppendPause wrote. A kind that is not known is an error: what is paused must not go on because nobody knows it.
func DecodePause(row []byte) (Pause, error) {
	r := open(row)
	var p Pause
	for r.next() {
		switch r.tag {
		case varint1:
			if r.n < uint64(PauseAddress) || r.n > uint64(PauseIngress) {
				r.keep(fmt.Errorf("kind %d is not known: %w", r.n, ErrNewer))
			}
			p.Kind = PauseKind(r.n)
		case bytes2:
			r.keep(decodeAddress(r.data, &p.Address))
		case bytes3:
			p.Ingress = string(r.data)
		case varint4:
			p.AtMS = r.zigzag()
		case bytes5:
			p.By = string(r.data)
		}
	}
	if r.err != nil {
		return Pause{}, fmt.Errorf("pause: %w", r.err)
	}
	if p.Kind == 0 {
		return Pause{}, errPauseKind
	}
	return p, nil
}
