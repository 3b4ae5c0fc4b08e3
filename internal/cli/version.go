package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return report.ExtraArguments(cmd.CommandPath(), args)
			}
			return a.version()
		},
	}
}

func (a *app) version() error {
	book, gaps := a.book()
	v := report.Version{Version: ownVersion(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Registry: book.Version(), Rows: book.Rows(), Cgo: !privilege.Supported()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return a.show(report.Result{Verb: "version", Snapshot: identity(gaps), Book: book, Data: v}, a.style(), monban.SeverityUnknown)
}

// ownVersion is the version of this monban.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
