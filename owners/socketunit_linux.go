package owners

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// unitDirs are the directories of system units, those that win first
// (systemd.unit(5)).
func unitDirs() []string {
	return []string{
		"etc/systemd/system.control", "run/systemd/system.control", "run/systemd/transient",
		"run/systemd/generator.early", "etc/systemd/system", "etc/systemd/system.attached",
		"run/systemd/system", "run/systemd/system.attached", "run/systemd/generator",
		"usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system",
		"run/systemd/generator.late",
	}
}

// maxUnit bounds a unit file, in bytes.
const maxUnit = 1 << 20

// socketUnits puts the .socket unit in the place of the unit of pid 1, where
// pid 1 holds a door and exactly one unit asks for it. The service manager is
// not asked: that would be a call over D-Bus, and the files say it too.
func (l *look) socketUnits() []monban.Gap {
	var units []socketUnit
	var gaps []monban.Gap
	for i := range l.doors {
		d := &l.doors[i]
		at := slices.IndexFunc(d.Owners, func(o monban.Owner) bool { return o.PID == 1 && o.Name == "systemd" })
		if at < 0 {
			continue
		}
		if units == nil {
			if units = l.readSocketUnits(); len(units) == 0 {
				return nil
			}
		}
		names := l.askers(units, d.Bind)
		if len(names) > 1 {
			gaps = append(gaps, monban.Gap{Source: "systemd", Hides: monban.HidesDetails, Count: 1,
				Err: fmt.Sprintf("several units ask for %s %s: %s", d.Bind.Port, d.Bind.Addr, strings.Join(names, ", "))})
		}
		if len(names) != 1 {
			continue
		}
		// The list may be shared with other doors of pid 1.
		d.Owners = slices.Clone(d.Owners)
		d.Owners[at].Unit = names[0]
	}
	return gaps
}

// askers returns the names of the units that ask for b. Of several that are
// installed, those that are active count.
func (l *look) askers(units []socketUnit, b monban.Bind) []string {
	var exact, plain []string
	for i := range units {
		switch ok, weak := units[i].asksFor(b); {
		case weak:
			plain = append(plain, units[i].name)
		case ok:
			exact = append(exact, units[i].name)
		}
	}
	names := exact
	if len(names) == 0 {
		names = plain
	}
	if len(names) < 2 {
		return names
	}
	// Where systemd has the unified hierarchy it makes a control group for each
	// unit that is up, without processes for a socket. (It keeps links in
	// /run/systemd/units too, but not for sockets: measured with systemd 252.)
	active := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !l.exists("sys/fs/cgroup/system.slice/"+name) && !l.exists("sys/fs/cgroup/unified/system.slice/"+name)
	})
	if len(active) == 1 {
		return active
	}
	return names
}

// readSocketUnits reads every .socket unit with its drop-ins.
func (l *look) readSocketUnits() []socketUnit {
	var units []socketUnit
	seen := make(map[string]bool)
	for _, dir := range unitDirs() {
		entries, err := os.ReadDir(filepath.Join(l.rootPath, dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.HasSuffix(name, ".socket") || strings.HasSuffix(name, "@.socket") || seen[name] {
				continue
			}
			seen[name] = true
			// A link to /dev/null masks a unit; one to another name is an alias.
			if target := l.root.link(dir + "/" + name); target != "" && path.Base(target) != name {
				continue
			}
			b, err := l.root.regular(dir+"/"+name, maxUnit)
			if err != nil {
				continue
			}
			u := socketUnit{name: name}
			u.read(b)
			l.readDropIns(&u)
			if len(u.listen) > 0 {
				units = append(units, u)
			}
		}
	}
	return units
}

// readDropIns reads NAME.socket.d/*.conf and socket.d/*.conf of every directory
// in the order of the file names; of two with the same name the first wins.
func (l *look) readDropIns(u *socketUnit) {
	files := make(map[string]string) // file name to path
	var names []string
	for _, of := range [...]string{u.name + ".d", "socket.d"} {
		for _, dir := range unitDirs() {
			entries, err := os.ReadDir(filepath.Join(l.rootPath, dir, of))
			if err != nil {
				continue
			}
			for _, e := range entries {
				if name := e.Name(); strings.HasSuffix(name, ".conf") && files[name] == "" {
					files[name] = path.Join(dir, of, name)
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if b, err := l.root.regular(files[name], maxUnit); err == nil {
			u.read(b)
		}
	}
}
