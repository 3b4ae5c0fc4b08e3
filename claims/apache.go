package claims

import (
	"bytes"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readApache reads the configuration of the Apache HTTP server: httpd.conf or
// apache2.conf and what they include.
func readApache(s *scan) {
	dir := path.Dir(s.main)
	if path.Base(dir) == "conf" {
		dir = path.Dir(dir)
	}
	a := apache{s: s, root: dir, home: "/etc/apache2", defines: map[string]located{}}
	a.envvars(path.Join(path.Dir(s.main), "envvars"))
	s.open(monban.Pos{}, s.main, a.read)
	a.claim()
}

// looksLikeApache recognises Apache's directives in a file of any name.
func looksLikeApache(data []byte) bool {
	return bytes.Contains(data, []byte("<VirtualHost ")) || bytes.Contains(data, []byte("\nListen ")) ||
		bytes.HasPrefix(data, []byte("Listen "))
}

// apache is the reading of one server's configuration.
type apache struct {
	s *scan
	// root is where ServerRoot is inside the tree, and home what it is called
	// in the files: in a copied tree the two differ.
	root, home string
	defines    map[string]located
	modules    []string // in lower case, as in "ssl_module"
	loads      bool     // a LoadModule has been seen, so modules is all there is
	buckets    bool
	macro      []string // the parameters of the <Macro> that the line stands in
	listens    []listen
}

// listen is one Listen line.
type listen struct {
	pos   monban.Pos
	addrs []netip.Addr // none: every address
	port  uint16
}

// read reads one file. A section that does not apply is skipped with all
// inside; it may not end in another file.
func (a *apache) read(f file) {
	var skipping []string // the sections left out, the outermost first
	for l := range lines(f.data, lineStyle{comment: "#", joined: true}) {
		name, rest := l.keyValue(0)
		if section, ok := strings.CutPrefix(name.text, "</"); ok {
			section = lower(strings.TrimSuffix(section, ">"))
			if section == "macro" {
				a.macro = nil
			}
			if n := len(skipping); n > 0 && skipping[n-1] == section {
				skipping = skipping[:n-1]
			}
			continue
		}
		if section, ok := strings.CutPrefix(name.text, "<"); ok {
			section = lower(strings.TrimSuffix(section, ">"))
			if end := strings.LastIndexByte(rest.text, '>'); end >= 0 {
				rest = rest.sub(0, end)
			}
			if len(skipping) > 0 || !a.applies(f, section, rest) {
				skipping = append(skipping, section)
			} else if section == "virtualhost" {
				a.virtualHost(f, rest)
			} else if params := strings.Fields(rest.text); section == "macro" && len(params) > 1 {
				a.macro = params[1:]
			}
			continue
		}
		if len(skipping) == 0 {
			a.directive(f, l, lower(name.text))
		}
	}
}

// applies decides the conditions that are decided while the files are read.
func (a *apache) applies(f file, section string, arg word) bool {
	text, negated := strings.CutPrefix(arg.trim().text, "!")
	text = strings.Trim(text, `"`)
	switch section {
	case "ifdefine":
		_, on := a.defines[text]
		return on != negated
	case "ifmodule":
		return a.hasModule(text) != negated
	case "ifversion":
		return apacheVersion(arg.text)
	case "iffile":
		name, ok := a.inside(a.expand(f, arg, text))
		return (ok && a.s.exists(name)) != negated
	}
	return true
}

// hasModule answers for "ssl_module" and "mod_ssl.c". Where no LoadModule line
// has been seen every module of httpd may be built in, and is taken to be.
func (a *apache) hasModule(name string) bool {
	name = lower(name)
	if file, ok := strings.CutPrefix(name, "mod_"); ok {
		name = strings.TrimSuffix(file, ".c") + "_module"
	} else if file, ok := strings.CutSuffix(name, ".c"); ok {
		name = "mpm_" + file + "_module"
	}
	builtIn := []string{"core_module", "so_module", "http_module", "unixd_module", "log_config_module",
		"logio_module", "version_module", "watchdog_module", "mpm_winnt_module"}
	return !a.loads && name != "gnutls_module" || slices.Contains(builtIn, name) || slices.Contains(a.modules, name)
}

// apacheVersion decides <IfVersion>: the server is taken to be of the 2.4 series.
func apacheVersion(arg string) bool {
	words := strings.Fields(arg)
	if len(words) == 0 {
		return true
	}
	op, version := "=", words[0]
	if len(words) > 1 {
		op, version = words[0], words[1]
	}
	op, negated := strings.CutPrefix(op, "!")
	var order int
	for i, part := range strings.SplitN(version, ".", 3)[:min(2, strings.Count(version, ".")+1)] {
		n, err := strconv.Atoi(part)
		if err != nil {
			return true // a regular expression
		}
		if order == 0 {
			order = [...]int{2, 4}[i] - n
		}
	}
	var on bool
	switch op {
	case ">":
		on = order > 0
	case ">=":
		on = order >= 0
	case "<":
		on = order < 0
	case "<=":
		on = order <= 0
	default:
		on = order == 0
	}
	return on != negated
}

func (a *apache) directive(f file, l line, name string) {
	switch name {
	case "listen", "include", "includeoptional", "define", "undefine", "serverroot", "loadmodule",
		"servername", "listencoresbucketsratio", "namevirtualhost":
	default:
		return
	}
	args := l.words("")[1:]
	if len(args) == 0 {
		a.s.gap(l.pos(f), BadSyntax, l.text)
		return
	}
	arg := args[0]
	opens := name == "listen" || name == "define" || strings.HasPrefix(name, "include")
	if opens && slices.ContainsFunc(a.macro, func(param string) bool { return strings.Contains(arg.text, param) }) {
		a.s.gap(l.pos(f), NotFollowed, l.text) // decided by every "Use" of the macro
		return
	}
	switch name {
	case "listen":
		a.listen(f, arg)
	case "include", "includeoptional":
		a.include(f, arg, name == "includeoptional")
	case "define":
		value := located{}
		if len(args) > 1 {
			value = located{a.expand(f, args[1], args[1].text), args[1].pos(f)}
		}
		a.defines[arg.text] = value
	case "undefine":
		delete(a.defines, arg.text)
	case "serverroot":
		a.serverRoot(a.expand(f, arg, arg.text))
	case "loadmodule":
		a.loads = true
		a.modules = append(a.modules, lower(arg.text))
	case "listencoresbucketsratio":
		a.buckets = arg.text != "0"
	case "servername", "namevirtualhost":
		if _, port := hostPort(arg); port.text != "" {
			a.names(f, port)
		}
	}
}

// expand puts in the values of ${NAME}.
func (a *apache) expand(f file, at word, text string) string {
	for from := 0; ; {
		start := strings.Index(text[from:], "${")
		if start < 0 {
			return text
		}
		start += from
		end := strings.IndexByte(text[start:], '}')
		if end < 0 {
			return text
		}
		name := text[start+2 : start+end]
		defined, ok := a.defines[name]
		value := defined.text
		if !ok {
			value, ok = a.s.place.getenv(name)
		}
		if !ok {
			// Apache leaves the text as it is, and warns.
			a.s.gap(at.pos(f), Undefined, name)
			from = start + end
			continue
		}
		text = text[:start] + value + text[start+end+1:]
		from = start + len(value)
	}
}

func (a *apache) listen(f file, arg word) {
	pos := arg.pos(f)
	text := a.expand(f, arg, arg.text)
	at := arg
	at.text = text
	host, port := hostPort(at)
	pos.Len = 0
	if text == arg.text {
		pos = port.pos(f)
	}
	num, ok := a.s.names.port(port.text, monban.TCP)
	if !ok || !digits(port.text) {
		a.s.gap(arg.pos(f), BadPort, text)
		return
	}
	if defined := a.definition(arg.text); defined.text == port.text && defined.pos.File != "" {
		a.s.mention("apache", a.s.main, num, defined.pos)
	}
	l := listen{pos: pos, port: num}
	if host != "" && host != "*" {
		if l.addrs = a.s.hostOf(f, arg, host); l.addrs == nil {
			return
		}
	}
	a.listens = append(a.listens, l)
}

// definition returns what the variable is defined as that a text ends with.
func (a *apache) definition(text string) located {
	i := strings.LastIndex(text, "${")
	if i < 0 || !strings.HasSuffix(text, "}") {
		return located{}
	}
	return a.defines[text[i+2:len(text)-1]]
}

func (a *apache) virtualHost(f file, args word) {
	for _, arg := range args.split(blanks) {
		arg = arg.unquote()
		if _, port := hostPort(arg); port.text != "" {
			a.names(f, port)
		}
	}
}

// names records that a directive which opens nothing names a port.
func (a *apache) names(f file, port word) {
	if num, ok := a.s.names.port(port.text, monban.TCP); ok && digits(port.text) {
		a.s.mention("apache", a.s.main, num, port.pos(f))
	}
}

// serverRoot finds out where the directory that the files speak of is.
func (a *apache) serverRoot(text string) {
	a.home = strings.TrimSuffix(slashes(text), "/")
	if name, ok := a.s.place.fromAbs(a.home); ok && isAbs(a.home) && a.s.exists(name) {
		a.root = name
		return
	}
	// A copied tree: /home/hana/backup/lampp/etc/httpd.conf of /opt/lampp.
	for dir := path.Dir(a.s.main); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if path.Base(dir) == path.Base(a.home) {
			a.root = dir
			return
		}
	}
}

