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
		Long: `config prints every setting with its default, what it is for, and what happens when it is too small or too large. What counts in a
gateway that runs, and which file, variable or flag says so, "gateway settings" asks it; what counts of its module, "gateway module".`,
		Example: `  gateway config > gateway.yaml
  gateway run --config gateway.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Manual())
			return err
		},
	}
}
