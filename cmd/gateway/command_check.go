package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

func newCheck() *cobra.Command {
	var file string
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Say everything that is wrong with a module.yaml",
		Long: `check reads module files and prints every complaint as file:line:column, what is wrong and what is allowed. It connects to
nothing. It ends with 1 when a file cannot be used, else with 0 after a summary of what the file declares.`,
		Example: `  gateway check
  gateway check --strict --module module.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			files := args
			if file != "" {
				files = append([]string{file}, args...)
			}
			if len(files) == 0 {
				files = []string{cmp.Or(os.Getenv("STATEGATE_MODULE"), config.Default().Module)}
			}
			good := true
			for _, f := range files {
				good = check(cmd.OutOrStdout(), f, strict) && good
			}
			if !good {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "module", "", "module file (STATEGATE_MODULE; default "+config.Default().Module+")")
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	return cmd
}

// check prints what is to be said of one file and reports whether it can be used.
func check(out io.Writer, file string, strict bool) bool {
	m, complaints := module.Load(file, os.LookupEnv)
	if m != nil {
		complaints = append(complaints, checkKafka(m)...)
		slices.SortStableFunc(complaints, func(a, b module.Complaint) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
	}
	fmt.Fprint(out, complaints)
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
	fmt.Fprint(out, m.Summary())
	for _, u := range m.Unserved() {
		fmt.Fprintf(out, "note: this version cannot run %s\n", u)
	}
	return true
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
