package kafka

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// broker is where a scenario runs: an in-process fake or a real one. Topic "out" is there, with 4 partitions.
type broker struct {
	cfg    Config
	prefix string // of topics, where a broker is shared
}

// scenarios hold on every broker.
var scenarios = map[string]func(*testing.T, *broker){
	"delivers":                         exactlyOnceDelivers,
	"crashes deliver once":             crashesDeliverOnce,
	"crashes double without a cursor":  crashesDoubleWithoutTheCursor,
	"zombie is fenced":                 zombieIsFenced,
	"fenced owner goes on":             fencedOwnerGoesOn,
	"lost cursor halts":                cursorLostHaltsTheLane,
	"store that went back halts":       storeWentBackHaltsTheLane,
	"operator decides":                 operatorDecides,
	"operator accepts an older store":  operatorAcceptsAnOlderStore,
	"crash in the decision":            crashInTheDecision,
	"decision of a lane that is lost":  decisionOfALaneThatIsLost,
	"outputs that were forgotten":      outputsThatWereForgotten,
	"crash behind the first cursor":    crashBetweenFirstCursorAndMark,
	"two stores":                       twoStoresDoNotFenceEachOther,
	"cursor is kept alive":             idleCursorIsKeptAlive,
	"missing topic":                    missingTopic,
	"missing topic appears while idle": idleRelayNoticesThatATopicIsThere,
	"topic vanishes":                   topicThatVanishes,
	"large batches":                    batchesThatAreTooLarge,
	"end aborts":                       endAbortsWhatIsUnderWay,
	"refusals":                         refusedOutputsAreSetAsideBeforeTheCursorPasses,
	"crash behind a refusal":           crashBehindARefusal,
	"bounded memory":                   memoryIsBounded,
	"open transaction ends":            openTransactionEnds,
	"sequence gap":                     sequenceGapIsMended,
	"fenced before each request":       fencedBeforeEachRequest,
	"late requests":                    lateRequests,
	"records after the end":            recordsAfterTheEnd,
}

func TestScenarios(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			_, cfg := fake(t)
			scenario(t, &broker{cfg: cfg})
		})
	}
}

// apart is a place of its own on the same broker.
func (b *broker) apart(t testing.TB, name string) *broker {
	t.Helper()
	other := &broker{cfg: b.cfg, prefix: b.prefix + name + "."}
	other.create(t, "out", 4, nil)
	return other
}

func (b *broker) topic(name string) string { return b.prefix + name }

// ask sends one request to the broker, again while it is not ready.
func (b *broker) ask(t testing.TB, req kmsg.Request, errOf func(kmsg.Response) int16) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		resp, err := cl.Request(ctx, req)
		if err == nil {
			err = kerr.ErrorForCode(errOf(resp))
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil || !kerr.IsRetriable(err) {
			t.Fatalf("%T: %v", req, err)
		}
	}
}

func (b *broker) create(t testing.TB, name string, partitions int32, configs map[string]string) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = b.topic(name), partitions, 1
	for k, v := range configs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		topic.Configs = append(topic.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.Topics = 20_000, append(req.Topics, topic)
	b.ask(t, req, func(r kmsg.Response) int16 {
		if code := r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; code != kerr.TopicAlreadyExists.Code { // asked again, it is
			return code
		}
		return 0
	})
	b.look(t, b.topic(name), 0)
}

// look waits until metadata says of a topic what is wanted: a broker hears of what was done a moment later.
func (b *broker) look(t testing.TB, topic string, want int16) {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = &topic
	req.Topics = append(req.Topics, one)
	b.ask(t, req, func(r kmsg.Response) int16 {
		if r.(*kmsg.MetadataResponse).Topics[0].ErrorCode == want {
			return 0
		}
		return kerr.UnknownTopicOrPartition.Code // again
	})
}

func (b *broker) remove(t testing.TB, name string) {
	t.Helper()
	full := b.topic(name)
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &full
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis, req.TopicNames, req.Topics = 20_000, []string{full}, append(req.Topics, topic)
	b.ask(t, req, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode })
	b.look(t, full, kerr.UnknownTopicOrPartition.Code)
}

// forget deletes the cursor's group.
func (b *broker) forget(t testing.TB, group string) {
	t.Helper()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{group}
	b.ask(t, req, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode })
}

// cursor is the offset of the cursor's group.
func (b *broker) cursor(t testing.TB, group string) (offset int64) {
	t.Helper()
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = cursorTopicDefault, []int32{0}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable, req.Topics = group, true, append(req.Topics, topic)
	g := kmsg.NewOffsetFetchRequestGroup()
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.Partitions = topic.Topic, topic.Partitions
	g.Group, g.Topics = group, append(g.Topics, gt)
	req.Groups = append(req.Groups, g)
	b.ask(t, req, func(r kmsg.Response) int16 {
		resp := r.(*kmsg.OffsetFetchResponse)
		if len(resp.Groups) > 0 {
			p := resp.Groups[0].Topics[0].Partitions[0]
			offset = p.Offset
			return max(p.ErrorCode, resp.Groups[0].ErrorCode)
		}
		p := resp.Topics[0].Partitions[0]
		offset = p.Offset
		return max(p.ErrorCode, resp.ErrorCode)
	})
	return offset
}
