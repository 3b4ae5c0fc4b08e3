package conflict

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// holder says whose a door is, as a claim sees it.
type holder uint8

const (
	somebody   holder = iota // another program, or another copy of the same
	cannotTell               // nobody can be named
	itself                   // the claim's own program
)

// holds says whether the program behind a claim holds a door. What tells against
// it counts more than what tells for it: a stranger taken for the program itself
// would hide a conflict.
func holds(c *monban.Claim, d *monban.Door, snap *monban.Snapshot) holder {
	p := &c.Program
	switch {
	case inContainer(c):
		return containerHolds(p, d, snap)
	case len(p.Exes) == 0 && len(p.Units) == 0 && p.Dir == "" && p.PID == 0:
		return somebody // nothing is known of the program but its claim
	case d.State == monban.Forwarded, d.To.Container != "", containerOf(d, snap) != nil && snap.Host.Container == "":
		return somebody
	case len(d.Owners) == 0:
		return unnamedHolds(c, d, snap)
	}
	for i := range d.Owners {
		o := &d.Owners[i]
		if p.PID == 0 && childOf(o, d.Owners[:i]) {
			continue // a worker says less of itself than its master
		}
		if h := runs(p, o, c.By); h != somebody {
			return h
		}
	}
	return somebody
}

func childOf(o *monban.Owner, others []monban.Owner) bool {
	return slices.ContainsFunc(o.Parents, func(p monban.Parent) bool {
		return slices.ContainsFunc(others, func(other monban.Owner) bool { return other.PID == p.PID })
	})
}

// inContainer reports whether a container will have the claim's port.
func inContainer(c *monban.Claim) bool {
	return c.Program.Project != "" || c.Program.Service != "" || c.Program.Container != ""
}

// containerHolds compares the container behind a door with the one of a claim.
func containerHolds(p *monban.Program, d *monban.Door, snap *monban.Snapshot) holder {
	c := containerOf(d, snap)
	switch {
	case c != nil && c.Name == "" && c.Project == "":
		return cannotTell // its engine told no more than the id
	case c != nil:
		return when(ownContainer(p, c))
	case len(gaps(snap, monban.HidesContainers)) == 0:
		return somebody // every container is known, and none has this door
	case len(d.Owners) > 0 && !forwarder(&d.Owners[0]) && d.Owners[0].Container == "":
		return somebody
	case d.Unnamed == monban.HiddenKernel:
		return somebody
	}
	return cannotTell
}

// ownContainer reports whether a container is the one of a claim.
func ownContainer(p *monban.Program, c *monban.Container) bool {
	if p.Project != "" && c.Project != "" {
		return c.Project == p.Project && (p.Service == "" || c.Service == p.Service)
	}
	return p.Container != "" && c.Name == p.Container
}

// unnamedHolds judges a door whose owner is not known by the user it belongs to.
func unnamedHolds(c *monban.Claim, d *monban.Door, snap *monban.Snapshot) holder {
	switch {
	case d.Unnamed == monban.HiddenKernel:
		return somebody
	case c.UID < 0 && snap.Host.UID >= 0 && d.UID != uint32(snap.Host.UID):
		return somebody // it would be started by whoever looks
	case c.Program.PID != 0 && d.Unnamed != monban.HiddenPrivilege:
		return somebody
	}
	return cannotTell
}

// runs judges whether a process is the program's, by whatever either says.
func runs(p *monban.Program, o *monban.Owner, by string) holder {
	if p.PID != 0 {
		return when(o.PID == p.PID)
	}
	config := namedConfig(p, o)
	if p.Config != "" && !systemPlace(p.Config) && config != same {
		// Somebody's own file. The machine's MariaDB in mariadb.service has not
		// read it, whatever its unit and its program are called.
		return foundByItself(p, o, by)
	}
	if o.PID == 4 && by == "iis" && o.Name == "System" {
		return itself // the server in the kernel of Windows, which serves every site
	}
	if o.PID == 1 { // it holds sockets for others
		if strings.HasSuffix(o.Unit, ".socket") || !slices.ContainsFunc(p.Units, isSocketUnit) {
			return when(slices.Contains(p.Units, o.Unit))
		}
		return cannotTell
	}
	switch {
	case config == same && (len(p.Exes) == 0 || hasExe(p, o)):
		return itself
	case o.Unit != "" && slices.Contains(p.Units, o.Unit):
		return itself
	case config == other, !sameInstallation(p, o):
		return somebody
	case unitMatches(p, o.Unit):
		return itself
	case p.Dir != "":
		return when(below(o.Dir, p.Dir) && (len(p.Exes) == 0 || hasExe(p, o)))
	case !hasExe(p, o), strangeUnit(p, o):
		return somebody
	case isRuntime(o.Name):
		return when(by != "" && mentions(o, by))
	case retitled(o):
		// Its directory is all that is left of its configuration.
		return when(strings.HasPrefix(o.Dir, "/var/lib/"))
	}
	return itself // it says nothing of a configuration, and so has the one of its installation
}

