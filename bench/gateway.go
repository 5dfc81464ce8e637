//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: %[1]s
  consumerGroupId: %[2]s
  startupPosition: {type: earliest}
  topics: [{topic: %[3]s, valueType: test/event, targets: [test/%[4]s]}]
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "%[5]s", maxNumBatchRequests: %[8]d}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: %[6]s
  deliverySemantic: %[7]s
`

// httpText is added where events come by HTTP.
const httpText = `---
kind: io.stategate.http.v1/ingress
spec: {id: test/http, functions: [test/*]}
`

// gateway is the command that runs the gateway; its addresses and its module are the same through restarts.
func (r *run) gateway(ctx context.Context) (*exec.Cmd, error) {
	if r.admin == "" {
		if err := r.place(); err != nil {
			return nil, err
		}
	}
	return exec.CommandContext(ctx, r.programs.gateway, "run", "--module", r.file("yaml"), "--store", r.storeURL(), "--admin", r.admin,
		"--listen", r.listen, "--log-level", "error"), nil
}

func (r *run) place() (err error) {
	if r.admin, err = freeAddress(); err != nil {
		return err
	}
	if r.listen, err = freeAddress(); err != nil {
		return err
	}
	semantic := "{type: at-least-once}"
	if r.cell.Semantic == exactlyOnce {
		semantic = "{type: exactly-once, transactionTimeout: 30s}"
	}
	messages := 1000 // of a call, the default
	if r.cell.Mode == single {
		messages = 1
	}
	text := fmt.Sprintf(moduleText, r.w.kafka.Addr(), r.name, r.in, r.load.target, r.url(), r.kafkaOut, semantic, messages)
	if r.load.http {
		text += httpText
	}
	return os.WriteFile(r.file("yaml"), []byte(text), 0o600)
}

// storeURL is the store of this run alone.
func (r *run) storeURL() string {
	if r.w.postgres != nil {
		return fmt.Sprintf("%s&schema=%s", r.w.postgres.URL(), r.name)
	}
	return "sqlite:" + r.file("db")
}
