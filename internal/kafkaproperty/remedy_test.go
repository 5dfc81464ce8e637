package kafkaproperty

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestRemedy(t *testing.T) {
	refused := errors.New("refused")
	for want, c := range map[string]struct {
		role Role
		err  error
		code int16
		at   Place
	}{
		" (the user needs the rights DESCRIBE and READ on topic t)":                          {Consumer, refused, 29, Place{Topic: "t"}},
		" (the user needs the rights DESCRIBE and WRITE on topic t)":                         {Producer, refused, 29, Place{Topic: "t"}},
		" (the user needs the rights DESCRIBE and WRITE on the topic)":                       {Producer, refused, 29, Place{Group: "g"}},
		" (the user needs the right READ on group g)":                                        {Producer, refused, 30, Place{Topic: "t", Group: "g"}},
		" (the user needs the rights DESCRIBE and WRITE on transactional id x)":              {Producer, refused, 53, Place{Transaction: "x"}},
		" (the user needs the right IDEMPOTENT_WRITE on the cluster, or WRITE on any topic)": {Producer, refused, 31, Place{}},
		" (this listener does not take that sasl.mechanism)":                                 {Consumer, refused, 33, Place{}},
		" (the broker has closed the connection: does security.protocol fit this listener?)": {Consumer, fmt.Errorf("look: %w", io.EOF), 0, Place{}},
		"": {Consumer, refused, 58, Place{Topic: "t"}},
	} {
		if got := Remedy(c.role, c.err, c.code, c.at); got != want {
			t.Errorf("%d: %q, want %q", c.code, got, want)
		}
	}
}
