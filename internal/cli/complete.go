package cli

import (
	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
)

// completeValues lets the shell complete the flags that take one of a few words,
// and makes the completion command refuse a shell it has no script for.
func completeValues(cmd *cobra.Command) {
	if cmd.PersistentFlags().Lookup("format") != nil {
		_ = cmd.RegisterFlagCompletionFunc("format", func(verb *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return formatsOf(verb.Name()), cobra.ShellCompDirectiveNoFileComp
		})
	}
	for name, words := range flagChoices() {
		if cmd.LocalFlags().Lookup(name) != nil {
			// The only error is a flag that has its words already.
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	if cmd.HasParent() && cmd.Parent().Name() == "completion" {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return report.ExtraArguments(cmd.CommandPath(), args)
			}
			return nil
		}
		script := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := script(cmd, args); err != nil { // it only writes
				return report.CannotWrite("stdout", err)
			}
			return nil
		}
	}
	if cmd.Name() == "completion" {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return report.BadChoice(cmd.CommandPath(), args[0], "bash", "fish", "powershell", "zsh")
			}
			return cmd.Help()
		}
	}
	for _, sub := range cmd.Commands() {
		completeValues(sub)
	}
}

// flagChoices are the words that flags can have.
func flagChoices() map[string][]string {
	choices := map[string][]string{
		"lang":    {"en", "ja"},
		"fail-on": {"critical", "high", "medium", "low", "info"},
	}
	for _, p := range monban.Protos() {
		choices["proto"] = append(choices["proto"], p.String())
	}
	for _, k := range report.SortKeys() {
		choices["sort"] = append(choices["sort"], string(k))
	}
	return choices
}
