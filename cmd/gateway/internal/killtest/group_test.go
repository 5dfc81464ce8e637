//go:build unix

package killtest

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// cursorTopic is where lanes have their cursors when the module says nothing else.
const cursorTopic = "stategate-cursor"

// deleteGroup makes Kafka forget a group with its offsets, as it does by itself some days after the last commit.
func (w *world) deleteGroup(group string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
	defer cancel()
	request := kmsg.NewPtrDeleteGroupsRequest()
	request.Groups = []string{group}
	response, err := request.RequestWith(ctx, w.client)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range response.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			w.t.Fatalf("delete group %s: %v", group, err)
		}
	}
}

// setCursor is what an operator does who has decided where a lane goes on.
func (w *world) setCursor(group string, number int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
	defer cancel()
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Generation = group, -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = cursorTopic
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Offset = number
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(ctx, w.client)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				w.t.Fatalf("commit cursor of %s: %v", group, err)
			}
		}
	}
}
