package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
)

// slowCommit is how long a commit may take before the store counts as slow.
const slowCommit = time.Second

// Stuck is what waits longer than it should and why, the oldest first, at most limit: what the machine knows, and what the parts around
// it have stated.
func (a *App) Stuck(ctx context.Context, limit int) ([]report.Stuck, error) {
	found, err := asked(ctx, a, func(d *dispatcher.Dispatcher) ([]machine.Stuck, error) {
		found, err := d.Stuck(ctx)
		return append(found, a.slowStore(d)...), err
	})
	if err != nil {
		return nil, err
	}
	found = append(found, a.stated()...)
	slices.SortStableFunc(found, machine.CompareStuck)
	var out []report.Stuck
	for i := range found[:min(len(found), limit)] {
		out = append(out, report.Stuck{Stuck: found[i], Remedy: remedyOf(&found[i]), Look: lookOf(&found[i])})
	}
	return out, nil
}

// slowStore tells of commits that take long while the store is not away.
func (a *App) slowStore(d *dispatcher.Dispatcher) []machine.Stuck {
	out, last := d.Pace()
	s := machine.Stuck{Cause: machine.StuckStoreSlow, Kind: machine.OnStore, Name: a.cfg.StoreName, Count: 1}
	switch {
	case d.StoreAway() != "":
		return nil
	case out > slowCommit:
		s.Since = time.Now().Add(-out).UnixMilli()
		s.Text = fmt.Sprintf("a commit has been out for %s; all that waits for it waits as long", out.Round(time.Millisecond))
	case last > slowCommit:
		s.Since = time.Now().Add(-last).UnixMilli()
		s.Text = fmt.Sprintf("the last commit took %s; all that waits for one waits as long", last.Round(time.Millisecond))
	default:
		return nil
	}
	return []machine.Stuck{s}
}

// stated are the conditions that ingresses, egresses and the store have stated: one line for each ingress, and for each of the others
// one for each condition.
func (a *App) stated() (out []machine.Stuck) {
	ingresses := map[string]int{} // place in out
	for _, c := range a.troubles.all() {
		kind, rest, _ := strings.Cut(c.Key, " ")
		s := machine.Stuck{Kind: kind, Name: a.named(kind, rest), Since: c.Since.UnixMilli(), Count: 1, Text: c.Text, LastError: c.Text}
		switch kind {
		case machine.OnIngress:
			s.Cause, s.Text = machine.StuckIngressHalted, c.Key+": "+c.Text
			if at, ok := ingresses[s.Name]; ok {
				out[at].Count++
				out[at].Since = min(out[at].Since, s.Since)
				continue
			}
			ingresses[s.Name] = len(out)
		case machine.OnEgress:
			s.Cause = machine.StuckEgressAway
			switch {
			case strings.HasSuffix(c.Key, ": cursor lost") || strings.HasSuffix(c.Key, ": store is older"):
				s.Cause = machine.StuckLaneHalted
			case strings.HasSuffix(c.Key, strangerKey):
				s.Cause = machine.StuckUndeclared
			}
		case machine.OnStore:
			s.Cause, s.Name = machine.StuckStoreAway, a.cfg.StoreName
		default:
			continue
		}
		out = append(out, s)
	}
	return out
}

// named finds the id in the key of a condition: the longest of those that are declared, or what ends where the sentence goes on.
func (a *App) named(kind, rest string) string {
	name := rest
	if end := strings.IndexAny(rest, " :"); end >= 0 {
		name = rest[:end]
	}
	consider := func(id string) {
		if after, ok := strings.CutPrefix(rest, id); ok && len(id) > len(name) && (after == "" || after[0] == ' ' || after[0] == ':') {
			name = id
		}
	}
	if kind == machine.OnEgress {
		for id := range a.egresses {
			consider(id)
		}
		return name
	}
	for id := range ingressKinds(a.cfg.Module) {
		consider(id)
	}
	return name
}

// remedyOf is the command that an operator types next.
func remedyOf(s *machine.Stuck) string {
	name := table.Word(s.Name)
	switch s.Cause {
	case machine.StuckPoisoned:
		if s.ByItself {
			return ofAddress("show", s, "")
		}
		if s.Kind == machine.OnAddress && s.Message != 0 {
			return ofAddress("skip", s, fmt.Sprintf("--message %d", s.Message))
		}
	case machine.StuckTimesOut:
		if s.Kind == machine.OnAddress && s.LastError != "" { // it waits for its next attempt, a minute at last: when the service is well again
			return ofAddress("retry", s, "")
		}
	case machine.StuckEndpointDown, machine.StuckEndpointBusy: // nothing is to be done to what waits: it goes on by itself
		if s.Address.IsZero() {
			return "gateway functions"
		}
		return "gateway functions " + table.Word(s.Address.Type.String())
	case machine.StuckPaused:
		if s.Kind == machine.OnAddress && s.Address.IsZero() {
			return "gateway audit"
		}
		if s.Kind == machine.OnAddress {
			return ofAddress("resume", s, "")
		}
		return "gateway " + s.Kind + plural(s.Kind) + " resume " + name
	case machine.StuckUndeclared:
		if s.Kind == machine.OnEgress {
			return "gateway egresses forget " + name
		}
		return "gateway addresses " + name
	case machine.StuckDeadLetters:
		return "gateway deadletters --" + s.Kind + " " + name
	case machine.StuckLaneHalted:
		return "gateway egresses decide " + name + " --lane 0 --deliver stored"
	case machine.StuckStoreAway, machine.StuckStoreSlow:
		return "gateway status"
	}
	switch s.Kind {
	case machine.OnAddress:
		return ofAddress("show", s, "")
	case machine.OnFunction:
		if s.Cause == machine.StuckPoisoned {
			return "gateway addresses " + name + " --failing"
		}
		if s.Cause != machine.StuckBound {
			return "gateway addresses " + name
		}
		return "gateway functions " + name
	case machine.OnIngress, machine.OnEgress:
		return "gateway " + s.Kind + plural(s.Kind) + " " + name
	}
	return "gateway functions"
}

// lookOf is the command that shows what is known of it, where the remedy does something.
func lookOf(s *machine.Stuck) string {
	if s.Kind != machine.OnAddress || s.Address.IsZero() {
		return ""
	}
	if look := ofAddress("show", s, ""); look != remedyOf(s) {
		return look
	}
	return ""
}

func plural(noun string) string {
	if strings.HasSuffix(noun, "s") {
		return "es"
	}
	return "s"
}

// typedIDBytesMax is how long an id may be that somebody is shown to type.
const typedIDBytesMax = 512

// ofAddress is a command about one address. An id that looks like a flag stands behind all flags.
func ofAddress(verb string, s *machine.Stuck, flags string) string {
	if len(s.Address.ID) > typedIDBytesMax {
		return "gateway addresses " + table.Word(s.Address.Type.String())
	}
	parts := []string{"gateway addresses", verb, table.Word(s.Address.Type.String()), table.Word(s.Address.ID), flags}
	if strings.HasPrefix(s.Address.ID, "-") {
		parts = []string{"gateway addresses", verb, flags, "--", parts[2], parts[3]}
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " ")
}
