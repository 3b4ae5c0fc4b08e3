package cli

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// installed leaves out what only a configuration still asks for: a package that
// was removed leaves its files in /etc behind. A program that is not found where
// systems keep their daemons, but whose claims do not stand in /etc, stays: it
// may be anywhere. With the claims goes what could not be understood in the files
// around that configuration, unless another program's are there, too.
func installed(root fs.FS, all []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
	known := map[string]bool{}
	have := func(exe string) bool {
		found, ok := known[exe]
		if !ok {
			found = findProgram(root, exe)
			known[exe] = found
		}
		return found
	}
	var gone, here []string
	all = slices.DeleteFunc(all, func(c monban.Claim) bool {
		p := &c.Program
		if strings.HasPrefix(p.Config, "/etc/") && len(p.Exes) > 0 && !slices.ContainsFunc(p.Exes, have) {
			gone = append(gone, ownPlace(p.Config))
			return true
		}
		here = append(here, ownPlace(p.Config))
		return false
	})
	return all, slices.DeleteFunc(gaps, func(g monban.Gap) bool {
		in := func(place string) bool { return place != "" && strings.HasPrefix(g.Source, place) }
		return slices.ContainsFunc(gone, in) && !slices.ContainsFunc(here, in)
	})
}

// ownPlace is the directory that a program's configuration has to itself, or the
// file where that is /etc.
func ownPlace(config string) string {
	if dir := path.Dir(config); dir != "/etc" && dir != "." && dir != "/" {
		return dir + "/"
	}
	return config
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
