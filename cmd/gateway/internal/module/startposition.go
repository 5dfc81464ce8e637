package module

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"
)

// StartupKind says where an ingress begins when the store has no position of it.
type StartupKind string

const (
	StartLatest          StartupKind = "latest" // the default
	StartEarliest        StartupKind = "earliest"
	StartGroupOffsets    StartupKind = "group-offsets"
	StartSpecificOffsets StartupKind = "specific-offsets"
	StartDate            StartupKind = "date"
)

// StartupPosition is where an ingress begins when the store has no position of it.
type StartupPosition struct {
	Kind    StartupKind
	Offsets map[TopicPartition]int64 // of specific-offsets; other partitions begin as with group-offsets
	Date    time.Time                // of date; where no record is as young, the partition begins at latest
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (t TopicPartition) String() string { return fmt.Sprintf("%s/%d", t.Topic, t.Partition) }

func (p *parser) startupPosition(spec *object, kinds ...StartupKind) StartupPosition {
	latest := StartupPosition{Kind: StartLatest}
	n := spec.take("startupPosition")
	if n == nil {
		return latest
	}
	o := p.object(n, "startupPosition", Error)
	if o == nil {
		return latest
	}
	kind := StartupKind(o.choice("type", names(kinds)))
	position := StartupPosition{Kind: kind}
	switch kind {
	case "":
		o.knows("offsets", "date")
		position = latest
	case StartSpecificOffsets:
		position.Offsets = p.specificOffsets(o)
	case StartDate:
		if n := o.need("date"); n != nil {
			if text, ok := p.textOf(n, "date", Error); ok {
				position.Date = p.startDate(n, text)
			}
		}
	}
	for _, k := range kinds {
		switch {
		case k == StartSpecificOffsets && kind != k && kind != "":
			o.ignored("it belongs to type specific-offsets", "offsets")
		case k == StartDate && kind != k && kind != "":
			o.ignored("it belongs to type date", "date")
		}
	}
	o.close()
	return position
}

func names[T ~string](of []T) []string {
	var out []string
	for _, s := range of {
		out = append(out, string(s))
	}
	return out
}

// choice is the value of a required key that must be one of some words, spelt exactly so; "" after a complaint.
func (o *object) choice(name string, allowed []string) string {
	n := o.need(name)
	if n == nil {
		return ""
	}
	text, ok := o.p.textOf(n, name, Error)
	if !ok {
		return ""
	}
	for _, a := range allowed {
		if text == a {
			return a
		}
	}
	got := "something else"
	if !o.hides {
		got = o.p.describe(n)
	}
	o.p.complain(n, Error, "%s of %s is %s: want one of %s", name, o.what, got, strings.Join(allowed, ", "))
	return ""
}

// specificOffsets reads a list of <topic>/<partition>: <offset>. StateFun takes an offset that is no number for 0 and silently reads
// everything again; that is refused here.
func (p *parser) specificOffsets(o *object) map[TopicPartition]int64 {
	items, ok := o.list("offsets", true)
	if ok && len(items) == 0 {
		p.complain(o.node, Error, "offsets is empty: want a list of <topic>/<partition>: <offset>")
	}
	offsets := map[TopicPartition]int64{}
	for _, item := range items {
		key, value, ok := p.entry(item, "offsets")
		if !ok {
			continue
		}
		p.others(item, "offsets", false)
		tp, err := parseTopicPartition(key.Value)
		if err != nil {
			p.complain(key, Error, "offsets: %v, got %s", err, quote(key.Value))
			continue
		}
		offset, ok := p.wholeNumber(value, true)
		if !ok || offset < 0 {
			p.complain(value, Error, "offsets: want the offset of %s as an integer of at least 0, got %s", quote(key.Value), p.describe(value))
			continue
		}
		if _, twice := offsets[tp]; twice {
			p.complain(key, Warning, "offsets: %s is given twice: the last one counts", quote(key.Value))
		}
		offsets[tp] = offset
	}
	return offsets
}

func parseTopicPartition(s string) (TopicPartition, error) {
	slash := strings.LastIndexByte(s, '/')
	if slash > 0 {
		if n, err := strconv.ParseInt(s[slash+1:], 10, 32); err == nil && n >= 0 {
			return TopicPartition{Topic: s[:slash], Partition: int32(n)}, nil
		}
	}
	return TopicPartition{}, errors.New("want <topic>/<partition> with the partition as an integer of at least 0")
}

// startDatePattern is StateFun's yyyy-MM-dd HH:mm:ss.SSS Z; Go's parser alone would be more lenient.
var startDatePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4}$`)

func (p *parser) startDate(n *yaml.Node, text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.000 -0700", text)
	switch {
	case err != nil || !startDatePattern.MatchString(text):
		p.complain(n, Error, `date: want yyyy-MM-dd HH:mm:ss.SSS +HHMM, as in "2023-02-01 04:15:00.000 +0000", got %s`, p.describe(n))
		return time.Time{}
	case t.After(time.Now()):
		p.complain(n, Error, "date: %s lies in the future", p.describe(n))
	}
	return t.UTC()
}
