// Package cli is the command line: each verb turns flags into a question for
// gather, puts judgements to the answer, and hands the result to report.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/monban-dev/monban/internal/child"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
)

// The exit codes of the command contract.
const (
	exitOK         = 0
	exitFound      = 1 // --fail-on was reached, or check found a conflict
	exitUsage      = 2 // the command line, or a file it named, is wrong
	exitIncomplete = 3 // something that was not seen could change the answer
	exitFailed     = 4 // it could not be done
)

// System is everything the program has of the world around it, so that a test
// can give it another.
type System struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Terminal reports whether Stdout is one; Width is its width in cells.
	Terminal      bool
	Width         int
	StdinTerminal bool
	// StderrTerminal reports whether progress can be shown.
	StderrTerminal bool
	// Program is monban's own file, where the process runs another one, and Step
	// is told of every step of a move before it is done: for tests that break it
	// off.
	Program string
	Step    func(move.Step)
	// Keep and Lower give up all capabilities of the process but those named, and
	// Lower leaves those that it executes theirs. A test, which goes on with others,
	// has neither.
	Keep, Lower func(...privilege.Capability) error
}

// Main runs monban with the process's own world and returns the exit code.
func Main(args []string) int {
	if len(args) > 0 && args[0] == child.StageArg {
		return child.Stage(args[1:])
	}
	deepen(len(args) > 1<<20) // never: no command line is so long
	sys := System{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())), StdinTerminal: term.IsTerminal(int(os.Stdin.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())), Keep: privilege.Keep, Lower: privilege.Lower,
	}
	if sys.Terminal {
		if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			sys.Width = w
		} else {
			sys.Width = 80
		}
	}
	return Run(context.Background(), sys, args)
}

// Run runs one command line.
func Run(ctx context.Context, sys System, args []string) int {
	a := newApp(sys, args)
	err := a.dispatch(ctx)
	if err == nil {
		return exitOK
	}
	var found foundError
	if errors.As(err, &found) {
		return exitFound
	}
	var shown shownError
	if errors.As(err, &shown) {
		return shown.code
	}
	code := exitFailed
	if isUsage(err) {
		code = exitUsage
	}
	report.WriteProblem(sys.Stderr, err, a.lang)
	return code
}

