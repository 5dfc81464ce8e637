package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Example: `  gateway version
  gateway version -o json | jq -r .commit`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := version.Read()
			switch output {
			case outputTable:
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "gateway", v)
				return err
			case outputJSON: // as GET /v1/version names them
				text, err := json.MarshalIndent(map[string]string{"program": "gateway", "version": v.Version, "commit": v.Commit, "goVersion": v.Go}, "", "  ")
				if err != nil {
					return err
				}
				return writeJSON(cmd.OutOrStdout(), text)
			}
			return usage("flag --output: want table or json")
		},
	}
	registerOutput(cmd, &output, "how to write: table, a line for people; json, for programs")
	return cmd
}