func (a *apache) inside(name string) (string, bool) {
	found, err := a.s.find(a.root, name, a.home, a.root)
	if err != nil || len(found) != 1 {
		return "", false
	}
	return found[0], true
}

func (a *apache) include(f file, arg word, optional bool) {
	pattern := a.expand(f, arg, arg.text)
	found, err := a.s.find(a.root, pattern, a.home, a.root)
	if err != nil {
		a.s.gap(arg.pos(f), Outside, pattern)
		return
	}
	if len(found) == 0 && !optional {
		a.s.gap(arg.pos(f), Missing, pattern)
	}
	for _, name := range found {
		if optional && !a.s.exists(name) {
			continue
		}
		a.includeAll(arg.pos(f), name, 0)
	}
}

// includeAll reads a file, or all files below a directory, as Apache does.
func (a *apache) includeAll(from monban.Pos, name string, depth int) {
	entries, ok := a.s.dir(name)
	if !ok {
		a.s.open(from, name, a.read)
		return
	}
	if depth > maxDepth {
		a.s.gap(from, TooDeep, name)
		return
	}
	for _, entry := range entries {
		a.includeAll(from, path.Join(name, entry), depth+1)
	}
}

// envvars reads the assignments of Debian's shell fragment that sets Apache's
// environment. It is not executed: only plain assignments count.
func (a *apache) envvars(name string) {
	if path.Base(a.s.main) != "apache2.conf" || !a.s.exists(name) {
		return
	}
	a.s.open(monban.Pos{}, name, func(f file) {
		for l := range lines(f.data, lineStyle{comment: "#"}) {
			text := strings.TrimPrefix(l.text, "export ")
			key, value, ok := strings.Cut(text, "=")
			if ok && !strings.ContainsAny(key, blanks) && !strings.ContainsAny(value, "`(") {
				at := l.word(len(l.text)-len(value), len(l.text)).unquote()
				a.defines[key] = located{strings.ReplaceAll(at.text, "$SUFFIX", ""), at.pos(f)}
			}
		}
	})
}

