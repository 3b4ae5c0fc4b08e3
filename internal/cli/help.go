package cli

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/monban-dev/monban/internal/report"
)

// page is everything a help or manual page says about a command.
type page struct {
	topic                    report.Topic
	usage                    string
	commands, flags, globals []report.Flag
}

func (a *app) page(cmd *cobra.Command) page {
	topic, _ := report.Help(cmd.CommandPath(), a.lang)
	p := page{topic: topic, usage: cmd.UseLine()}
	p.usage = strings.Replace(p.usage, "[flags]", "[OPTION…]", 1)
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			t, _ := report.Help(sub.CommandPath(), a.lang)
			p.commands = append(p.commands, report.Flag{Name: sub.Use, Text: t.Short})
		}
	}
	globals := cmd.Root().PersistentFlags()
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if globals.Lookup(f.Name) == nil {
			own.AddFlag(f)
		}
	})
	p.flags, p.globals = a.flagList(cmd, own), a.flagList(cmd, globals)
	return p
}

// help writes a command's help page on stdout.
func (a *app) help(cmd *cobra.Command, _ []string) {
	s := a.style()
	s.Format, s.Lang = report.Text, a.lang
	p := a.page(cmd)
	if err := report.WriteHelp(a.sys.Stdout, p.topic, p.usage, p.commands, p.flags, p.globals, s); err != nil {
		a.unwritten = report.CannotWrite("stdout", err)
	}
}

// Manuals returns the manual pages of every command by file name,
// "monban-ports.1", in one language.
func Manuals(lang report.Lang) (map[string][]byte, error) {
	a := newApp(System{Getenv: func(string) string { return "" }}, nil)
	a.lang = lang
	root := a.root()
	out := make(map[string][]byte)
	for _, cmd := range append([]*cobra.Command{root}, commandsBelow(root)...) {
		cmd.InitDefaultHelpFlag()
		p := a.page(cmd)
		var b bytes.Buffer
		if err := report.WriteMan(&b, p.topic, p.usage, p.commands, p.flags, p.globals, lang); err != nil {
			return nil, err
		}
		out[strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"] = b.Bytes()
	}
	return out, nil
}

// commandsBelow returns the commands that have a manual page of their own.
func commandsBelow(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			out = append(append(out, sub), commandsBelow(sub)...)
		}
	}
	return out
}

func (a *app) flagList(cmd *cobra.Command, set *pflag.FlagSet) []report.Flag {
	var out []report.Flag
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if f.Value.Type() != "bool" {
			name += " " + flagValue(f.Name)
		}
		out = append(out, report.Flag{Name: name, Text: report.FlagHelp(cmd.CommandPath(), f.Name, a.lang)})
	})
	return out
}

// flagValue is the placeholder of a flag's value.
func flagValue(name string) string {
	switch name {
	case "save", "load", "diff", "resume", "file", "policy", "seen":
		return "FILE"
	case "to":
		return "WHO"
	case "limit":
		return "RATE"
	case "until":
		return "TIME"
	case "note":
		return "TEXT"
	case "port", "ports":
		return "LIST"
	case "fail-on":
		return "SEVERITY"
	case "lang":
		return "LANG"
	case "format":
		return "FORMAT"
	case "proto":
		return "PROTO"
	case "user":
		return "USER"
	case "address", "listen", "seen-from":
		return "ADDRESS"
	case "pid":
		return "PID"
	case "trial":
		return "ID"
	case "grace", "timeout", "after":
		return "DURATION"
	case "for", "port-env":
		return "NAME"
	case "rate":
		return "N"
	case "exclude":
		return "TARGETS"
	case "from":
		return "NAMESPACE"
	case "seen-as":
		return "ADDRESS=LOCAL"
	case "count":
		return "N"
	case "range":
		return "RANGE"
	default: // of --sort
		return "KEY"
	}
}

func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return report.UnknownTopic(strings.Join(args, " "))
			}
			return cmd.Help()
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, sub := range root.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, sub.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// describe gives the commands and flags the words that shell completion shows.
func describe(cmd *cobra.Command, lang report.Lang) {
	topic, _ := report.Help(cmd.CommandPath(), lang)
	cmd.Short = topic.Short
	name := func(f *pflag.Flag) { f.Usage = report.FlagHelp(cmd.CommandPath(), f.Name, lang) }
	cmd.InitDefaultHelpFlag()
	cmd.Flags().VisitAll(name)
	cmd.PersistentFlags().VisitAll(name)
	for _, sub := range cmd.Commands() {
		describe(sub, lang)
	}
}
