package mend

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Obstacle is why a side cannot be moved, or a conflict not be ended; "" is none.
// The problems of package edit are obstacles, too, under their names there.
type Obstacle string

// The obstacles.
const (
	Running     Obstacle = "running"      // it runs now: it would have to be restarted
	CommandLine Obstacle = "command-line" // no file says so, but the command line of a program
	Default     Obstacle = "default"      // no line says so: it is the program's default
	Computed    Obstacle = "computed"     // the number is not written there: a variable, a range
	Wide        Obstacle = "wide"         // it is written in UTF-16
	Mismatch    Obstacle = "mismatch"     // something else stands there now
	Generated   Obstacle = "generated"    // a program writes the file: the edit would be lost
	Package     Obstacle = "package"      // the file is a package's, to be replaced with it
	PackageUnit Obstacle = "package-unit" // a unit of a package: a drop-in is the way
	Unreadable  Obstacle = "unreadable"   // the file could not be read
	NoPort      Obstacle = "no-port"      // no port is free for it
	Unproven    Obstacle = "unproven"     // read again, the edited files asked for something else
	Twice       Obstacle = "twice"        // one configuration asks twice: a line is too many
	Passing     Obstacle = "passing"      // it ends by itself: connections that linger
	OtherCause  Obstacle = "other-cause"  // another number would not help
	Lifeline    Obstacle = "lifeline"     // sshd: who moves it by the way may lock everybody out
	Expected    Obstacle = "expected"     // clients find the service by its number alone: DNS, mail
)

// side is a program that can move from a port, with all of its doors there. It
// is comparable.
type side struct {
	by, config, service, name, file string
	line                            int
	port                            uint16
}

// sideOf returns the side that a claim is a door of. What counts as one program
// is what package conflict calls one configuration; each service of a Compose
// project and each item of monban's own claims file is one.
func sideOf(c *monban.Claim) side {
	s := side{by: c.By, port: c.Bind.Port.Num}
	switch p := &c.Program; {
	case c.By == "claims":
		s.name, s.file, s.line = c.Name, c.Pos.File, c.Pos.Line
	case p.Config != "":
		s.config = p.Config
	case p.Project != "":
		s.config, s.service = p.Project, cmp.Or(p.Service, p.Container)
	default:
		s.name, s.file = c.Name, c.Pos.File
	}
	return s
}

// anywhere is the program of a side, whatever its port.
func (s side) anywhere() side {
	s.port = 0
	return s
}

// sides are claims by the side that they are a door of, and who names a place.
type sides struct {
	claims []monban.Claim
	of     map[side][]int
	named  map[portPlace]namers
}

// portPlace is a place that names a port.
type portPlace struct {
	port uint16
	at   place
}

// namers are the sides for which a place names their port: one of them, and
// whether there are others.
type namers struct {
	one  side
	more bool
}

func sidesOf(claims []monban.Claim) *sides {
	all := &sides{claims: claims, of: map[side][]int{}, named: map[portPlace]namers{}}
	for i := range claims {
		c := &claims[i]
		s := sideOf(c)
		all.of[s] = append(all.of[s], i)
		all.name(s, c.Pos)
		for _, p := range c.Agree {
			all.name(s, p)
		}
	}
	return all
}

func (all *sides) name(s side, p monban.Pos) {
	at := portPlace{s.port, placeOf(p)}
	switch known, ok := all.named[at]; {
	case !ok:
		all.named[at] = namers{one: s}
	case known.one != s:
		all.named[at] = namers{known.one, true}
	}
}

// othersName reports whether a place names the port of s for another side, too.
func (all *sides) othersName(s side, p monban.Pos) bool {
	who, ok := all.named[portPlace{s.port, placeOf(p)}]
	return ok && (who.more || who.one != s)
}

// place is a place in a file, for comparing.
type place struct {
	file      string
	line, col int
}

func placeOf(p monban.Pos) place { return place{p.File, p.Line, p.Col} }

