package stategate

import (
	"context"
	"strings"
	"testing"
)

func TestDispatch(t *testing.T) {
	var got []any
	h := newHandler(t, Function{Type: "a.b/st", Call: Dispatch(
		On(String, func(_ context.Context, in *Invocation, s string) error {
			got = append(got, s, in.Self().ID)
			return nil
		}),
		On(Int, func(_ context.Context, _ *Invocation, n int32) error {
			got = append(got, n)
			return nil
		}),
	)})
	call(t, h, request(nil, argument(String.Of("hi")), argument(Int.Of(7))))
	if len(got) != 3 || got[0] != "hi" || got[1] != "k" || got[2] != int32(7) {
		t.Errorf("got %v", got)
	}
	for name, c := range map[string]struct {
		value TypedValue
		want  string
	}{
		"another type": {Bool.Of(true), `type "io.statefun.types/bool": want one of io.statefun.types/string, io.statefun.types/int`},
		"broken":       {TypedValue{TypeName: Int.Name, Value: []byte("x")}, "decode io.statefun.types/int"},
	} {
		if r := post(t, h, request(nil, argument(c.value))); r.StatusCode != 500 {
			t.Errorf("%s: got %s", name, r.Status)
		} else if b := text(t, r); !strings.Contains(b, c.want) {
			t.Errorf("%s: got %q, want %q", name, b, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("two cases of one type are taken")
		}
	}()
	Dispatch(On(Int, func(context.Context, *Invocation, int32) error { return nil }), On(Int, func(context.Context, *Invocation, int32) error { return nil }))
}
