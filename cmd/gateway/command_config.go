package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
)

func newConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the file of settings with every default; it is their manual",
		Example: `  gateway config > gateway.yaml
  gateway run --config gateway.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Manual())
			return err
		},
	}
}
