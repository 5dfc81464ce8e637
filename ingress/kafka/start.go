package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/statestore"
)

// begin says how a source begins that the store has never heard of.
type begin uint8

const (
	beginStartup  begin = iota // by the module's startupPosition
	beginAppeared              // likewise, but all that the topic holds came after the ingress: latest means earliest
	beginEarliest              // a partition that was added to a topic which is known
)

// Conditions that stop a partition, as the end of their keys.
const (
	topicAnew     = "topic was made anew"
	positionLost  = "position is lost"
	startOutside  = "start position lies outside of the log"
	cannotBeRead  = "cannot be read"
	remedyRewrite = "decide where to go on: write autoOffsetResetPosition (earliest or latest) into the module and restart the gateway"
)

// lost is why a partition stops: no position can be chosen without a decision of a person.
type lost struct{ condition, text string }

func (l *lost) Error() string { return l.condition + ": " + l.text }

// extent is what the log of a partition holds: from oldest up to before newest.
type extent struct{ oldest, newest int64 }

// position answers where to read on, and notes which topic that belongs to. Where the store knows nothing the start position
// is made durable first. A *lost is a stop; other errors may pass.
func (r *reader) position(ctx context.Context) (int64, error) {
	offset, why, err := r.assess(ctx)
	if err != nil {
		return 0, err
	}
	if why != nil {
		// One broker may lag behind the others, a new leader behind its followers: only what two looks agree on is so.
		if !sleep(ctx, r.pace.confirm) {
			return 0, ctx.Err()
		}
		condition := why.condition
		if offset, why, err = r.assess(ctx); err != nil {
			return 0, err
		}
		if why != nil && why.condition != condition {
			return 0, fmt.Errorf("%s, then: %w", condition, errors.New(why.Error()))
		}
	}
	if why == nil {
		return offset, nil
	}
	if !r.ResetWritten {
		return 0, why
	}
	return r.reset(ctx, why)
}

// assess looks at the log and the store and says where to read on, or why that cannot be said.
func (r *reader) assess(ctx context.Context) (int64, *lost, error) {
	before := r.watch.topic(r.topic.Name)
	log, err := r.extent()
	if err != nil {
		return 0, nil, err
	}
	if err := r.watch.fresh(ctx); err != nil {
		return 0, nil, err
	}
	info := r.watch.topic(r.topic.Name)
	switch {
	case info.err != nil:
		return 0, nil, info.err
	case before.err == nil && before.id != info.id:
		return 0, nil, errors.New("the topic was made anew just now")
	case !slices.Contains(info.partitions, r.source.Partition):
		return 0, nil, errors.New("the topic has no such partition any more")
	}
	r.sight.Store(&sight{id: info.id, log: log})
	p, ok := r.engine.Progress(r.source)
	if !ok {
		offset, why, err := r.begins(ctx, log, info.id)
		return offset, why, err
	}
	r.abstain(ctx)
	r.topicID.Store(&info.id)
	offset := p.Position()
	if r.next >= 0 {
		offset = r.next
	}
	switch {
	case p.TopicID != "" && info.id != "" && p.TopicID != info.id:
		return 0, &lost{topicAnew, fmt.Sprintf("the store has read up to offset %d of the topic with id %s; under its name there is now another one with id %s (offsets %d to %d); %s",
			offset, p.TopicID, info.id, log.oldest, log.newest, remedyRewrite)}, nil
	case offset < log.oldest:
		return 0, &lost{positionLost, fmt.Sprintf("the next offset to read is %d, but the log begins at %d: records were deleted (retention?) before they were read; %s",
			offset, log.oldest, remedyRewrite)}, nil
	case offset > log.newest:
		return 0, &lost{positionLost, fmt.Sprintf("the next offset to read is %d, but the log ends at %d: it was cut off or is another one; %s",
			offset, log.newest, remedyRewrite)}, nil
	}
	return offset, nil, nil
}

func (r *reader) extent() (extent, error) {
	oldest, err := r.control.GetOffset(r.topic.Name, r.source.Partition, sarama.OffsetOldest)
	if err != nil {
		return extent{}, fmt.Errorf("ask for the first offset: %w", err)
	}
	newest, err := r.control.GetOffset(r.topic.Name, r.source.Partition, sarama.OffsetNewest)
	if err != nil {
		return extent{}, fmt.Errorf("ask for the last offset: %w", err)
	}
	return extent{oldest, newest}, nil
}

