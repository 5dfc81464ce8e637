package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "gateway", version.Read())
			return err
		},
	}
}