// dispatch runs the verb that the arguments name. What can only be ports needs no tree
// of commands, which costs a fiftieth of the time of `monban 443`.
func (a *app) dispatch(ctx context.Context) error {
	if len(a.args) > 0 && !slices.ContainsFunc(verbs(), func(v verb) bool { return a.mayName(v.name) }) {
		return a.bare(ctx, &inside{}, a.args)
	}
	root := a.tree(a.mayName)
	root.SetArgs(a.args)
	root.SetIn(a.sys.Stdin)
	root.SetOut(a.sys.Stdout)
	root.SetErr(a.sys.Stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return a.unwritten
}

// foundError makes the exit code 1: everything was done and shown, and
// something was found.
type foundError struct{}

func (foundError) Error() string { return "findings at or above --fail-on" }

// shownError makes the exit code what it says: the result that was shown tells
// why, and there is nothing to add.
type shownError struct{ code int }

func (shownError) Error() string { return "told by the result" }

// isUsage tells a wrong command line from a failure: report's problems say so,
// and what cobra and pflag complain about always is one.
func isUsage(err error) bool {
	var p *report.Problem
	return errors.As(err, &p) && p.Usage()
}

// app is one invocation: the flags that every verb has.
type app struct {
	sys  System
	args []string
	now  func() time.Time
	// registryAt is where an updated registry is kept; "" is the usual place.
	registryAt string
	lang       report.Lang
	// langGiven is set by --lang; only then are JSON's sentences translated.
	langGiven bool

	json        bool
	format      string
	langFlag    string
	noColor     bool
	showSecrets bool
	verbose     bool

	// silent is set when standard output is a saved view's.
	silent bool
	// unwritten is why a help page could not be written, which cobra has no way to
	// return.
	unwritten error
}

func newApp(sys System, args []string) *app {
	a := &app{sys: sys, args: args, now: time.Now, format: string(report.Text)}
	a.lang = envLang(sys.Getenv)
	// Help and errors are written before or without flag parsing, so the
	// language is looked up first.
	if lang, ok := report.ParseLang(langArg(args)); ok {
		a.lang = lang
	}
	return a
}

// langArg returns the value of the last --lang in args, which is the one that the
// flags take, or "" if there is none.
func langArg(args []string) (lang string) {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	for i, arg := range args {
		if v, ok := strings.CutPrefix(arg, "--lang="); ok {
			lang = v
		}
		if arg == "--lang" && i+1 < len(args) {
			lang = args[i+1]
		}
	}
	return lang
}

// envLang returns the language of the environment: MONBAN_LANG, then the
// locale's variables in the order of locale(7). A locale of another encoding than
// UTF-8 gets English, which can be read there: monban writes UTF-8 only.
func envLang(getenv func(string) string) report.Lang {
	if v := getenv("MONBAN_LANG"); v != "" {
		lang, _ := report.ParseLang(v)
		return lang
	}
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	_, encoding, _ := strings.Cut(first("LC_ALL", "LC_CTYPE", "LANG"), ".")
	encoding, _, _ = strings.Cut(strings.ReplaceAll(strings.ToLower(encoding), "-", ""), "@")
	if encoding != "" && encoding != "utf8" {
		return report.EN
	}
	lang, _ := report.ParseLang(first("LC_ALL", "LC_MESSAGES", "LANG"))
	return lang
}

// style returns how the result is to be written.
func (a *app) style() report.Style {
	s := report.Style{Format: report.Text, Lang: a.lang, ShowSecrets: a.showSecrets, Verbose: a.verbose}
	if a.format != string(report.Text) {
		s.Format = report.Format(a.format)
		if !a.langGiven {
			s.Lang = report.EN
		}
		return s
	}
	if a.sys.Terminal {
		s.Width = a.sys.Width
		s.Color = !a.noColor && a.sys.Getenv("NO_COLOR") == "" && a.sys.Getenv("TERM") != "dumb"
	}
	return s
}

// mayName reports whether the command line can have to do with a verb. To build
// them all takes a tenth of the time of `monban 443`.
func (a *app) mayName(verb string) bool {
	return slices.ContainsFunc(a.args, func(arg string) bool {
		// A help page, the shell's completion and perhaps a flag ask for all.
		return arg == verb || strings.HasPrefix(arg, "-") || strings.HasPrefix(arg, "__complete") ||
			arg == "help" || arg == "completion"
	})
}

// root builds the command tree.
func (a *app) root() *cobra.Command { return a.tree(func(string) bool { return true }) }

// verb is a command of its own.
type verb struct {
	name    string
	command func(*app) *cobra.Command
}

func verbs() []verb {
	return []verb{
		{"port", (*app).portCommand}, {"ports", (*app).portsCommand}, {"explain", (*app).explainCommand},
		{"check", (*app).checkCommand}, {"fix", (*app).fixCommand}, {"free", (*app).freeCommand},
		{"pick", (*app).pickCommand}, {"run", (*app).runCommand}, {"scan", (*app).scanCommand},
		{"audit", (*app).auditCommand}, {"guard", (*app).guardCommand}, {"move", (*app).moveCommand},
		{"version", (*app).versionCommand},
	}
}

// tree builds the command tree with those verbs that are wanted.
func (a *app) tree(wanted func(verb string) bool) *cobra.Command {
	root := a.statusCommand()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.CompletionOptions.DisableDefaultCmd = !wanted("completion")
	root.SetHelpFunc(a.help)
	root.SetUsageFunc(func(*cobra.Command) error { return nil })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return report.FlagProblem(cmd.CommandPath(), err) })
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "")
	flags.StringVar(&a.format, "format", string(report.Text), "")
	flags.StringVar(&a.langFlag, "lang", "", "")
	flags.BoolVar(&a.noColor, "no-color", false, "")
	flags.BoolVar(&a.showSecrets, "show-secrets", false, "")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkGlobals(cmd) }
	for _, verb := range verbs() {
		if wanted(verb.name) {
			root.AddCommand(verb.command(a))
		}
	}
	root.SetHelpCommand(a.helpCommand(root))
	root.InitDefaultHelpFlag()
	// Only the shell's completion reads the words of all commands at once.
	if slices.ContainsFunc(a.args, func(arg string) bool { return arg == "completion" || strings.HasPrefix(arg, "__complete") }) {
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd()
		describe(root, a.lang)
		completeValues(root)
	}
	return root
}

// formatsOf returns the formats in which a verb can show its result.
func formatsOf(verb string) []string {
	formats := []report.Format{report.Text, report.JSON}
	switch verb {
	case "check":
		formats = append(formats, report.SARIF)
	case "audit":
		formats = append(formats, report.Markdown, report.HTML, report.SARIF)
	case "scan":
		formats = append(formats, report.JSONLines, report.NmapXML)
	}
	out := make([]string, len(formats))
	for i, f := range formats {
		out[i] = string(f)
	}
	return out
}

func (a *app) checkGlobals(cmd *cobra.Command) error {
	if a.json {
		if cmd.Flags().Changed("format") && a.format != string(report.JSON) {
			return report.Together("--json", "--format "+a.format)
		}
		a.format = string(report.JSON)
	}
	if formats := formatsOf(cmd.Name()); !slices.Contains(formats, a.format) {
		return report.BadChoice("--format", a.format, formats...)
	}
	if a.langFlag != "" {
		if _, ok := report.ParseLang(a.langFlag); !ok {
			return report.BadChoice("--lang", a.langFlag, "ja", "en")
		}
		a.langGiven = true
	}
	return nil
}