// foundByItself judges a process that does not name the configuration, which lies
// in no place of the machine's: only one that works where it lies may have read
// it, and only some programs look there.
func foundByItself(p *monban.Program, o *monban.Owner, by string) holder {
	switch {
	case namedConfig(p, o) == other, !hasExe(p, o), o.Dir == "" || path.Clean(slashed(o.Dir)) != path.Dir(slashed(p.Config)):
		return somebody
	}
	if by == "caddy" || by == "traefik" {
		return itself
	}
	return cannotTell // nginx that was started there by hand reads another
}

func when(yes bool) holder {
	if yes {
		return itself
	}
	return somebody
}

func isSocketUnit(unit string) bool { return strings.HasSuffix(unit, ".socket") }

// unitMatches compares a unit with those of a program, whose "*" stands for any
// instance; but an instance that a Debian cluster is named after ("15-main") has
// to be the one of the configuration ("/etc/postgresql/15/main/").
func unitMatches(p *monban.Program, unit string) bool {
	for _, pattern := range p.Units {
		if ok, err := path.Match(pattern, unit); err != nil || !ok {
			continue
		}
		_, instance, _ := strings.Cut(strings.TrimSuffix(unit, path.Ext(unit)), "@")
		version, cluster, isCluster := strings.Cut(instance, "-")
		if !isCluster || version == "" || p.Config == "" || strings.Contains(p.Config, "/"+version+"/"+cluster+"/") {
			return true
		}
	}
	return false
}

// strangeUnit reports whether a service runs the program that is not the one of
// the claim but named alike: "redis-cache.service" beside "redis-server.service".
// A service of another name may be anything that starts programs.
func strangeUnit(p *monban.Program, o *monban.Owner) bool {
	unit := service(o)
	if unit == "" || len(p.Units) == 0 {
		return false
	}
	name := strings.TrimRight(strings.TrimSuffix(strings.ToLower(o.Name), ".exe"), "0123456789.")
	name, _, _ = strings.Cut(name, "-")
	return name != "" && strings.Contains(strings.ToLower(unit), name)
}

// hasExe reports whether a process runs one of the program's executables. A
// runtime's file often has a version in its name: python3 is python3.11.
func hasExe(p *monban.Program, o *monban.Owner) bool {
	base := strings.TrimSuffix(path.Base(slashed(o.Exe)), " (deleted)")
	return slices.ContainsFunc(p.Exes, func(exe string) bool {
		return o.Exe != "" && strings.EqualFold(exe, base) || strings.EqualFold(exe, o.Name) ||
			o.Exe != "" && isRuntime(exe) && runtimeOf(exe) == runtimeOf(base)
	})
}

// isRuntime reports whether an executable says nothing about the program it runs.
func isRuntime(name string) bool {
	switch runtimeOf(name) {
	case "java", "node", "nodejs", "python", "ruby", "perl", "php", "dotnet", "beam.smp", "bun", "deno", "mono":
		return true
	}
	return false
}

// runtimeOf is the name of an executable without its version.
func runtimeOf(name string) string {
	return strings.TrimRight(strings.TrimSuffix(strings.ToLower(name), ".exe"), "0123456789.")
}

// mentions reports whether a command line has the name of a program in it.
func mentions(o *monban.Owner, by string) bool {
	words := []string{strings.ToLower(by)}
	if by == "tomcat" {
		words = append(words, "catalina")
	}
	return slices.ContainsFunc(o.Command, func(arg string) bool {
		arg = strings.ToLower(arg)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(arg, w) })
	})
}

// retitled reports whether a process has put its address in the place of its
// arguments, as Redis does: "redis-server 127.0.0.1:6379".
func retitled(o *monban.Owner) bool {
	return strings.HasPrefix(o.Name, "redis-") || strings.HasPrefix(o.Name, "valkey-")
}

// naming says which configuration a command line names.
type naming uint8

const (
	none naming = iota
	same
	other
)

// namedConfig compares the files and directories that a command line names as its
// configuration with that of the program.
func namedConfig(p *monban.Program, o *monban.Owner) naming {
	if p.Config == "" {
		return none
	}
	found := none
	roots := []string{o.Dir}
	args := words(o.Command)
	for i, arg := range args {
		value, named := configArg(args, i)
		if !named {
			continue
		}
		if arg == "-p" || arg == "-d" || arg == "-D" {
			roots = append(roots, value)
		}
		if isSameConfig(p.Config, value, roots) {
			return same
		}
		found = other
	}
	return found
}

// words returns an argument vector; a title that a program wrote over it
// ("nginx: master process nginx -c /x") is one string and taken apart.
func words(command []string) []string {
	if len(command) == 0 || !strings.Contains(command[0], " ") {
		return command
	}
	var out []string
	for _, arg := range command {
		for w := range strings.FieldsSeq(arg) {
			out = append(out, strings.Trim(w, "()"))
		}
	}
	return out
}

