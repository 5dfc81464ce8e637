package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stategate/stategate/internal/aws"
)

// client is what the egress asks of Kinesis: one action that its credentials must allow (kinesis:PutRecords).
type client interface {
	PutRecords(context.Context, *kinesis.PutRecordsInput, ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
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

// put is one call on its way, and what came of it.
type put struct {
	stream string
	items  []*item
	out    *kinesis.PutRecordsOutput
	err    error
	began  time.Time
}

// run makes the call.
func (p *put) run(ctx context.Context, c client) {
	in := &kinesis.PutRecordsInput{StreamName: &p.stream, Records: make([]types.PutRecordsRequestEntry, len(p.items))}
	for i, it := range p.items {
		in.Records[i] = types.PutRecordsRequestEntry{PartitionKey: &it.place.key, Data: it.data}
		if it.place.hash != "" {
			in.Records[i].ExplicitHashKey = &it.place.hash
		}
	}
	p.out, p.err = c.PutRecords(ctx, in)
	if p.err == nil && len(p.out.Records) != len(p.items) {
		p.err = fmt.Errorf("the answer is for %d records of %d", len(p.out.Records), len(p.items))
	}
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

// atFault reports whether Kinesis refuses what a call holds, for good.
func atFault(err error) bool {
	switch code(err) {
	case (*types.InvalidArgumentException)(nil).ErrorCode(), (*types.ValidationException)(nil).ErrorCode(), "SerializationException":
		return true
	}
	var e *smithyhttp.ResponseError
	return errors.As(err, &e) && e.HTTPStatusCode() == http.StatusRequestEntityTooLarge
}

const codeThrottled = "ProvisionedThroughputExceededException"
