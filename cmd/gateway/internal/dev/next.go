package dev

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// next says what to paste into another terminal.
func (w *world) next() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe gateway runs, %.1f s after the start; Ctrl-C ends it. In another terminal:\n", time.Since(w.Began).Seconds())
	address := ""
	for i := range w.module.KafkaIngresses {
		for _, t := range w.module.KafkaIngresses[i].Topics {
			fmt.Fprintf(&b, "  curl -X PUT -d hello '%s%s/%s?key=ada'    # a record for topic %[3]s; its key is the id\n", w.address(), topicsPath, t.Topic)
			if len(t.Targets) > 0 && address == "" {
				address = t.Targets[0].String()
			}
		}
	}
	if p := w.module.PlaygroundIngress; p != nil {
		fmt.Fprintf(&b, "  curl -X PUT -H 'Content-Type: application/vnd.example/type' -d hello 'http://%s/{namespace}/{name}/{id}'\n", p.Address())
	}
	if w.events != nil {
		base := "http://" + w.events.Addr().String()
		for _, in := range w.module.HTTPIngresses {
			for _, r := range in.Routes {
				fmt.Fprintf(&b, "  curl -X %s -d '{}' '%s%s'    # %s\n", r.Method, base, inBraces.ReplaceAllString(r.Path, "ada"), waitsFor(r.Mode))
			}
			for _, f := range in.Functions {
				fmt.Fprintf(&b, "  curl -H 'Content-Type: text/plain' -d hello '%s/v1/call/%s/ada'    # %s; /v1/send waits for none\n", base, exampleOf(f), waitsFor(module.HTTPCall))
			}
		}
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

// exampleOf is a function that the pattern names.
func exampleOf(f module.Functions) string {
	if f.All {
		return f.Namespace + "/{name}"
	}
	return f.String()
}
