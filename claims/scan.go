package claims

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// scan is the reading of one configuration: the file that a program starts
// with, and whatever that includes.
type scan struct {
	*files
	main  string // the file to start with, inside the tree
	named bool   // by the user
	met   bool   // by walking, as a regular file and not as a link to one
	names *names

	claims   []monban.Claim
	gaps     []monban.Gap
	mentions []mention
	copied   []string // or mounted, into containers
	// namespaces are those of Kubernetes, of each claim that a manifest makes.
	namespaces []string
	inside     []inside // what containers run of the project's own
	seen       []string // every file that has been loaded
	stack      []string // the files being read now, the outermost first
	whole      []string // files that are a part of this and not to be read by themselves
	// lost says that main could not be read: what the program does without a line
	// is not known either.
	lost bool
	// declined says that the file is something else than its name promises.
	declined bool
}

// file is one file of a scan, for the making of positions.
type file struct {
	name string // inside the tree
	show string // as people see it
	data []byte
}

// open loads a file and calls read with it. A file that cannot be loaded, or is
// being read already, becomes a gap. from is the line that asks for it; its
// zero value is for the main file.
func (s *scan) open(from monban.Pos, name string, read func(file)) bool {
	if from.File == "" {
		from.File = s.place.shown(name)
	}
	if slices.Contains(s.stack, name) {
		s.gap(from, Cycle, s.place.shown(name))
		return false
	}
	if len(s.stack) >= maxDepth {
		s.gap(from, TooDeep, s.place.shown(name))
		return false
	}
	data, err := s.load(name, s.met && name == s.main)
	if err != nil {
		if err.Problem == Missing {
			err.Pos, err.Text = from, s.place.shown(name)
		}
		s.gaps = append(s.gaps, err.gap())
		s.lost = s.lost || name == s.main
		return false
	}
	s.seen = append(s.seen, name)
	s.stack = append(s.stack, name)
	read(file{name: name, show: s.place.shown(name), data: data})
	s.stack = s.stack[:len(s.stack)-1]
	return true
}

// decline says that main is not of the reader's format after all.
func (s *scan) decline() { s.declined = true }

// gap records that something at pos could not be understood or seen.
func (s *scan) gap(pos monban.Pos, problem Problem, text string) {
	switch {
	case pos.File != "":
	case s.main != "":
		pos.File = s.place.shown(s.main)
	default:
		pos.File = "command line"
	}
	s.gaps = append(s.gaps, (&Error{Pos: pos, Problem: problem, Text: text}).gap())
}

// find returns the files that an include names: a path, relative to dir or
// absolute, with the wildcards of glob(7), in the order of their names.
//
// An absolute path that leads out of the tree is looked for again where it
// would be if home, the directory that the configuration believes to live in,
// were here: a copied /etc/nginx, or a XAMPP tree on another drive.
func (s *scan) find(dir, pattern, home, here string) ([]string, error) {
	name := path.Join(dir, slashes(pattern))
	if isAbs(pattern) {
		var ok bool
		if name, ok = s.place.fromAbs(pattern); !ok || !s.exists(fixedPart(name)) {
			rest, below := cutDir(slashes(pattern), home)
			switch {
			case below:
				name = path.Join(here, rest)
			case !ok:
				return nil, errOutside
			}
		}
	}
	if !validPath(name) {
		return nil, errOutside
	}
	if !strings.ContainsAny(name, "*?[") {
		return []string{name}, nil
	}
	return glob(s.place.FS, name)
}

var errOutside = errors.New("outside the tree")

// include opens every file that find finds. missing says whether a path without
// wildcards that leads nowhere is a gap.
func (s *scan) include(from monban.Pos, where includeRule, pattern string, read func(file)) {
	found, err := s.find(where.dir, pattern, where.home, where.here)
	switch {
	case errors.Is(err, errOutside):
		s.gap(from, Outside, pattern)
	case err != nil:
		s.gap(from, BadSyntax, pattern)
	}
	for _, name := range found {
		if where.skip != nil && where.skip(path.Base(name)) {
			continue
		}
		if where.optional && !s.exists(name) {
			continue
		}
		s.open(from, name, read)
	}
}

// includeRule says how one format follows its includes.
type includeRule struct {
	dir      string // relative paths start here, inside the tree
	home     string // the absolute directory the configuration is made for
	here     string // where home is, inside the tree
	optional bool   // a missing file is no error
	skip     func(base string) bool
}

// fixedPart returns the directories before the first wildcard.
func fixedPart(name string) string {
	if i := strings.IndexAny(name, "*?["); i >= 0 {
		return path.Dir(name[:i] + "x")
	}
	return name
}

