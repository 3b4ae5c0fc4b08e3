package claims

import (
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// FromCommand returns what a program's command line and environment ask for.
// argv is the argument vector, env its environment as NAME=VALUE, of which only
// the variables of ports are looked at. A command line that says nothing about
// ports is no claim and no gap.
func FromCommand(argv, env []string) ([]monban.Claim, []monban.Gap) {
	s := &scan{files: &files{}, names: newNames(Place{})}
	s.command(argv, env)
	return s.claims, s.gaps
}

func (s *scan) command(argv, env []string) {
	if len(argv) == 0 {
		return
	}
	for _, c := range commands() {
		if c.runs(programName(argv[0])) {
			c.read(s, argv, env)
			return
		}
	}
}

// command knows the command line of one program.
type command struct {
	runs func(program string) bool
	read func(s *scan, argv, env []string)
}

// commands lists the programs whose command lines are understood.
func commands() []command { return nil }

// programName is the base name of an executable, without ".exe".
func programName(exe string) string {
	return strings.TrimSuffix(path.Base(slashes(exe)), ".exe")
}
