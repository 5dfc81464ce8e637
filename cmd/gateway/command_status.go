package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newStatus() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell on one screen whether all is well",
		Long: `status tells who works, what is not as it should be and why, what is stuck, and how far ingresses and egresses are behind. It ends with 1 when the gateway
is not ready, or does not answer whoever asks, and with 0 when it is: degraded, too.`,
		Example: `  gateway status
  gateway status --watch=5s`,
		Args: noArguments,
	}
	a.register(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			s, err := askStatus(ctx, c)
			if err != nil {
				return err
			}
			if a.isJSON() {
				err = s.writeJSON(out)
			} else {
				err = s.write(out, c.URL())
			}
			switch refused := s.refused(); {
			case err != nil:
				return err
			case refused != nil:
				return refused
			case s.code != http.StatusOK:
				return errReported
			}
			return nil
		})
	}
	return cmd
}

// answeredReadiness is what /readyz says.
type answeredReadiness struct {
	Status, Role string
	Reasons      []struct{ Kind, Text string }
}

// statusParts are what the screen is made of, beside readiness, each by the path that is asked.
var statusParts = []struct {
	name, path string
	whole      bool
}{
	{"version", "/v1/version", true}, {"members", membersPath, true}, {"stuck", stuckPath, true}, {"ingresses", ingressesPath, false}, {"egresses", egressesPath, false}, {"deadLetters", totalsPath, true},
}

// statusItemsMax bounds what is read of each list.
const statusItemsMax = 1000

// readyTimeMax is how long /readyz may take, which a gateway that is alive answers within some seconds whatever it waits for itself.
const readyTimeMax = 4 * time.Second

// status is what was answered. A part that could not be asked for has its error.
type status struct {
	code  int // of /readyz
	ready json.RawMessage
	parts map[string]json.RawMessage // of a list, its items
	errs  map[string]error
}

func askStatus(ctx context.Context, c *client.Client) (*status, error) {
	s := &status{parts: map[string]json.RawMessage{}, errs: map[string]error{}}
	soon, cancel := context.WithTimeout(ctx, readyTimeMax)
	defer cancel()
	answer, err := c.Do(soon, client.Request{Path: "/readyz"})
	if answer.Status == http.StatusServiceUnavailable && json.Valid(answer.Body) {
		err = nil // it is not ready, and says why
	}
	if err != nil {
		return nil, err
	}
	s.code, s.ready = answer.Status, answer.Body
	var ready answeredReadiness
	if err := answer.Into(&ready); err != nil || ready.Status == "" {
		return nil, fmt.Errorf("what answers at %s is no admin side of a gateway", c.URL())
	}
	for _, part := range statusParts {
		if part.name == "version" {
			var v json.RawMessage
			if s.errs[part.name] = c.Get(ctx, part.path, nil, &v); s.errs[part.name] == nil {
				s.parts[part.name] = v
			}
			continue
		}
		items := []json.RawMessage{}
		_, err := walker(c, part.whole)(ctx, part.path, nil, statusItemsMax, func(raw json.RawMessage) error { items = append(items, raw); return nil })
		if err != nil {
			s.errs[part.name] = err
			continue
		}
		if s.parts[part.name], err = json.Marshal(items); err != nil {
			return nil, err
		}
	}
	return s, ctx.Err()
}

// refused is why whoever asks may not know.
func (s *status) refused() error {
	for _, part := range statusParts {
		var p *client.Problem
		if errors.As(s.errs[part.name], &p) && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden) {
			return p
		}
	}
	return nil
}

// writeJSON writes all that was answered as one value, with the error of each part that was not.
func (s *status) writeJSON(out io.Writer) error {
	all := map[string]json.RawMessage{"readiness": s.ready}
	for name, part := range s.parts {
		all[name] = part
	}
	failed := map[string]string{}
	for name, err := range s.errs {
		if err != nil {
			failed[name] = err.Error()
		}
	}
	if len(failed) > 0 {
		text, err := json.Marshal(failed)
		if err != nil {
			return err
		}
		all["errors"] = text
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return writeJSON(out, text)
}

func (s *status) write(out io.Writer, url string) error {
	var ready answeredReadiness
	_ = json.Unmarshal(s.ready, &ready) // askStatus has read it
	pairs := [][2]string{{"gateway", url}, {"status", table.Text(ready.Status) + ", " + table.Text(ready.Role)}}
	for _, r := range ready.Reasons {
		pairs = append(pairs, [2]string{"reason", table.Text(r.Kind) + ": " + table.Text(r.Text)})
	}
	for _, line := range []struct {
		name, part string
		text       func() (string, error)
	}{
		{"version", "version", s.version}, {"members", "members", s.members}, {"stuck", "stuck", s.stuck}, {"ingresses", "ingresses", s.ingresses}, {"outbox", "egresses", s.egresses},
		{"dead letters", "deadLetters", s.deadLetters},
	} {
		err := s.errs[line.part]
		text := ""
		if err == nil {
			text, err = line.text()
		}
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			text = "not known: " + table.Short(first, stuckTextMax)
			if p := (*client.Problem)(nil); line.part == "deadLetters" && ready.Role == "standby" && errors.As(err, &p) && p.Status == http.StatusConflict {
				text = "not counted here: gateway deadletters lists them, of this gateway, too"
			}
		}
		pairs = append(pairs, [2]string{line.name, text})
	}
	if err := table.Fields(out, pairs...); err != nil {
		return err
	}
	if text, err := s.stuck(); err == nil && s.errs["stuck"] == nil && text != nothingStuck {
		_, err := fmt.Fprintln(out, "\ngateway stuck tells more, and what to do.")
		return err
	}
	return nil
}

