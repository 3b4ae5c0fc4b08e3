package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// unitDirs are the directories of systemd's units, the first one wins.
func unitDirs() []string {
	return []string{"etc/systemd/system", "run/systemd/system", "run/systemd/generator", "usr/local/lib/systemd/system",
		"usr/lib/systemd/system", "lib/systemd/system"}
}

// userUnitDirs are those of the units that every user's systemd has.
func userUnitDirs() []string {
	return []string{"etc/systemd/user", "run/systemd/user", "usr/local/lib/systemd/user", "usr/lib/systemd/user", "lib/systemd/user"}
}

// enabledUnits are the places where a unit of a kind is wanted at boot.
func enabledUnits(kind string) []string {
	var out []string
	for _, dir := range unitDirs() {
		out = append(out, dir+"/*.wants/*."+kind, dir+"/*.requires/*."+kind)
	}
	return out
}

// unit is a systemd unit: the settings of its file and of its drop-ins, in the
// order in which they count.
type unit struct {
	name     string
	settings []unitSetting
}

type unitSetting struct {
	setting
	f file
}

// readUnit loads the unit that scan.main is or, on a machine, stands for.
func (s *scan) unit() unit {
	u := unit{name: path.Base(s.main)}
	add := func(f file) {
		for st := range settings(f, lineStyle{comment: "#;", joined: true, apart: true}, '=') {
			u.settings = append(u.settings, unitSetting{st, f})
		}
	}
	main, dirs := s.main, []string{path.Dir(s.main)}
	if wanted := path.Dir(s.main); strings.HasSuffix(wanted, ".wants") || strings.HasSuffix(wanted, ".requires") {
		if dirs = unitDirs(); strings.Contains(wanted, "/systemd/user/") {
			dirs = userUnitDirs()
		}
		main = s.findUnit(u.name, dirs)
	}
	if main == "" {
		s.gap(monban.Pos{File: s.place.shown(s.main)}, Missing, u.name)
		return u
	}
	s.open(monban.Pos{}, main, add)
	for _, name := range s.dropIns(u.name, dirs) {
		s.open(monban.Pos{}, name, add)
	}
	return u
}

// templateUnit returns the template that a unit's name is an instance of, or "".
func templateUnit(name string) string {
	if before, after, ok := strings.Cut(name, "@"); ok && after != path.Ext(after) {
		return before + "@" + path.Ext(after)
	}
	return ""
}

