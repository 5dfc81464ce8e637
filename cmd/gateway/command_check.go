package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

func newCheck() *cobra.Command {
	var loader *config.Loader
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Say everything that is wrong with a module.yaml",
		Long: `check reads module files and prints every complaint as file:line:column, what is wrong and what is allowed. It reads
the certificates that Kafka properties name, and connects to nothing. All that --module names, files and folders, is one application, as "gateway run" takes it; each PATH is another one.
It ends with 1 when one cannot be used, else with 0 after a summary of what each declares.`,
		Example: `  gateway check
  gateway check --strict --module module.yaml
  gateway check --module /opt/statefun/modules`,
		RunE: func(cmd *cobra.Command, args []string) error {
			applications, err := applicationsOf(loader, args)
			if err != nil {
				return err
			}
			if len(applications) == 1 { // of several each is told what there is to say of it
				if err := applicationHere(applications[0]); err != nil {
					return err
				}
			}
			good := true
			for _, locations := range applications {
				good = check(cmd.OutOrStdout(), locations, strict) && good
			}
			if !good {
				return errReported
			}
			return nil
		},
	}
	loader = config.RegisterModule(cmd.Flags())
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	return cmd
}

// applicationsOf are the locations of each application that is to be checked.
func applicationsOf(loader *config.Loader, args []string) ([][]string, error) {
	locations, given, err := loader.Module(os.Environ())
	if err != nil {
		return nil, err
	}
	var out [][]string
	if given || len(args) == 0 {
		out = append(out, locations)
	}
	for _, a := range args {
		out = append(out, []string{a})
	}
	return out, nil
}

// check prints what is to be said of one application and reports whether it can be used.
func check(out io.Writer, locations []string, strict bool) bool {
	m, complaints := module.LoadAll(locations, os.LookupEnv)
	if m != nil {
		complaints = append(complaints, app.CheckKafka(m)...)
		complaints = append(complaints, app.CheckKinesis(m)...)
		complaints.Sort()
	}
	fmt.Fprint(out, complaints)
	file := strings.Join(locations, ", ")
	errs, warnings := len(complaints.Errors()), len(complaints.Warnings())
	if errs > 0 || strict && warnings > 0 {
		fmt.Fprintf(out, "%s: %s, %s\n", file, number(errs, "error"), number(warnings, "warning"))
		return false
	}
	if warnings > 0 {
		fmt.Fprintf(out, "%s: good, with %s\n", file, number(warnings, "warning"))
	} else {
		fmt.Fprintf(out, "%s: good\n", file)
	}
	if files := m.Files(); !slices.Equal(files, locations) {
		fmt.Fprintf(out, "read %s\n", strings.Join(files, ", "))
	}
	fmt.Fprint(out, m.Summary())
	return true
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
