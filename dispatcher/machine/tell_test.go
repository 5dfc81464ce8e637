package machine_test

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// tell writes Work down for people, and remembers what is out.
func (s *stage) tell(out *strings.Builder, w *machine.Work) {
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	for _, p := range w.Outputs {
		line("release %s", outputs(p))
	}
	for _, token := range w.Done {
		line("done %d", token)
	}
	for _, a := range w.Answers {
		if a.Outcome != machine.Replied {
			line("answer %d: %s", a.Token, [...]string{"", "accepted", "conflict", "crowded", "set aside: " + a.Reason}[a.Outcome])
			continue
		}
		line("answer %d: %s", a.Token, a.Value.Value)
	}
	for i := range w.Edited {
		line("edit %d: %s", w.Edited[i].Token, edited(&w.Edited[i]))
	}
	for _, p := range w.Finished {
		line("finished %s", progress(p))
	}
	if w.Commit != nil {
		s.commit = w.Commit
		line("commit %d", w.Commit.Number)
		tellCommit(func(format string, args ...any) { line("  "+format, args...) }, w.Commit, s.now)
		if len(w.Sealed) > 0 {
			line("  with what became of events and edits %v", w.Sealed)
		}
	}
	s.takeAsks(out, w)
	for i := range w.Calls {
		c := &w.Calls[i]
		s.calls = append(s.calls, *c)
		with := ""
		if c.Bulk != 0 && i > 0 && w.Calls[i-1].Bulk == c.Bulk {
			with = "  with "
		}
		line("%scall %s", with, call(c))
	}
	for _, id := range w.Full {
		line("full %s", id.Topic)
	}
	for _, id := range w.Room {
		line("room %s", id.Topic)
	}
}

func tellCommit(line func(string, ...any), c *statestore.Commit, now int64) {
	for _, p := range c.Progress {
		line("progress %s", progress(p))
	}
	for _, f := range c.Functions {
		line("function %s %s", f.Function.Name, specs(f.States))
	}
	for _, a := range c.States {
		line("state %s%s%s", name(a.Address), values(a.Values), after(" expires", a.Expires, now))
	}
	for _, m := range c.PackMarks {
		if m.Remove {
			line("pack %d is empty", m.Number)
		} else {
			line("pack %d without %v", m.Number, m.Finished)
		}
	}
	for _, p := range c.Packs {
		line("pack %d:%s", p.Number, mails(p.Messages))
	}
	for _, t := range c.MailTrims {
		line("trim mail of %s below %d", name(t.Address), t.Below)
	}
	for _, m := range c.Mail {
		line("mail of %s:%s", name(m.Address), mails(m.Messages))
	}
	for _, e := range c.TimerEnds {
		line("timer %d ends", e.Number)
	}
	for _, k := range c.Cancels {
		line("cancel %s of id %s below %d", k.Token, k.SenderID, k.Below)
	}
	for _, t := range c.Timers {
		due := fmt.Sprintf("+%d", t.Due-now)
		if t.Due == 1<<63-1 {
			due = "never"
		}
		line("timer %d %s: %s%s", t.Number, due, message(t.Message), as(t.Token))
	}
	for _, p := range c.Outputs {
		line("outputs %s", outputs(p))
	}
	for _, l := range c.LaneStarts {
		line("lane %s started", l.Egress)
	}
	for _, t := range c.Trims {
		line("trim outputs of %s below %d", t.Lane.Egress, t.Below)
	}
	for _, r := range c.Refusals {
		line("output %s %d refused", r.Lane.Egress, r.Number)
	}
	for _, d := range c.DeadLetters {
		line("dead %v from %s: %s%s", d.Kind, d.From, d.Reason, convicted(&d))
	}
	for _, p := range c.Pauses {
		what := "pause of"
		if p.Ended {
			what = "no pause of"
		}
		line("%s %s%s", what, p.Ingress, strings.TrimSuffix(name(p.Address), "nobody"))
	}
	for _, n := range c.DeadEnds {
		line("dead letter %d ends", n)
	}
}

// convicted is what is known of a message that was set aside after calls.
func convicted(d *api.DeadLetter) string {
	if !strings.Contains(d.Detail, "wrong answers") {
		return ""
	}
	text := fmt.Sprintf(": %d(%s", d.Number, message(api.Message{Target: d.Address, Caller: d.Caller, Argument: api.TypedValue{Value: d.Value}}))
	if d.Source.Topic != "" {
		text += fmt.Sprintf(" of %s %d", d.Source.Topic, d.Offset)
	}
	return text + "), " + d.Detail
}

func name(a api.Address) string {
	if a.IsZero() {
		return "nobody"
	}
	if a.Type == machine.OnceType || a.Type == machine.ReplyType { // their ids are of one length
		return a.Type.Name + "/" + unpad(a.ID)
	}
	return a.Type.Name + "/" + a.ID
}