// configArg returns what the argument at i names as a configuration, be it a
// file or the directory that has it.
func configArg(args []string, i int) (value string, named bool) {
	arg := args[i]
	next := ""
	if i+1 < len(args) {
		next = args[i+1]
	}
	switch arg {
	case "--no-defaults":
		return "", true
	case "-c", "-C", "-f", "-F", "-y", "--config", "-config", "--config-file", "--config.file", "--configFile", "--configfile",
		"--conf", "-conf", "--configuration", "--defaults-file", "--fpm-config":
		next = strings.TrimPrefix(next, "config_file=")
		return next, isPath(next)
	case "-D", "-d", "-p":
		return next, isAbs(next)
	}
	if flag, value, found := strings.Cut(arg, "="); found && strings.HasPrefix(flag, "-") {
		switch strings.TrimLeft(flag, "-") {
		case "config", "config-file", "config.file", "configFile", "configfile", "conf", "configuration", "defaults-file",
			"config_file", "fpm-config", "Dcatalina.base", "Des.path.conf":
			return value, isPath(value)
		}
		return "", false
	}
	if len(arg) > 2 && (strings.HasPrefix(arg, "-c") || strings.HasPrefix(arg, "-f") || strings.HasPrefix(arg, "-y")) && isAbs(arg[2:]) {
		return arg[2:], true
	}
	if i == 0 || strings.HasPrefix(arg, "-") || !hasConfigName(arg) || i > 0 && strings.HasPrefix(args[i-1], "-") && args[i-1] != "--" {
		return "", false
	}
	return arg, true
}

func isPath(s string) bool { return strings.ContainsAny(s, `/\`) || hasConfigName(s) }

func isAbs(s string) bool {
	return strings.HasPrefix(s, "/") || len(s) > 2 && s[1] == ':' && (s[2] == '/' || s[2] == '\\')
}

// hasConfigName reports whether a file is named like a configuration.
func hasConfigName(s string) bool {
	switch path.Ext(s) {
	case ".conf", ".cnf", ".cfg", ".cf", ".ini", ".yml", ".yaml", ".toml", ".properties", ".xml":
		return true
	}
	return strings.HasSuffix(s, "_config")
}

// isSameConfig reports whether a command line's path is the configuration, or the
// directory it lies in.
func isSameConfig(config, value string, roots []string) bool {
	config, value = slashed(config), slashed(value)
	if value == "" {
		return false // none at all
	}
	if isAbs(value) {
		return below(config, value)
	}
	for _, root := range roots {
		if isAbs(root) && below(config, path.Join(slashed(root), value)) {
			return true
		}
	}
	return false
}

// below reports whether a path is dir or lies in it.
func below(name, dir string) bool {
	if name == "" || dir == "" {
		return false
	}
	name, dir = path.Clean(slashed(name)), path.Clean(slashed(dir))
	if len(name) > 1 && name[1] == ':' { // Windows
		name, dir = strings.ToLower(name), strings.ToLower(dir)
	}
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

func slashed(s string) string { return strings.ReplaceAll(s, `\`, "/") }

// sameInstallation reports whether an executable and a configuration may belong
// to one installation: /opt/lampp has an Apache of its own.
func sameInstallation(p *monban.Program, o *monban.Owner) bool {
	if p.Config == "" || o.Exe == "" {
		return true
	}
	return installation(p.Config) == installation(o.Exe)
}

// installation is the directory that has a whole system of programs and their
// configuration to itself, or "" for those that the machine's own share.
func installation(name string) string {
	name = slashed(name)
	switch windows := len(name) > 2 && name[1] == ':'; {
	case !windows && !strings.HasPrefix(name, "/opt/") && !strings.HasPrefix(name, "/snap/"):
		return "" // most often
	case windows:
		parts := strings.SplitN(name, "/", 3)
		if len(parts) < 3 {
			return ""
		}
		if dir := strings.ToLower(parts[1]); dir != "programdata" && dir != "windows" && !strings.HasPrefix(dir, "program files") {
			return strings.ToLower(parts[0] + "/" + parts[1])
		}
	default:
		if parts := strings.SplitN(name, "/", 4); len(parts) > 3 {
			return "/" + parts[1] + "/" + parts[2]
		}
	}
	return ""
}

// systemPlace reports whether a configuration lies where the programs of the
// machine look for theirs, and not in somebody's project.
func systemPlace(config string) bool {
	config = slashed(config)
	for _, dir := range [...]string{"/etc/", "/usr/", "/opt/", "/var/lib/", "/lib/", "/run/", "/snap/", "/Library/"} {
		if strings.HasPrefix(config, dir) {
			return true
		}
	}
	return installation(config) != "" || len(config) > 2 && config[1] == ':'
}

// covers reports whether a door is the one a claim asks for, or has it inside.
// Java shows 127.0.0.1 as an IPv4-mapped address.
func covers(d *monban.Door, want monban.Bind) bool {
	at, addr := d.Bind.Addr, want.Addr
	if !at.IsValid() || !addr.IsValid() {
		return false
	}
	if at.Unmap() == addr.Unmap() {
		return true
	}
	switch {
	case !at.Unmap().IsUnspecified():
		return false
	case at == netip.IPv6Unspecified():
		return !addr.Unmap().Is4() || d.Bind.V6Only != monban.On
	}
	return addr.Unmap().Is4()
}
