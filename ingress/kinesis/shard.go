package kinesis

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// shard is what a look shows of one. It never changes, but for its being closed.
type shard struct {
	id      string
	number  int32  // in its id
	start   string // its first sequence number
	closed  bool   // nothing is written to it any more
	parents []int32
	hashes  hashRange
}

const shardPrefix = "shardId-"

// shardNumber is the number in "shardId-000000000012".
func shardNumber(id string) (int32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(id, shardPrefix), 10, 64)
	if err != nil || !strings.HasPrefix(id, shardPrefix) || n > math.MaxInt32 {
		return 0, fmt.Errorf("shard %q: its id is not %s and a number", id, shardPrefix)
	}
	return int32(n), nil
}

func shardOf(s *types.Shard) (out shard, err error) {
	out = shard{id: sdk.ToString(s.ShardId), closed: s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil}
	if out.number, err = shardNumber(out.id); err != nil {
		return shard{}, err
	}
	if s.SequenceNumberRange != nil {
		out.start = sdk.ToString(s.SequenceNumberRange.StartingSequenceNumber)
	}
	if out.start == "" || strings.Contains(out.start, " ") {
		return shard{}, fmt.Errorf("shard %s: it has no first sequence number", out.id)
	}
	for _, parent := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
		if parent == nil {
			continue
		}
		n, err := shardNumber(*parent)
		if err != nil {
			return shard{}, err
		}
		out.parents = append(out.parents, n)
	}
	if s.HashKeyRange == nil {
		return shard{}, fmt.Errorf("shard %s: it has no range of hash keys", out.id)
	}
	var ok bool
	if out.hashes, ok = newHashRange(sdk.ToString(s.HashKeyRange.StartingHashKey), sdk.ToString(s.HashKeyRange.EndingHashKey)); !ok {
		return shard{}, fmt.Errorf("shard %s: its range of hash keys is none of numbers", out.id)
	}
	return out, nil
}

// list asks for all shards of a stream that still hold records, in the order of their numbers, and answers the service's time too.
func list(ctx context.Context, c client, stream string) (shards []shard, at time.Time, err error) {
	in := &kinesis.ListShardsInput{StreamName: &stream}
	for {
		out, err := c.ListShards(ctx, in)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("list the shards of %s: %w", stream, err)
		}
		if at.IsZero() {
			at = serverTime(out.ResultMetadata)
		}
		for i := range out.Shards {
			s, err := shardOf(&out.Shards[i])
			if err != nil {
				return nil, time.Time{}, fmt.Errorf("stream %s: %w", stream, err)
			}
			shards = append(shards, s)
		}
		if out.NextToken == nil {
			slices.SortFunc(shards, func(a, b shard) int { return int(a.number) - int(b.number) })
			return shards, at, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}