var padding = regexp.MustCompile(`-+`)

func unpad(s string) string { return padding.ReplaceAllString(s, "") }

func message(m api.Message) string {
	from := ""
	if !m.Caller.IsZero() {
		from = " from " + name(m.Caller)
	}
	return fmt.Sprintf("%s=%s%s", name(m.Target), m.Argument.Value, from)
}

func as(token string) string {
	if token == "" {
		return ""
	}
	return " as " + token
}

func mails(all []statestore.Mail) (text string) {
	for _, m := range all {
		text += fmt.Sprintf(" %d(%s)", m.Number, message(m.Message))
	}
	return text
}

func outputs(p statestore.OutputPack) string {
	text := fmt.Sprintf("%s %d:", p.Lane.Egress, p.First)
	for _, o := range p.Outputs {
		text += fmt.Sprintf(" %s(%s)", o.Value.Value, name(o.Sender))
	}
	return text
}

func values(all []statestore.StateValue) (text string) {
	if len(all) == 0 {
		return " is gone"
	}
	for _, v := range all {
		text += fmt.Sprintf(" %s=%s", v.Name, brief(v.Value))
	}
	return text
}

// brief tells a value: as text, or in hexadecimal, and of a long one the beginning.
func brief(v []byte) string {
	text := unpad(string(v))
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		text = fmt.Sprintf("%x", v[:min(len(v), 32)])
	}
	if len(text) > 64 {
		text = strings.TrimSpace(text[:64]) + "..."
	}
	return text
}

func specs(all []statestore.StateSpec) (text string) {
	for _, s := range all {
		text += fmt.Sprintf(" %s:%s", s.Name, s.TypeName)
		switch s.Expiration {
		case statestore.ExpireAfterWrite:
			text += fmt.Sprintf(":write:%d", s.TTL)
		case statestore.ExpireAfterInvoke:
			text += fmt.Sprintf(":invoke:%d", s.TTL)
		}
	}
	return strings.TrimSpace(text)
}

func after(text string, at, now int64) string {
	if at == 0 {
		return ""
	}
	return fmt.Sprintf("%s +%d", text, at-now)
}

func progress(p statestore.Progress) string {
	text := fmt.Sprintf("%s at %d", p.Source.Topic, p.Position())
	for _, t := range p.Targets {
		text += fmt.Sprintf(" %s:%d", t.Key, t.Done.Watermark)
		for _, r := range t.Done.Above {
			text += fmt.Sprintf("+[%d,%d)", r.From, r.To)
		}
	}
	return text
}

func call(c *machine.Call) string {
	text := name(c.Target)
	if c.Attempt > 1 {
		text += fmt.Sprintf(" attempt %d", c.Attempt)
	}
	text += ":"
	for _, m := range c.Messages {
		text += " " + string(m.Argument.Value)
		if !m.Caller.IsZero() {
			text += "<" + name(m.Caller)
		}
	}
	if len(c.States) == 0 {
		return text
	}
	text += " {"
	for i, v := range c.States {
		if i > 0 {
			text += " "
		}
		if text += v.Name; v.Set {
			text += "=" + string(v.Value.Value)
		}
	}
	return text + "}"
}

// show tells what an operator would see: view ADDRESS, reasons, or mail.
func (s *stage) show(args []string) {
	switch args[0] {
	case "view":
		v := s.m.View(address(args[1]))
		text := "not in memory"
		if v.InMemory {
			text = fmt.Sprintf("%s, %d messages, %d of them stored, attempts %d", v.Phase, v.Mailbox, v.Spilled, v.Attempts)
			text += after(", next attempt", v.NextAttempt, s.now)
			if v.Stuck {
				text += ", stuck"
			}
			if v.LastError != "" {
				text += ", last error: " + v.LastError
			}
		}
		fmt.Fprintf(&s.extra, "%s: %s\n", args[1], text)
	case "acts":
		s.showActs()
	case "reasons":
		for _, r := range s.m.Reasons() {
			fmt.Fprintf(&s.extra, "reason %s: %s\n", r.Kind, r.Text)
		}
	case "gauges":
		g := s.m.Gauges()
		if g.Replies+g.RepliesDropped > 0 {
			fmt.Fprintf(&s.extra, "replies %d, dropped %d\n", g.Replies, g.RepliesDropped)
		}
		fmt.Fprintf(&s.extra, "messages %d, in memory %d bytes, calling %d, back-off %d, timers %d, stale answers %d, skipped %d\n",
			g.MailMessages, g.MailBytes, g.Calling, g.Backoff, g.Timers, g.StaleAnswers, g.RecordsSkipped)
	case "events":
		fmt.Fprintf(&s.extra, "events %d, waiting %d\n", s.m.Gauges().Events, s.m.Gauges().EventsWaiting)
	default:
		s.t.Fatalf("show: unknown %q", args[0])
	}
}