func (s *status) version() (string, error) {
	var v struct{ Version, Commit, Store, Started string }
	err := json.Unmarshal(s.parts["version"], &v)
	text := table.Text(v.Version)
	if v.Commit != "" {
		text += " commit " + table.Text(v.Commit)
	}
	if v.Store != "" {
		text += ", store " + table.Text(v.Store)
	}
	if v.Started != "" {
		text += ", runs for " + table.Since(v.Started, time.Now())
	}
	return text, err
}

func (s *status) members() (string, error) {
	var all []answeredMember
	err := json.Unmarshal(s.parts["members"], &all)
	var said []string
	for _, m := range all {
		said = append(said, fmt.Sprintf("%s %s (%d on %s)", table.Text(m.Role), orNone(table.Text(m.Admin)), m.PID, table.Text(m.Host)))
	}
	return orNone(strings.Join(said, "; ")), err
}

func (s *status) stuck() (string, error) {
	var all []answeredStuck
	if err := json.Unmarshal(s.parts["stuck"], &all); err != nil {
		return "", err
	}
	if len(all) == 0 {
		return nothingStuck, nil
	}
	var causes []string
	counts, oldest := map[string]int64{}, 0.0
	for _, x := range all {
		if counts[x.Cause] == 0 {
			causes = append(causes, x.Cause)
		}
		counts[x.Cause] += max(x.Count, 1)
		oldest = max(oldest, x.ForSeconds)
	}
	for i, cause := range causes {
		causes[i] = fmt.Sprintf("%d %s", counts[cause], table.Text(cause))
	}
	return fmt.Sprintf("%s; the oldest for %s", strings.Join(causes, ", "), table.Age(oldest)), nil
}

func (s *status) ingresses() (string, error) {
	var all []answeredIngress
	if err := json.Unmarshal(s.parts["ingresses"], &all); err != nil {
		return "", err
	}
	var lag, halted int64
	oldest, known := 0.0, false
	for _, i := range all {
		if i.Lag != nil {
			lag, known = lag+*i.Lag, true
		}
		oldest = max(oldest, i.OldestSeconds)
		if paused(i.Paused) != nil {
			halted++
		}
	}
	text := decimal(int64(len(all)))
	if known {
		text += fmt.Sprintf(", %s behind", plural(lag, "record", "records"))
	}
	if oldest > 0 {
		text += ", the oldest for " + table.Age(oldest)
	}
	if halted > 0 {
		text += fmt.Sprintf(", %d paused", halted)
	}
	return text, nil
}

func (s *status) egresses() (string, error) {
	var all []answeredEgress
	if err := json.Unmarshal(s.parts["egresses"], &all); err != nil {
		return "", err
	}
	var outputs, size int64
	oldest := 0.0
	var halted []string
	for _, e := range all {
		outputs, size, oldest = outputs+e.Outbox.Outputs, size+e.Outbox.Bytes, max(oldest, e.Outbox.OldestSeconds)
		if slices.ContainsFunc(e.Lanes, func(l answeredLane) bool { return l.Halted != nil }) {
			halted = append(halted, table.Word(e.Egress))
		}
	}
	text := fmt.Sprintf("%s, %s", plural(outputs, "output", "outputs"), table.Bytes(size))
	if oldest > 0 {
		text += ", the oldest for " + table.Age(oldest)
	}
	if len(halted) > 0 {
		text += "; stands still: " + strings.Join(halted, ", ")
	}
	return text, nil
}

func (s *status) deadLetters() (string, error) {
	var all []answeredTotal
	if err := json.Unmarshal(s.parts["deadLetters"], &all); err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "none", nil
	}
	var letters, size int64
	for _, t := range all {
		letters, size = letters+t.Letters, size+t.Bytes
	}
	return fmt.Sprintf("%d, %s, of %s", letters, table.Bytes(size), plural(int64(len(all)), "origin", "origins")), nil
}