// claim makes the sockets of the Listen lines. Apache binds with SO_REUSEADDR;
// an IPv6 wildcard takes IPv4 too, and a 0.0.0.0 of the same port beside it is
// left out (server/listen.c open_listeners; measured with 2.4.57).
func (a *apache) claim() {
	who := asker{by: "apache", uid: a.s.rootUID(), reuseAddr: monban.On, reusePort: monban.FlagOf(a.buckets),
		program: monban.Program{Exes: []string{"apache2", "httpd", "httpd.exe"},
			Units: []string{"apache2.service", "apache2@*.service", "httpd.service"}, Config: a.s.place.abs(a.s.main)}}
	for i, l := range a.listens {
		if len(l.addrs) == 0 {
			a.s.claim(who, socket{at: netip.AddrPortFrom(any6(), l.port), proto: monban.TCP, v6only: monban.Off, pos: l.pos, orIPv4: true})
		}
		for _, addr := range l.addrs {
			if addr == any4() && a.covered(i) {
				a.s.mention("apache", a.s.main, l.port, l.pos)
				continue
			}
			v6only := monban.FlagUnknown
			if addr == any6() {
				v6only = monban.Off
			}
			a.s.claim(who, socket{at: netip.AddrPortFrom(addr, l.port), proto: monban.TCP, v6only: v6only, pos: l.pos})
		}
	}
}

// covered reports whether the 0.0.0.0 of listens[i] is served by an IPv6
// wildcard of the same port.
func (a *apache) covered(i int) bool {
	for _, l := range a.listens {
		if l.port == a.listens[i].port && (len(l.addrs) == 0 || slices.Contains(l.addrs, any6())) {
			return true
		}
	}
	return false
}