// specify puts in what the specifiers of systemd.unit(5) stand for that say
// something about a unit's name or are directories. It is false where there are others.
func (u unit) specify(text string) (string, bool) {
	if !strings.ContainsRune(text, '%') {
		return text, true
	}
	full := strings.TrimSuffix(u.name, path.Ext(u.name))
	prefix, instance, isInstance := strings.Cut(full, "@")
	known := true
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch text[i] {
		case 'i', 'I':
			b.WriteString(strings.ReplaceAll(instance, `\x2d`, "-"))
			known = known && isInstance && instance != "" && !strings.Contains(strings.ReplaceAll(instance, `\x2d`, ""), `\`)
		case 'p', 'P':
			b.WriteString(prefix)
		case 'n':
			b.WriteString(u.name)
		case 'N':
			b.WriteString(full)
		case 't', 'S', 'C', 'L', 'E', 'h', 'T', 'V':
			b.WriteString("/" + text[i:i+1]) // which one does not matter here: it is a path
		case '%':
			b.WriteByte('%')
		default:
			known = false
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String(), known
}

// findUnit returns the file of a unit, or of the template that it instantiates.
func (s *scan) findUnit(name string, dirs []string) string {
	for _, n := range [...]string{name, templateUnit(name)} {
		if n == "" {
			continue
		}
		for _, dir := range dirs {
			if full := path.Join(dir, n); s.exists(full) {
				return full
			}
		}
	}
	return ""
}

// dropIns returns the files of NAME.d, and of its template's, in the order of their names; of files
// with the same name the first directory's counts.
func (s *scan) dropIns(name string, dirs []string) []string {
	var bases []string
	where := map[string]string{}
	for _, unit := range [...]string{name, templateUnit(name)} {
		if unit == "" {
			continue
		}
		for _, dir := range dirs {
			entries, _ := s.dir(path.Join(dir, unit+".d"))
			for _, base := range entries {
				if strings.HasSuffix(base, ".conf") && where[base] == "" {
					where[base] = path.Join(dir, unit+".d", base)
					bases = append(bases, base)
				}
			}
		}
	}
	slices.Sort(bases)
	for i, base := range bases {
		bases[i] = where[base]
	}
	return bases
}

// last returns the last value of a key, as an absent word when there is none.
func (u unit) last(section, key string) unitSetting {
	var out unitSetting
	for _, st := range u.settings {
		if st.section == section && st.key.text == key {
			out = st
		}
	}
	return out
}

// readSocketUnit reads a .socket unit.
func readSocketUnit(s *scan) {
	u := s.unit()
	who := asker{by: "systemd", name: u.name, reuseAddr: monban.On,
		program: monban.Program{Exes: []string{"systemd"}, Units: []string{u.name, strings.TrimSuffix(u.name, ".socket") + ".service"}}}
	if service := u.last("Socket", "Service").value.text; service != "" {
		who.program.Units[1] = service
	}
	on := func(key string) bool { yes, _ := yesNo(u.last("Socket", key).value.text); return yes }
	who.reusePort = monban.FlagOf(on("ReusePort"))
	v6only := monban.FlagUnknown // "default": the system's
	switch u.last("Socket", "BindIPv6Only").value.text {
	case "both":
		v6only = monban.Off
	case "ipv6-only":
		v6only = monban.On
	}
	for _, st := range u.settings {
		if st.section != "Socket" {
			continue
		}
		switch key := st.key.text; key {
		case "ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenNetlink",
			"ListenSpecial", "ListenMessageQueue", "ListenUSBFunction":
			if st.value.text == "" {
				s.claims = nil // an empty one of any kind clears all (measured)
				continue
			}
			if proto := socketProto(key); proto != monban.AnyProto {
				s.listenOn(who, u, st, proto, v6only)
			}
		}
	}
	for i := range s.claims {
		s.claims[i].FreeBind = on("FreeBind") || on("Transparent")
		s.claims[i].Bind.Device = u.last("Socket", "BindToDevice").value.text
	}
}

func socketProto(key string) monban.Proto {
	switch key {
	case "ListenStream":
		return monban.TCP
	case "ListenDatagram":
		return monban.UDP
	}
	return monban.AnyProto
}

// listenOn is one address: a number is every address of both families.
func (s *scan) listenOn(who asker, u unit, st unitSetting, proto monban.Proto, v6only monban.Flag) {
	text, known := u.specify(st.value.text)
	switch {
	case text == "":
		s.gap(st.value.pos(st.f), NotFollowed, st.value.text)
		return
	case text[0] == '/', text[0] == '@', strings.HasPrefix(text, "vsock:"), strings.HasPrefix(text, "~"):
		return
	case !known:
		s.gap(st.value.pos(st.f), NotFollowed, st.value.text)
		return
	}
	value := st.value
	if text != value.text {
		value.text, value.long, value.joined = text, -1, nil // it stands nowhere
	}
	host, port := hostPort(value)
	if port.text == "" {
		s.gap(st.value.pos(st.f), BadPort, text)
		return
	}
	num, ok := s.portOf(st.f, port, proto)
	if !ok {
		return
	}
	sock := socket{at: netip.AddrPortFrom(any6(), num), proto: proto, pos: port.pos(st.f), v6only: v6only}
	if host == "" {
		sock.orIPv4 = true
	} else {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			s.gap(st.value.pos(st.f), BadAddress, text)
			return
		}
		sock.at = netip.AddrPortFrom(addr, num)
	}
	s.claim(who, sock)
}

// readServiceUnit reads what the command lines of a .service unit ask for.
func readServiceUnit(s *scan) {
	u := s.unit()
	env := s.environment(u)
	for _, st := range u.settings {
		if st.section != "Service" || st.key.text != "ExecStart" {
			continue
		}
		if st.value.text == "" {
			s.claims = nil
			continue
		}
		s.execStart(u, st, env)
	}
}

// execStart is one command line.
func (s *scan) execStart(u unit, st unitSetting, env []string) {
	argv, at := execWords(u, st, env)
	if len(argv) == 0 {
		return
	}
	before := len(s.claims)
	s.commandAt(st.f, argv, at, env)
	user := u.last("Service", "User").value.text
	for i := range s.claims[before:] {
		c := &s.claims[before+i]
		c.Program.Units = []string{u.name}
		if c.Pos.Line == 0 {
			c.Pos = st.value.pos(st.f)
			c.Pos.Len = 0
		}
		c.UID = 0
		if user != "" {
			c.UID = s.user(user)
		}
		if strings.Contains(u.last("Service", "AmbientCapabilities").value.text, "CAP_NET_BIND_SERVICE") {
			c.BindService = monban.On
		}
	}
}

// execWords takes a command line apart as systemd does: quotes, "$NAME" as the
// words of a value and "${NAME}" inside a word. The places are those of words
// that stand in the unit themselves.
func execWords(u unit, st unitSetting, env []string) (argv []string, at []word) {
	text := st.value
	for text.text != "" && strings.IndexByte("@-:+!|", text.text[0]) >= 0 {
		text = text.sub(1, len(text.text))
	}
	for _, w := range text.asLine().words("") {
		if w.text == ";" {
			break
		}
		if name, ok := strings.CutPrefix(w.text, "$"); ok && !strings.HasPrefix(name, "{") && !strings.HasPrefix(name, "$") {
			for _, piece := range splitShell(lookup(env, name)) {
				argv, at = append(argv, piece), append(at, word{})
			}
			continue
		}
		specified, known := u.specify(w.text)
		if !known {
			specified = w.text
		}
		expanded := expandBraces(specified, env)
		if expanded != w.text {
			w = word{}
		}
		argv, at = append(argv, expanded), append(at, w)
	}
	return argv, at
}

// expandBraces puts in the values of ${NAME}.
func expandBraces(text string, env []string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		name, rest, ends := strings.Cut(after, "}")
		if !found || !ends {
			b.WriteString(after)
			return b.String()
		}
		b.WriteString(lookup(env, name))
		text = rest
	}
}

// lookup returns the last value of a variable in a list of NAME=VALUE.
func lookup(env []string, name string) string {
	for _, v := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// splitShell splits words at blanks outside quotes.
func splitShell(text string) []string {
	var out []string
	for _, w := range (line{text: text}).words("") {
		out = append(out, w.text)
	}
	return out
}

// environment collects Environment= and EnvironmentFile=. What the files say
// counts more, wherever they stand (systemd.exec(5)).
func (s *scan) environment(u unit) []string {
	var env, files []string
	for _, st := range u.settings {
		if st.section != "Service" {
			continue
		}
		switch st.key.text {
		case "Environment":
			// The whole value may be in quotes, or each assignment.
			raw := line{text: st.value.text}
			if st.value.quoted {
				env = append(env, st.value.text)
				continue
			}
			for _, w := range raw.words("") {
				env = append(env, w.text)
			}
		case "EnvironmentFile":
			files = append(files, s.environmentFile(st)...)
		}
	}
	return append(env, files...)
}

// environmentFile reads a file of shell-like assignments, without a shell.
func (s *scan) environmentFile(st unitSetting) []string {
	text, optional := strings.CutPrefix(st.value.text, "-")
	var env []string
	if optional && !s.place.machine() {
		return nil
	}
	s.include(st.value.pos(st.f), includeRule{dir: ".", optional: optional}, text, func(f file) {
		for a := range settings(f, lineStyle{comment: "#;", joined: true, apart: true}, '=') {
			env = append(env, a.key.text+"="+a.value.text)
		}
	})
	return env
}

// atBoot says of every claim whether a unit starts its program at boot: yes when
// one is wanted, no when there are units of it and none is.
func (r *reading) atBoot(claims []monban.Claim) {
	wanted, there := map[string]bool{}, map[string]bool{}
	for _, kind := range [...]string{"service", "socket"} {
		for _, pattern := range enabledUnits(kind) {
			found, _ := glob(r.files.place.FS, pattern) // the patterns are our own
			for _, name := range found {
				wanted[path.Base(name)] = true
			}
		}
	}
	for _, dir := range unitDirs() {
		entries, _ := r.files.dir(dir)
		for _, base := range entries {
			there[base] = true
		}
	}
	for i := range claims {
		for _, name := range claims[i].Program.Units {
			switch {
			case matchesUnit(name, wanted):
				claims[i].AtBoot = monban.On
			case matchesUnit(name, there) && claims[i].AtBoot != monban.On:
				claims[i].AtBoot = monban.Off
			}
		}
	}
}

// matchesUnit reports whether a unit, of which "*" is any instance, is in a set.
func matchesUnit(name string, set map[string]bool) bool {
	if set[name] {
		return true
	}
	if !strings.Contains(name, "*") {
		return false
	}
	for unit := range set {
		if ok, _ := path.Match(name, unit); ok {
			return true
		}
	}
	return false
}
