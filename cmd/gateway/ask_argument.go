package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
)

// typeName is a name of two parts, as functions, ingresses and egresses have them. The namespace may be empty, as it may in a module.
func typeName(text string) (api.FunctionType, error) {
	f, err := api.ParseFunctionType(text)
	namespace, slashes := strings.TrimRight(text, "/"), strings.HasSuffix(text, "/")
	switch {
	case slashes && !strings.Contains(namespace, "/"):
		return f, usage("want a name as NAMESPACE/NAME: behind the slash the name is missing")
	case err != nil || f.Name == "":
		return f, usage("want a name as NAMESPACE/NAME")
	}
	return f, nil
}

// addressOf reads NAMESPACE/NAME and ID.
func addressOf(args []string) (a api.Address, err error) {
	if a.Type, err = typeName(args[0]); err != nil {
		return a, err
	}
	a.ID = args[1]
	if err := api.CheckAddress(a); err != nil {
		return a, usage("the address: %v", err)
	}
	return a, nil
}

// arguments wants at least and at most so many, and says what they are.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if n := len(args); n < least || most >= 0 && n > most {
			return usage("%s wants %s; got %s", strings.TrimPrefix(cmd.CommandPath(), "gateway "), what, number(n, "argument"))
		}
		return nil
	}
}

// orVerb is for a noun that takes a name itself and has verbs: a word without a slash is a verb that there is none of.
func orVerb(next cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && !strings.Contains(args[0], "/") {
			return unknownVerb(cmd, args[0])
		}
		return next(cmd, args)
	}
}

func unknownVerb(cmd *cobra.Command, given string) error {
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	text := about("unknown command", strings.TrimPrefix(cmd.CommandPath(), "gateway ")+" ", given)
	if len(known) == 0 {
		return usage("%s: want a name as NAMESPACE/NAME", text)
	}
	if near := nearest.Word(given, known); near == "" && strings.Contains(cmd.Use, "NAMESPACE/NAME") {
		return usage("%s: want a name as NAMESPACE/NAME, or one of %s", text, strings.Join(known, ", "))
	}
	return usage("%s: %s", text, nearest.Guess(given, known))
}
