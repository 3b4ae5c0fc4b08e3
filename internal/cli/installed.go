package cli

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// installed leaves out what only a configuration still asks for: a package that
// was removed leaves its files in /etc behind. A program that is not found where
// systems keep their daemons, but whose claims do not stand in /etc, stays: it
// may be anywhere.
func installed(root fs.FS, all []monban.Claim) []monban.Claim {
	known := map[string]bool{}
	have := func(exe string) bool {
		found, ok := known[exe]
		if !ok {
			found = findProgram(root, exe)
			known[exe] = found
		}
		return found
	}
	return slices.DeleteFunc(all, func(c monban.Claim) bool {
		p := &c.Program
		return strings.HasPrefix(p.Config, "/etc/") && len(p.Exes) > 0 && !slices.ContainsFunc(p.Exes, have)
	})
}

// findProgram looks for an executable in the directories of the system, of
// packages that have one of their own, and of what was built by hand.
func findProgram(root fs.FS, exe string) bool {
	if strings.ContainsAny(exe, `*?[/\`) {
		return true // not the name of a file
	}
	for _, dir := range [...]string{"usr/sbin", "usr/bin", "sbin", "bin", "usr/local/sbin", "usr/local/bin", "usr/libexec", "snap/bin"} {
		if _, err := fs.Stat(root, dir+"/"+exe); err == nil {
			return true
		}
	}
	for _, pattern := range [...]string{"usr/lib/*/sbin/", "usr/lib/*/bin/", "usr/lib/*/*/bin/", "usr/lib/*/", "usr/libexec/*/", "usr/share/*/bin/",
		"opt/*/sbin/", "opt/*/bin/", "usr/local/*/sbin/", "usr/local/*/bin/"} {
		if found, err := fs.Glob(root, pattern+exe); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
