package dispatcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// journal writes what operators must read, and sums up what repeats: of one kind of event a line at once, and then one a minute
// with how many there were in between. The loop is among those who tell it something, so it writes on a goroutine of its own, and
// drops what comes faster than the log takes it.
type journal struct {
	log   *slog.Logger
	lines chan line
	kinds map[string]*kind // the loop's own
}

// line is what is to be written.
type line struct {
	level slog.Level
	text  string
	args  []any
}

func newJournal(log *slog.Logger) journal {
	return journal{log: log, lines: make(chan line, linesMax), kinds: map[string]*kind{}}
}

type kind struct {
	said  time.Time
	since int // events that were not said
}

const (
	sayEvery   = time.Minute
	kindsMax   = 1000 // beyond them all share one line
	textMax    = 300  // of what became of a call
	linesMax   = 256
	watchEvery = time.Second
)

// due reports whether an event of this kind is said now, and how many were not said before it.
func (j *journal) due(of string, now time.Time) (unsaid int, ok bool) {
	k := j.kinds[of]
	if k == nil && len(j.kinds) >= kindsMax {
		of = ""
		k = j.kinds[of]
	}
	if k == nil {
		k = &kind{}
		j.kinds[of] = k
	}
	if now.Sub(k.said) < sayEvery {
		k.since++
		return 0, false
	}
	unsaid, k.said, k.since = k.since, now, 0
	return unsaid, true
}

// say hands a line over.
func (j *journal) say(level slog.Level, text string, args ...any) {
	select {
	case j.lines <- line{level, text, args}:
	default:
	}
}

// callFailed tells of a failed attempt. What the function said may hold what it was sent, so that is told at debug only.
func (j *journal) callFailed(call *machine.Call, f *endpoint.Failure) {
	unsaid, ok := j.due("call "+call.Function.String()+" "+f.Kind.String(), time.Now())
	if !ok {
		return
	}
	j.say(slog.LevelWarn, "calls fail; their messages wait and are tried again", "function", call.Function.String(), "id", short(call.Target.ID),
		"attempt", call.Attempt, "kind", f.Kind.String(), "error", cut(f.Outcome()), "more_since_last", unsaid)
}

// leftAlone tells of a bulk that did not answer its calls. That is said of the endpoint: it may be the fault of any of them, and none
// has failed.
func (j *journal) leftAlone(gate string, call *machine.Call, f *endpoint.Failure) {
	unsaid, ok := j.due("bulk "+gate+" "+f.Kind.String(), time.Now())
	if !ok {
		return
	}
	text := "a bulk ended without an answer to some of its calls; they are called again at once, each alone"
	if f.Kind == endpoint.NoBulk {
		text = "an endpoint takes no bulk calls, or not any more; they are called again at once, each alone"
	}
	j.say(slog.LevelInfo, text, "function", call.Function.String(), "error", cut(f.Outcome()), "more_since_last", unsaid)
}

func cut(text string) string {
	if len(text) > textMax {
		return text[:textMax] + "..."
	}
	return text
}

// setAside tells of a dead letter.
func (j *journal) setAside(dead *api.DeadLetter) {
	unsaid, ok := j.due("dead "+dead.From+" "+dead.Reason, time.Now())
	if !ok {
		return
	}
	args := []any{"kind", dead.Kind.String(), "from", short(dead.From), "reason", dead.Reason, "more_since_last", unsaid}
	if dead.Kind != api.DeadMessage { // of a message it may have what the function said
		args = append(args, "detail", short(dead.Detail))
	}
	if dead.Source.Topic != "" {
		args = append(args, "topic", dead.Source.Topic, "partition", dead.Source.Partition, "offset", dead.Offset)
	}
	j.say(slog.LevelWarn, "set aside as a dead letter; /v1/deadletters shows it", args...)
}

// keepJournal writes, and tells of conditions when they begin and when they are over.
func (d *Dispatcher) keepJournal() {
	active := map[string]string{}
	tick := time.NewTicker(d.cfg.watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case l := <-d.journal.lines:
			d.log.Log(d.ctx, l.level, l.text, l.args...)
			continue
		case <-tick.C:
		}
		reasons, err := d.Reasons(context.Background())
		if err != nil {
			return
		}
		now := map[string]string{}
		for _, r := range reasons {
			now[r.Key] = r.Text
			if _, known := active[r.Key]; !known {
				d.log.Warn("degraded", "kind", r.Kind, "detail", r.Text)
			}
		}
		for key, text := range active {
			if _, still := now[key]; !still {
				d.log.Info("no longer degraded", "was", text)
			}
		}
		active = now
	}
}