// cutDir returns what follows dir in name.
// The letter of a drive does not count: it may be left out.
func cutDir(name, dir string) (string, bool) {
	name, dir = withoutDrive(name), withoutDrive(strings.TrimSuffix(slashes(dir), "/"))
	if dir == "" || len(name) <= len(dir) || !strings.EqualFold(name[:len(dir)], dir) || name[len(dir)] != '/' {
		return "", false
	}
	return name[len(dir)+1:], true
}

func withoutDrive(name string) string {
	if len(name) > 1 && name[1] == ':' {
		return name[2:]
	}
	return name
}

// glob is fs.Glob without reading more directories than it has to, and without
// the hidden files that glob(7) leaves out.
func glob(fsys fs.FS, pattern string) ([]string, error) {
	found, err := fs.Glob(fsys, pattern)
	base := path.Base(pattern)
	return slices.DeleteFunc(found, func(name string) bool {
		return strings.HasPrefix(path.Base(name), ".") && !strings.HasPrefix(base, ".")
	}), err
}

// asker is the program that a reader's claims belong to, and what all of its
// sockets have in common.
type asker struct {
	by                   string
	name                 string // "" is by
	program              monban.Program
	uid                  int
	reuseAddr, reusePort monban.Flag
	bindService          monban.Flag
}

// socket is one socket that a program opens.
type socket struct {
	at     netip.AddrPort
	proto  monban.Proto
	v6only monban.Flag // of an IPv6 socket
	pos    monban.Pos
	name   string // "" is the asker's
	absent bool   // claimed because no line says otherwise
	orIPv4 bool
	// tolerates is what the program runs on after, if this socket fails.
	tolerates monban.Tolerance
	upTo      uint16
}

// claim records a socket. No program listens on port 0: where it does not turn
// the listener off, which is the reader's business, it is an error.
//
// The claim is returned for what socket has no field for.
func (s *scan) claim(who asker, sock socket) *monban.Claim {
	if sock.at.Port() == 0 {
		if sock.pos.File == "" {
			sock.pos.File = s.place.shown(s.main)
		}
		s.gap(sock.pos, BadPort, "0")
		return &monban.Claim{} // nobody's
	}
	if s.lost {
		return &monban.Claim{} // nobody's
	}
	name := sock.name
	if name == "" {
		name = who.name
	}
	if name == "" {
		name = who.by
	}
	addr := sock.at.Addr()
	if addr.Is4() {
		sock.v6only = monban.Off
	} else if !addr.Is4In6() && !addr.IsUnspecified() && sock.v6only == monban.FlagUnknown {
		sock.v6only = monban.On // a specific IPv6 address receives no IPv4
	}
	if sock.pos.File == "" {
		sock.pos.File = s.place.shown(s.main)
	}
	s.claims = append(s.claims, monban.Claim{
		Name: name, By: who.by,
		Bind: monban.Bind{
			Port: monban.Port{Num: sock.at.Port(), Proto: sock.proto}, Addr: addr, V6Only: sock.v6only,
			ReuseAddr: who.reuseAddr, ReusePort: who.reusePort,
		},
		UpTo: sock.upTo, Listen: sock.proto == monban.TCP, UID: who.uid, BindService: who.bindService,
		Tolerates: sock.tolerates, OrIPv4: sock.orIPv4, Default: sock.absent, Pos: sock.pos, Program: who.program,
	})
	return &s.claims[len(s.claims)-1]
}

// mention is a place that names a port but opens nothing: a VirtualHost, a
// client's setting, the table of a control panel. It has to agree with the claim.
type mention struct {
	by    string // the claim's By
	under string // the claim's main file, or a directory above it
	port  uint16
	pos   monban.Pos
}

// mention records a mention.
func (s *scan) mention(by, under string, port uint16, pos monban.Pos) {
	s.mentions = append(s.mentions, mention{by: by, under: under, port: port, pos: pos})
}

// rootUID is the user that a daemon of the machine is started as, or -1 for
// one that somebody starts from a tree of their own.
func (s *scan) rootUID() int {
	for _, dir := range [...]string{"/etc/", "/usr/", "/opt/", "/lib/", "/run/", "/var/"} {
		if strings.HasPrefix(s.place.abs(s.main), dir) {
			return 0
		}
	}
	return -1
}

// once merges claims of one program for one place: its sockets are shared by
// the lines that ask for them, as servers of one nginx do.
func (s *scan) once() {
	type place struct {
		by, config string
		bind       monban.Bind
	}
	first := map[place]int{}
	kept := s.claims[:0]
	for _, c := range s.claims {
		key := place{by: c.By, config: c.Program.Config, bind: c.Bind}
		key.bind.V6Only, key.bind.ReuseAddr, key.bind.ReusePort = 0, 0, 0
		if at, ok := first[key]; ok {
			if c.Pos.Line > 0 && c.Pos != kept[at].Pos {
				kept[at].Agree = append(kept[at].Agree, c.Pos)
			}
			continue
		}
		first[key] = len(kept)
		kept = append(kept, c)
	}
	s.claims = kept
}
