package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
	"github.com/stategate/stategate/cmd/gateway/internal/scaffold"
)

// tryIt is what to type after the folder was entered.
var tryIt = map[string][]string{
	"go": {"go test ./...    # tests the function, without a gateway"},
	"python": {
		"python3 -m venv .venv",
		".venv/bin/pip install -r requirements.txt",
		".venv/bin/python -m unittest    # tests the function, without a gateway",
	},
}

func newInit() *cobra.Command {
	languages := scaffold.Languages()
	return &cobra.Command{
		Use:   "init [" + strings.Join(languages, "|") + "] [DIR]",
		Short: "Write a small application with tests into an empty folder",
		Long: `init writes an application that works: a function with its test, a module.yaml, and the SDK's source as this program carries
it, so that nothing has to be published or fetched. The language is go when none is named, the folder the current one. A folder that
is not empty is refused.`,
		Example: `  gateway init go visits
  gateway init python visits`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			for _, l := range languages {
				if strings.HasPrefix(l, begun) {
					out = append(out, l)
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usage("init takes a language and a folder; got %d arguments", len(args))
			}
			if len(args) > 0 && !slices.Contains(languages, args[0]) {
				return usage("init: unknown language: %s", nearest.Guess(args[0], languages))
			}
			if len(args) > 1 && args[1] == "" { // as of a variable that is not set
				return usage("init: the name of the folder is empty; without one it is the current folder")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			language, folder := languages[0], "."
			if len(args) > 0 {
				language = args[0]
			}
			if len(args) > 1 {
				folder = args[1]
			}
			if err := scaffold.Write(language, folder); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "wrote an application with its tests into %s; now:\n", folder)
			if folder != "." {
				fmt.Fprintf(out, "  cd %s\n", folder)
			}
			for _, line := range append(tryIt[language], "gateway dev    # runs all of it, and says what to try") {
				fmt.Fprintf(out, "  %s\n", line)
			}
			return nil
		},
	}
}
