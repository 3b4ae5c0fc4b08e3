package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// someHits is how many hits a search shows unless --all is given.
const someHits = 40

func (a *app) portsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "ports WORD…",
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.TrimSpace(strings.Join(args, "")) == "" {
				return report.MissingWord("monban ports redis")
			}
			return a.search(strings.Join(args, " "), all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "")
	var older bool
	update := &cobra.Command{
		Use: "update [FILE|URL]",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return report.ExtraArguments(cmd.CommandPath(), args[1:])
			}
			from := ianaCSV
			if len(args) > 0 {
				from = args[0]
			}
			return a.update(cmd.Context(), from, older)
		},
	}
	update.Flags().BoolVar(&older, "older", false, "")
	cmd.AddCommand(update)
	return cmd
}

func (a *app) search(word string, all bool) error {
	book, gaps := a.book()
	const every = 1 << 20
	hits := book.Search(word, every)
	more := 0
	if !all && len(hits) > someHits {
		more = len(hits) - someHits
		hits = hits[:someHits]
	}
	return a.show(report.Result{Verb: "ports", Snapshot: identity(gaps), Book: book,
		Data: report.Search{Word: word, Hits: hits, More: more}}, a.style(), monban.SeverityUnknown)
}

// identity is a snapshot of nothing but who we are, for the verbs that do not
// look at the machine.
func identity(gaps []monban.Gap) *monban.Snapshot {
	h, _ := host.Read(host.Identity)
	return &monban.Snapshot{At: time.Now(), Host: h, Gaps: gaps}
}

// ianaCSV is where IANA publishes the registry.
const ianaCSV = "https://www.iana.org/assignments/service-names-port-numbers/service-names-port-numbers.csv"

// update replaces the registry with a newer one, or keeps the old one and says
// why. An older one is taken only where the user said so: a mirror that lags
// behind would take names away again.
func (a *app) update(ctx context.Context, from string, older bool) error {
	path := a.registryPath()
	if path == "" {
		return report.NoRegistryHome()
	}
	csv, err := registry(ctx, from)
	if err != nil {
		return err
	}
	blob, stats, err := portbook.Compile(bytes.NewReader(csv))
	if err != nil {
		return report.RegistryRefused(from, err)
	}
	inUse, _ := a.book() // a broken one is what update is to repair
	if stats.Date < inUse.Version() && !older {
		return report.RegistryOlder(from, stats.Date, inUse.Version())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return report.CannotWrite(path, err)
	}
	if err := portbook.Install(path, blob); err != nil {
		return report.CannotWrite(path, err)
	}
	book, gaps := a.book()
	return a.show(report.Result{Verb: "ports-update", Snapshot: identity(gaps), Book: book,
		Data: report.Update{From: from, Path: path, Rows: stats.Rows, Date: stats.Date, Before: inUse.Rows(), DateBefore: inUse.Version()}}, a.style(), monban.SeverityUnknown)
}
