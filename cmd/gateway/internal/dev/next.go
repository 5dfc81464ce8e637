package dev

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// next says what to paste into another terminal.
func (w *world) next() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe gateway runs, %.1f s after the start; Ctrl-C ends it. In another terminal:\n", time.Since(w.Began).Seconds())
	address := ""
	known := w.named()
	for i := range w.module.KafkaIngresses {
		for _, t := range w.module.KafkaIngresses[i].Topics {
			fmt.Fprintf(&b, "  curl -X PUT -d hello '%s%s/%s?key=ada'    # a record for topic %[3]s; its key is the id\n", w.address(), topicsPath, t.Topic)
			if len(t.Targets) > 0 && address == "" {
				address = t.Targets[0].String()
			}
		}
	}
	if p := w.module.PlaygroundIngress; p != nil {
		b.WriteString(played(p.Address(), known))
	}
	if w.events != nil {
		base := "http://" + w.events.Addr().String()
		for _, in := range w.module.HTTPIngresses {
			for _, r := range in.Routes {
				fmt.Fprintf(&b, "  curl -X %s -d '{}' '%s%s'    # %s\n", r.Method, base, inBraces.ReplaceAllString(r.Path, "ada"), waitsFor(r.Mode))
			}
			for _, f := range in.Functions {
				b.WriteString(call(base, f, known))
			}
		}
	}
	if address == "" && len(known) > 0 {
		address = url.PathEscape(known[0].function.Namespace) + "/" + url.PathEscape(known[0].function.Name)
	}
	if address != "" {
		fmt.Fprintf(&b, "  curl '%s/v1/addresses/%s/ada'    # its state\n", w.address(), address)
	}
	fmt.Fprintf(&b, "  curl %s/    # what else can be asked\n\n", w.address())
	return b.String()
}

// inBraces is a name in a path.
var inBraces = regexp.MustCompile(`\{[^{}]*\}`)

func waitsFor(m module.HTTPMode) string {
	if m == module.HTTPSend {
		return "an event"
	}
	return "waits for the reply"
}

// named is a function that the module names, and the type of what it is sent; "": the module does not tell.
type named struct {
	function  api.FunctionType
	valueType string
}

// named are the functions that the module names, those with a type first.
func (w *world) named() (out []named) {
	var bare []named
	add := func(f api.FunctionType, valueType string) {
		if valueType == "" {
			bare = append(bare, named{f, ""})
		} else {
			out = append(out, named{f, valueType})
		}
	}
	for i := range w.module.HTTPIngresses {
		for _, r := range w.module.HTTPIngresses[i].Routes {
			add(r.Target, r.ValueType)
		}
	}
	for i := range w.module.KafkaIngresses {
		for _, t := range w.module.KafkaIngresses[i].Topics {
			for _, f := range t.Targets {
				add(f, t.ValueType)
			}
		}
	}
	for i := range w.module.Endpoints {
		if f := w.module.Endpoints[i].Functions; !f.All {
			add(api.FunctionType{Namespace: f.Namespace, Name: f.Name}, "")
		}
	}
	return append(out, bare...)
}

// call is the line for functions that /v1/call reaches. Where nothing names one, a shell refuses the line until somebody does: a
// request for a function that nobody serves would wait in vain.
func call(base string, f module.Functions, known []named) string {
	n := named{function: api.FunctionType{Namespace: f.Namespace, Name: f.Name}}
	at := slices.IndexFunc(known, func(k named) bool {
		return k.function.Namespace == f.Namespace && (f.All || k.function.Name == f.Name)
	})
	if at >= 0 {
		n = known[at]
	}
	name := url.PathEscape(n.function.Name)
	if name == "" {
		name = `'"${NAME:?put the name of a function here}"'`
	}
	header, hint := "Content-Type: text/plain", ""
	switch n.valueType {
	case "":
		hint = "; is its type not text? -H 'Stategate-Type: TYPE' says it"
	case textType:
	default:
		header = "Stategate-Type: " + url.PathEscape(n.valueType)
		header = strings.ReplaceAll(header, "%2F", "/")
	}
	return fmt.Sprintf("  curl -H %s -d hello '%s/v1/call/%s/%s/ada'    # %s%s; /v1/send waits for none\n",
		quoted(header), base, url.PathEscape(n.function.Namespace), name, waitsFor(module.HTTPCall), hint)
}

// textType is the type of text/plain.
const textType = "io.statefun.types/string"

// quoted is one word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// played is the line for a playground ingress.
func played(address string, known []named) string {
	where, typeName := `'"${FUNCTION:?put NAMESPACE/NAME of a function here}"'`, "TYPE"
	if len(known) > 0 {
		f := known[0].function
		where, typeName = url.PathEscape(f.Namespace)+"/"+url.PathEscape(f.Name), cmp.Or(known[0].valueType, typeName)
	}
	return fmt.Sprintf("  curl -X PUT -H %s -d hello 'http://%s/%s/ada'\n", quoted("Content-Type: application/vnd."+typeName), address, where)
}
