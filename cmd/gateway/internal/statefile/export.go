package statefile

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// ExportConfig says what to write.
type ExportConfig struct {
	Store     statestore.Walker
	Identity  string             // of the store
	Functions []api.FunctionType // none: all
	IDPrefix  string
	Now       time.Time                // states that have expired by then are left out
	Holding   func(statestore.Holding) // is told what else the store holds. It may be nil.
	Progress  *Progress                // may be nil
}

// Exported is what became of an export.
type Exported struct {
	Values    int64
	Addresses int64
	Expired   int64 // values that were left out
}

// Export writes a file. Without an error it is whole; a part of one is recognised by Import.
func Export(ctx context.Context, cfg ExportConfig, out io.Writer) (Exported, error) {
	e := exporter{cfg: cfg, out: bufio.NewWriterSize(out, 256<<10), specs: map[api.FunctionType][]statestore.StateSpec{}}
	err := cfg.Store.Walk(ctx, statestore.Walk{Functions: cfg.Functions, IDPrefix: cfg.IDPrefix, Holding: e.head, Address: e.address})
	if err == nil {
		e.line(func(b []byte) []byte {
			return append(strconv.AppendInt(append(b, `"end":true,"values":`...), e.done.Values, 10), '}')
		})
		err = e.out.Flush()
	}
	return e.done, err
}

type exporter struct {
	cfg   ExportConfig
	out   *bufio.Writer
	buf   []byte
	specs map[api.FunctionType][]statestore.StateSpec
	done  Exported
}

// line writes one line; the writer keeps its first error.
func (e *exporter) line(f func(b []byte) []byte) {
	e.buf = append(f(append(e.buf[:0], '{')), '\n')
	_, _ = e.out.Write(e.buf) // Flush answers the error
	if cap(e.buf) > 1<<20 {
		e.buf = nil
	}
}

func (e *exporter) head(h statestore.Holding) error {
	if e.cfg.Holding != nil {
		e.cfg.Holding(h)
	}
	e.line(func(b []byte) []byte {
		b = fmt.Appendf(b, `"stategate":%q,"version":%d,"store":%q,"at":%q`, fileKind, fileVersion, e.cfg.Identity, e.cfg.Now.UTC().Format(time.RFC3339))
		for i, f := range e.cfg.Functions {
			b = append(b, [2]string{`,"functions":[`, `,`}[min(i, 1)]...)
			b = appendFunction(b, f)
			if i == len(e.cfg.Functions)-1 {
				b = append(b, ']')
			}
		}
		if e.cfg.IDPrefix != "" {
			b = append(append(b, `,"idPrefix":`...), quote(e.cfg.IDPrefix)...)
		}
		return append(b, '}')
	})
	for _, f := range h.Functions {
		if f.Function.Namespace == ours {
			continue
		}
		if len(e.cfg.Functions) > 0 && !slices.Contains(e.cfg.Functions, f.Function) {
			continue
		}
		e.specs[f.Function] = f.States
		for i := range f.States {
			if err := e.spec(f.Function, &f.States[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *exporter) spec(f api.FunctionType, s *statestore.StateSpec) error {
	if err := writable(f.Namespace, f.Name, s.Name, s.TypeName); err != nil {
		return err
	}
	e.line(func(b []byte) []byte {
		b = appendFunction(append(b, `"function":`...), f)
		b = append(append(b, `,"state":`...), quote(s.Name)...)
		b = append(append(b, `,"type":`...), quote(s.TypeName)...)
		b = append(append(b, `,"expiration":{"mode":`...), quote(modes[expirationMode(s)])...)
		if expirationMode(s) != statestore.ExpireNever {
			b = appendTTL(append(b, `,"ttl":`...), s.TTL)
		}
		return append(b, '}', '}')
	})
	return nil
}

// expirationMode takes an expiration without a time for none: that is what it does.
func expirationMode(s *statestore.StateSpec) statestore.Expiration {
	if s.TTL <= 0 {
		return statestore.ExpireNever
	}
	return s.Expiration
}

func appendTTL(b []byte, ms int64) []byte {
	if d := time.Duration(ms) * time.Millisecond; d.Milliseconds() == ms {
		return fmt.Appendf(b, "%q", d)
	}
	return strconv.AppendInt(b, ms, 10)
}

func appendFunction(b []byte, f api.FunctionType) []byte {
	if strings.Contains(f.Namespace, "/") || strings.Contains(f.Name, "/") {
		b = append(append(b, `{"namespace":`...), quote(f.Namespace)...)
		return append(append(append(b, `,"name":`...), quote(f.Name)...), '}')
	}
	return append(b, quote(f.String())...)
}

// address writes its values. They are sorted by name.
func (e *exporter) address(a statestore.AddressState) error {
	if a.Address.Type.Namespace == ours {
		return nil
	}
	before := e.done.Values
	for i := range a.Values {
		v := &a.Values[i]
		if expired(e.specs[a.Address.Type], v, e.cfg.Now.UnixMilli()) {
			e.done.Expired++
			continue
		}
		if err := writable(a.Address.Type.Namespace, a.Address.Type.Name, a.Address.ID, v.Name, v.TypeName); err != nil {
			return err
		}
		e.value(&a.Address, v)
		e.done.Values++
	}
	if e.done.Values > before {
		e.done.Addresses++
	}
	e.cfg.Progress.add(e.done.Values - before)
	_, err := e.out.Write(nil) // what became of the lines so far
	return err
}

func (e *exporter) value(a *api.Address, v *statestore.StateValue) {
	e.line(func(b []byte) []byte {
		b = appendFunction(append(b, `"function":`...), a.Type)
		b = append(append(b, `,"id":`...), quote(a.ID)...)
		b = append(append(b, `,"state":`...), quote(v.Name)...)
		b = append(append(b, `,"type":`...), quote(v.TypeName)...)
		if text := plain(v.TypeName, v.Value); text != nil {
			b = append(append(b, `,"value":`...), text...)
		} else {
			b = append(base64.StdEncoding.AppendEncode(append(b, `,"base64":"`...), v.Value), '"')
		}
		b = strconv.AppendInt(append(b, `,"touched":`...), v.Touched, 10)
		return append(b, '}')
	})
}

// writable keeps an export from writing other names than there are.
func writable(texts ...string) error {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8 and cannot be written as JSON", short(s))
		}
	}
	return nil
}

// expired is what calls are told: see the machine.
func expired(specs []statestore.StateSpec, v *statestore.StateValue, now int64) bool {
	for i := range specs {
		if specs[i].Name == v.Name {
			at := expiresAt(&specs[i], v)
			return at != 0 && at <= now
		}
	}
	return false
}

// expiresAt is when a value has expired, 0: never.
func expiresAt(s *statestore.StateSpec, v *statestore.StateValue) int64 {
	at := v.Touched + s.TTL
	if expirationMode(s) == statestore.ExpireNever || at < v.Touched {
		return 0
	}
	return max(at, 1)
}

// ParseFunction reads NAMESPACE/NAME of a command line.
func ParseFunction(text string) (api.FunctionType, error) {
	f, err := functionOf(field{"function", quote(text)})
	if err == nil {
		err = api.CheckFunctionType(f)
	}
	if err != nil {
		return f, errors.New("want NAMESPACE/NAME")
	}
	return f, nil
}
