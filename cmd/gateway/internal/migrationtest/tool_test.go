//go:build unix

package migrationtest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// toolVariable makes the test binary one of Kafka's console tools, as far as the document uses them: the jars that tests have hold
// none of them. A flag that a stand-in does not know is an error.
const toolVariable = "STATEGATE_TEST_KAFKA_TOOL"

var tools = map[string]func(flags *flag.FlagSet, args []string) error{
	"kafka-console-consumer.sh": consume, "kafka-console-producer.sh": produce, "kafka-consumer-groups.sh": describe, "kafka-topics.sh": create,
}

func tool(name string, args []string) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	run, ok := tools[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "there is no %s\n", name)
		return 2
	}
	if err := run(flags, args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// properties are those of --property NAME=VALUE.
type properties map[string]string

func (p properties) String() string { return "" }

func (p properties) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	known := []string{"print.key", "print.value", "parse.key"}
	if !ok || !slices.Contains(known, name) {
		return fmt.Errorf("want one of %v", known)
	}
	p[name] = value
	return nil
}

func consume(flags *flag.FlagSet, args []string) error {
	show := properties{"print.value": "true"}
	server, topic := flags.String("bootstrap-server", "", ""), flags.String("topic", "", "")
	start, idle, isolation := flags.Bool("from-beginning", false, ""), flags.Int("timeout-ms", 0, ""), flags.String("isolation-level", "read_uncommitted", "")
	flags.Var(show, "property", "")
	if err := flags.Parse(args); err != nil || !*start || *idle == 0 || flags.NArg() > 0 {
		return errors.Join(err, errors.New("only --from-beginning with --timeout-ms is known here"))
	}
	opts := []kgo.Opt{kgo.SeedBrokers(*server), kgo.ConsumeTopics(*topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100 * time.Millisecond)}
	if *isolation == "read_committed" {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	out := bufio.NewWriter(os.Stdout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*idle)*time.Millisecond)
		fetches := client.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			if err := fetches.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return out.Flush()
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var parts []string
			if show["print.key"] == "true" {
				parts = append(parts, string(r.Key))
			}
			if show["print.value"] == "true" {
				parts = append(parts, string(r.Value))
			}
			fmt.Fprintln(out, strings.Join(parts, "\t"))
		})
	}
}

func produce(flags *flag.FlagSet, args []string) error {
	parse := properties{}
	server, topic := flags.String("bootstrap-server", "", ""), flags.String("topic", "", "")
	flags.Var(parse, "property", "")
	if err := flags.Parse(args); err != nil || parse["parse.key"] != "true" || flags.NArg() > 0 {
		return errors.Join(err, errors.New("only --property parse.key=true is known here"))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(*server))
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			return fmt.Errorf("no key found on line %q", lines.Text())
		}
		records = append(records, &kgo.Record{Topic: *topic, Key: []byte(key), Value: []byte(value)})
	}
	return errors.Join(lines.Err(), client.ProduceSync(context.Background(), records...).FirstErr())
}

func describe(flags *flag.FlagSet, args []string) error {
	server, group, describe := flags.String("bootstrap-server", "", ""), flags.String("group", "", ""), flags.Bool("describe", false, "")
	if err := flags.Parse(args); err != nil || !*describe || flags.NArg() > 0 {
		return errors.Join(err, errors.New("only --describe is known here"))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(*server))
	if err != nil {
		return err
	}
	defer client.Close()
	offsets, err := committed(context.Background(), client, *group)
	for _, o := range offsets {
		fmt.Printf("%s %s %d %d\n", *group, o.topic, o.partition, o.offset)
	}
	return err
}

// create makes a topic, which must not be there.
func create(flags *flag.FlagSet, args []string) error {
	server, topic, create, partitions := flags.String("bootstrap-server", "", ""), flags.String("topic", "", ""), flags.Bool("create", false, ""), flags.Int("partitions", 1, "")
	if err := flags.Parse(args); err != nil || !*create || flags.NArg() > 0 {
		return errors.Join(err, errors.New("only --create is known here"))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(*server))
	if err != nil {
		return err
	}
	defer client.Close()
	err = createTopics(context.Background(), client, map[string]int32{*topic: int32(*partitions)})
	if err == nil {
		fmt.Printf("Created topic %s.\n", *topic)
	}
	return err
}

func createTopics(ctx context.Context, client *kgo.Client, partitions map[string]int32) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	for name, n := range partitions {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, n, 1
		request.Topics = append(request.Topics, topic)
	}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, topic := range response.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			return fmt.Errorf("create topic %s: %w", topic.Topic, err)
		}
	}
	return nil
}

type groupOffset struct {
	topic     string
	partition int32
	offset    int64
}

// committed is what a consumer group has committed.
func committed(ctx context.Context, client *kgo.Client, group string) (out []groupOffset, err error) {
	request := kmsg.NewPtrOffsetFetchRequest()
	one := kmsg.NewOffsetFetchRequestGroup()
	one.Group = group
	request.Groups = append(request.Groups, one)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	for _, g := range response.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return nil, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				out = append(out, groupOffset{t.Topic, p.Partition, p.Offset})
			}
		}
	}
	return out, nil
}
