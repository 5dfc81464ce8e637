// Package stategate serves functions to a stategate gateway (or to any runtime that speaks StateFun's request-reply protocol).
// A function is called with the messages of one address and the state of that address, and answers with what shall become of
// them: state, messages to other functions, delayed messages, egress records. It keeps nothing between calls and delivers
// nothing itself: the gateway makes the effects of a call durable together, or calls again.
//
//	var seen = stategate.ValueSpec[int32]{Name: "seen", Type: stategate.Int}
//
//	handler, err := stategate.NewHandler(stategate.Config{Functions: []stategate.Function{{
//		Type:   "example/visits",
//		States: []stategate.State{seen},
//		Call: func(ctx context.Context, in *stategate.Invocation) error {
//			n, _, err := seen.Get(in)
//			if err != nil {
//				return err
//			}
//			seen.Set(in, n+1)
//			in.Send(stategate.To("example/greeter", in.Self().ID), stategate.Int.Of(n+1))
//			return nil
//		},
//	}}})
package stategate