// begins chooses the position of a source that the store has never heard of and makes it durable.
func (r *reader) begins(ctx context.Context, log extent, id string) (int64, *lost, error) {
	offset, why, err := r.choose(log)
	if err != nil {
		return 0, nil, err
	}
	if why != nil {
		return 0, why, nil
	}
	if err := r.start(ctx, offset, id); err != nil {
		return 0, nil, err
	}
	r.Log.Info("kafka ingress: source begins", "source", r.source.String(), "offset", offset, "logStart", log.oldest, "logEnd", log.newest)
	return offset, nil, nil
}

// choose resolves the startup position.
func (r *reader) choose(log extent) (int64, *lost, error) {
	latest := log.newest
	if r.begin == beginAppeared {
		latest = log.oldest
	}
	reset := latest
	if r.Reset == ResetEarliest {
		reset = log.oldest
	}
	asked := func(what string, offset int64) (int64, *lost, error) {
		if offset >= log.oldest && offset <= log.newest {
			return offset, nil, nil
		}
		return 0, &lost{startOutside, fmt.Sprintf("%s asks for offset %d, but the log holds %d to %d; %s", what, offset, log.oldest, log.newest, remedyRewrite)}, nil
	}
	if r.begin == beginEarliest {
		return log.oldest, nil, nil
	}
	switch r.Startup.Kind {
	case StartEarliest:
		return log.oldest, nil, nil
	case StartDate:
		offset, err := r.control.GetOffset(r.topic.Name, r.source.Partition, r.Startup.Date.UnixMilli())
		if err != nil {
			return 0, nil, fmt.Errorf("ask for the offset at %s: %w", r.Startup.Date, err)
		}
		if offset < 0 {
			offset = log.newest
		}
		return offset, nil, nil
	case StartSpecificOffsets:
		if offset, ok := r.Startup.Offsets[TopicPartition{r.topic.Name, r.source.Partition}]; ok {
			return asked("startupPosition", offset)
		}
	case StartGroupOffsets:
	default:
		return latest, nil, nil
	}
	if r.Group == "" {
		return reset, nil, nil
	}
	offset, ok, err := r.committed(r.topic.Name, r.source.Partition)
	if err != nil {
		return 0, nil, fmt.Errorf("ask for the offset of group %s: %w", r.Group, err)
	}
	if !ok {
		return reset, nil, nil
	}
	return asked("consumer group "+r.Group, offset)
}

// reset gives up a position that is lost, as the module says, and not in silence.
func (r *reader) reset(ctx context.Context, why *lost) (int64, error) {
	sight := r.sight.Load()
	offset := sight.log.newest
	if r.Reset == ResetEarliest {
		offset = sight.log.oldest
	}
	r.Log.Error("kafka ingress: "+why.condition+"; goes on by autoOffsetResetPosition, records may be left out or come again",
		"source", r.source.String(), "why", why.text, "reset", r.Reset.String(), "offset", offset)
	if err := r.start(ctx, offset, sight.id); err != nil {
		return 0, err
	}
	return offset, nil
}

// start makes a position durable: the first attempt's together with those of the partitions that were found with it.
func (r *reader) start(ctx context.Context, offset int64, id string) error {
	p := statestore.Progress{Source: r.source, TopicID: id, Partitions: r.firstPartitions, Start: offset}
	for _, route := range r.topic.Routes {
		p.Targets = append(p.Targets, statestore.TargetProgress{Key: route.Key, Done: statestore.Ranges{Watermark: offset}})
	}
	sort.Slice(p.Targets, func(i, j int) bool { return p.Targets[i].Key < p.Targets[j].Key })
	var err error
	if r.joined {
		err = r.engine.Start(ctx, []statestore.Progress{p})
	} else {
		r.joined = true
		err = r.together.join(ctx, &p)
	}
	if err != nil {
		return &engineError{fmt.Errorf("start %s at %d: %w", r.source, offset, err)}
	}
	r.topicID.Store(&id)
	return nil
}
