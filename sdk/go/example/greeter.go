package main

import (
	"context"
	"fmt"

	stategate "github.com/stategate/stategate/sdk/go"
)

// Greeting asks greeter to greet the user that is the id of the address.
type Greeting struct {
	Visit int32  `json:"visit"`
	Page  string `json:"page"`
}

var greeting = stategate.JSON[Greeting]("example.types/greeting")

// greeter writes a greeting for a user to the topic "greetings".
var greeter = stategate.Function{
	Type: "example/greeter",
	Call: func(_ context.Context, in *stategate.Invocation) error {
		g, err := greeting.From(in.Argument())
		if err != nil {
			return err
		}
		user := in.Self().ID
		in.SendKafka("example/greetings", stategate.KafkaRecord{
			Topic: "greetings",
			Key:   []byte(user),
			Value: []byte(g.text(user)),
		})
		return nil
	},
}

func (g Greeting) text(user string) string {
	if g.Visit == 1 {
		return fmt.Sprintf("Welcome, %s! Visit 1: %s", user, g.Page)
	}
	return fmt.Sprintf("Welcome back, %s! Visit %d: %s", user, g.Visit, g.Page)
}
