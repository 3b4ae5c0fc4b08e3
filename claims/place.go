package claims

import (
	"io/fs"
	"net/netip"
	"path"
	"strings"
)

// Place is where to read.
type Place struct {
	// FS is the tree to read. Nothing is written.
	FS fs.FS
	// Root is the absolute path of FS, with slashes: "/", "C:/". "" is not
	// known: then absolute paths in files cannot be followed.
	Root string
	// Dir is the directory inside FS that relative paths start from, and that
	// positions are shown relative to. "" is FS itself.
	Dir string
	// Env looks up the environment that Compose and others take variables from.
	// nil is an empty one.
	Env func(name string) (string, bool)
	// Addrs are the addresses of this machine, for the few programs that bind
	// each of them instead of a wildcard (BIND). nil is not known.
	Addrs []netip.Addr
}

// inside returns the name inside FS of a path as the user wrote it.
func (p Place) inside(name string) (string, bool) {
	if isAbs(name) {
		return p.fromAbs(name)
	}
	name = path.Join(p.Dir, slashes(name))
	return name, validPath(name)
}

// validPath is [fs.ValidPath] for names of any bytes: directories were named in
// EUC-JP and Shift_JIS, and some still are.
func validPath(name string) bool { return fs.ValidPath(strings.ToValidUTF8(name, "x")) }

// fromAbs returns the name inside FS of an absolute path.
func (p Place) fromAbs(name string) (string, bool) {
	if p.Root == "" {
		return "", false
	}
	root := strings.TrimSuffix(slashes(p.Root), "/")
	name = path.Clean(slashes(name))
	if len(root) > 1 && root[1] == ':' && name[0] == '/' {
		name = root[:2] + name // on Windows, of the current drive
	}
	if len(name) < len(root) || !strings.EqualFold(name[:len(root)], root) ||
		root == "" && name[0] != '/' || root != "" && root[0] == '/' && name[:len(root)] != root {
		return "", false
	}
	name = strings.TrimPrefix(name[len(root):], "/")
	if name == "" {
		name = "."
	}
	return name, validPath(name)
}

// abs returns the absolute path of a name inside FS, or "" where Root is not known.
func (p Place) abs(name string) string {
	switch {
	case p.Root == "":
		return ""
	case name == ".":
		return p.Root
	}
	return strings.TrimSuffix(slashes(p.Root), "/") + "/" + name
}

// shown returns a name inside FS as people see it: relative to Dir when below.
func (p Place) shown(name string) string {
	switch dir := path.Clean(p.Dir); {
	case dir == ".":
		if abs := p.abs(name); p.Dir == "" && abs != "" {
			return abs
		}
		return name
	case strings.HasPrefix(name, dir+"/"):
		return name[len(dir)+1:]
	}
	if abs := p.abs(name); abs != "" {
		return abs
	}
	return name
}

// foreign reports whether a directory is none of this machine's own: the kernel's
// views, the trees of images and containers, and the packages' examples.
func (p Place) foreign(name string) bool {
	switch p.abs(name) {
	case "/proc", "/sys", "/dev", "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/usr/share/doc":
		return true
	}
	return false
}

func (p Place) getenv(name string) (string, bool) {
	if p.Env == nil {
		return "", false
	}
	return p.Env(name)
}

func slashes(name string) string { return strings.ReplaceAll(name, `\`, "/") }

// isAbs reports whether a path found in a file is absolute, on any system: a
// Windows tree can be looked at from elsewhere.
func isAbs(name string) bool {
	return strings.HasPrefix(name, "/") || len(name) > 2 && name[1] == ':' && (name[2] == '/' || name[2] == '\\')
}
