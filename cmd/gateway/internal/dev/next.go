package dev

import (
	"fmt"
	"strings"
	"time"
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
	if address != "" {
		fmt.Fprintf(&b, "  curl '%s/v1/addresses/%s/ada'    # its state\n", w.address(), address)
	}
	fmt.Fprintf(&b, "  curl %s/    # what else can be asked\n\n", w.address())
	return b.String()
}
