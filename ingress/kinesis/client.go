package kinesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/stategate/stategate/internal/aws"
)

// client is what the ingress asks of Kinesis: three actions that its credentials must allow (kinesis:ListShards,
// kinesis:GetShardIterator, kinesis:GetRecords).
type client interface {
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// dialer is how a client of the real service is made.
func dialer(c Config, s aws.Settings) func(ctx context.Context) (client, error) {
	return func(ctx context.Context) (client, error) {
		conf, err := aws.Load(ctx, aws.Connection{Region: c.Region, Credentials: c.Credentials, Client: s.Client})
		if err != nil {
			return nil, err
		}
		return kinesis.NewFromConfig(conf), nil
	}
}

// serverTime is the service's clock, to the second, as an answer tells it; our own where it does not. It is never ahead of the
// service's.
func serverTime(m middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(m); ok && !t.IsZero() {
		return t
	}
	return time.Now().Add(-time.Second).Truncate(time.Second)
}

// code is the error's name of the service; "" for an error that is none of the service's.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func isMissing(err error) bool {
	return code(err) == (*types.ResourceNotFoundException)(nil).ErrorCode()
}

// isExpired: an iterator is good for five minutes.
func isExpired(err error) bool {
	return code(err) == (*types.ExpiredIteratorException)(nil).ErrorCode()
}

// isForeign: the sequence number is none of the shard's, or none that it still knows.
func isForeign(err error) bool {
	return code(err) == (*types.InvalidArgumentException)(nil).ErrorCode()
}

// isThrottled: others read the shard too, or we read too often.
func isThrottled(err error) bool {
	switch code(err) {
	case (*types.ProvisionedThroughputExceededException)(nil).ErrorCode(), (*types.LimitExceededException)(nil).ErrorCode(),
		(*types.KMSThrottlingException)(nil).ErrorCode(), "ThrottlingException":
		return true
	}
	return false
}

// backoff doubles from 100 ms up to longest, and is spread so that shards do not try together.
func backoff(attempt int, longest time.Duration) time.Duration {
	d := min(longest, 100*time.Millisecond<<min(max(attempt-1, 0), 16))
	return d/2 + rand.N(d/2+1)
}

// sleep waits, and reports false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