// places are the places that name a side's port, and left those that do and stay:
// they speak of another program, which keeps the number, as well.
func (all *sides) places(s side) (move, stay []monban.Pos) {
	own := map[string]bool{}
	for _, i := range all.of[s] {
		own[all.claims[i].Pos.File] = true
	}
	seen := map[place]bool{}
	add := func(p monban.Pos, agrees bool) {
		at := placeOf(p)
		if p.Len == 0 || seen[at] {
			return
		}
		seen[at] = true
		if agrees && !own[p.File] && all.othersName(s, p) {
			stay = append(stay, p)
			return
		}
		move = append(move, p)
	}
	for _, i := range all.of[s] {
		add(all.claims[i].Pos, false)
		for _, p := range all.claims[i].Agree {
			add(p, true)
		}
	}
	return move, stay
}

// Source is what mend has to know of a file.
type Source struct {
	// Path is the file's own, absolute and without symbolic links: two names may
	// lead to one file.
	Path string
	Data []byte
	// Obstacle is why the file cannot be changed.
	Obstacle Obstacle
	// Own reports whether the file belongs to who asks.
	Own bool
}

// sideEdits are the edits that move a side to another number, by the names of
// the files, or why there are none and, where a file is to blame, which.
type sideEdits struct {
	edits    []Edit
	stay     []monban.Pos
	own      bool // every file is the asker's own
	obstacle Obstacle
	file     string
}

// look finds out whether and how a side can be moved. The new numbers are left
// out.
func (q *Question) look(all *sides, s side) sideEdits {
	if q.seen == nil {
		q.seen = map[string]Source{}
	}
	out := sideEdits{own: true}
	first := &all.claims[all.of[s][0]]
	if first.Pos.File == "" {
		out.obstacle = CommandLine
		return out
	}
	if o := packaged(first.Pos.File); o != "" {
		out.obstacle, out.file = o, first.Pos.File
		return out
	}
	var move []monban.Pos
	move, out.stay = all.places(s)
	if len(move) == 0 {
		out.obstacle, out.file = Computed, first.Pos.File
		if first.Default {
			out.obstacle = Default
		}
		return out
	}
	for _, p := range move {
		src, ok := q.seen[p.File]
		if !ok {
			src = q.File(p.File)
			q.seen[p.File] = src
		}
		text, is := portAt(src.Data, p, s.port)
		o := cmp.Or(src.Obstacle, packaged(p.File))
		switch {
		case o != "":
		case generated(src.Data):
			o = Generated
		case !is:
			o = Mismatch
		}
		if o != "" {
			out.obstacle, out.file = o, p.File
			return out
		}
		out.own = out.own && src.Own
		out.edits = append(out.edits, Edit{Pos: p, Old: text})
	}
	slices.SortStableFunc(out.edits, func(a, b Edit) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col)
	})
	return out
}

// bound tells the services that are tied to their numbers.
func bound(c *monban.Claim) Obstacle {
	for _, name := range slices.Concat(c.Program.Exes, c.Program.Units, []string{c.By}) {
		switch name {
		case "sshd", "ssh.socket", "sshd.socket", "ssh.service", "sshd.service", "dropbear":
			return Lifeline
		}
	}
	switch c.Bind.Port.Num {
	case 25, 53, 67, 68, 69, 88, 123, 137, 138, 139, 445, 1900, 5353:
		return Expected
	}
	return ""
}

// packaged tells the files that a package manager replaces from those that are
// the administrator's.
func packaged(file string) Obstacle {
	for _, dir := range [...]string{"/usr/lib/", "/lib/", "/usr/share/", "/usr/libexec/", "/run/", "/nix/store/", "/snap/"} {
		if strings.HasPrefix(file, dir) {
			if ext := path.Ext(file); (ext == ".socket" || ext == ".service") && strings.Contains(file, "/systemd/") {
				return PackageUnit
			}
			return Package
		}
	}
	return ""
}
