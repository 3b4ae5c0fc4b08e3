package claims

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readPuma reads the config/puma.rb of a project whose Procfile has not read it:
// what `rails server`, or puma itself, opens when started by hand.
//
// It is a program in Ruby, and is searched for literals: "port 3000",
// `port ENV.fetch("PORT", 3000)` in its usual spellings, and `bind "tcp://…"`. A
// value of any other kind is a gap.
func readPuma(s *scan) {
	root := path.Dir(path.Dir(s.main))
	p := pumaFile{scan: s, port: func() (string, bool) { return s.place.getenv("PORT") }}
	p.read()
	program, hosts := "puma", []string{"0.0.0.0"}
	if s.exists(path.Join(root, "bin/rails")) || s.exists(path.Join(root, "config/application.rb")) {
		program, hosts = "rails", []string{"127.0.0.1", "::1"}
	}
	for _, b := range p.binds {
		at := hosts
		if b.host != "" {
			at = []string{b.host}
		}
		s.rubyServer(program, at, b.num, b.at.pos(p.f))
	}
	for i := range s.claims {
		s.claims[i].Program.Dir, s.claims[i].Name = s.place.abs(root), s.dirName(root, program)
	}
}

// dirName is the name of a project's directory, or else another one.
func (s *scan) dirName(dir, usual string) string {
	if name := path.Base(s.place.abs(dir)); name != "" && name != "." && name != "/" {
		return name
	}
	return usual
}

// isPuma recognises the file by the place where puma looks for it.
func isPuma(name string) bool {
	return name == "config/puma.rb" || strings.HasSuffix(name, "/config/puma.rb")
}

// pumaFile is the search of one config/puma.rb.
type pumaFile struct {
	*scan
	f     file
	port  func() (string, bool) // the variable PORT
	binds []pumaBind
}

// pumaBind is one address that puma is told to open.
type pumaBind struct {
	host string // "" where only the port is said
	num  uint16
	at   word // the digits
	env  bool // from the variable, not from the file
}

// read looks at the lines of the scan's main file, or of another one.
func (p *pumaFile) read() { p.readFrom(p.main) }

func (p *pumaFile) readFrom(name string) {
	p.open(monban.Pos{}, name, func(f file) {
		p.f = f
		for l := range lines(f.data, lineStyle{comment: "#"}) {
			w := l.whole().trim()
			end := strings.IndexAny(w.text, " \t(")
			if end < 0 {
				continue
			}
			value := w.sub(end, len(w.text)).trim()
			switch w.text[:end] {
			case "port":
				p.portLine(value)
			case "bind":
				p.bindLine(value)
			}
		}
	})
}

// portLine reads what follows the word port.
func (p *pumaFile) portLine(w word) {
	b := pumaBind{at: lastDigits(w)}
	text := b.at.text
	if name, ok := rubyVariable(w.text); ok {
		value, set := p.place.getenv(name)
		if name == "PORT" {
			value, set = p.port()
		}
		if set {
			text, b.env = value, true
		}
	} else if strings.Trim(w.text, `()"' `) != text {
		p.gap(w.pos(p.f), NotFollowed, w.text)
		return
	}
	num, err := monban.ParsePort(text)
	if err != nil {
		p.gap(w.pos(p.f), NotFollowed, w.text)
		return
	}
	if b.num = num.Num; b.num != 0 {
		p.binds = append(p.binds, b)
	}
}

// bindLine reads what follows the word bind: a URL, of which those of unix sockets
// are none of a port's.
func (p *pumaFile) bindLine(w word) {
	i := strings.Index(w.text, "tcp://")
	if i < 0 {
		return
	}
	rest := w.sub(i+len("tcp://"), len(w.text))
	if end := strings.IndexAny(rest.text, `"'?/ `); end >= 0 {
		rest = rest.sub(0, end)
	}
	host, port := hostPort(rest)
	num, err := monban.ParsePort(port.text)
	if err != nil || strings.Contains(host, "#{") {
		p.gap(w.pos(p.f), NotFollowed, w.text)
		return
	}
	if num.Num != 0 {
		p.binds = append(p.binds, pumaBind{host: host, num: num.Num, at: port})
	}
}

// rubyVariable is the NAME in ENV["NAME"] and ENV.fetch("NAME").
func rubyVariable(text string) (string, bool) {
	_, rest, ok := strings.Cut(text, "ENV")
	rest = strings.TrimPrefix(rest, ".fetch")
	if !ok || len(rest) < 3 || rest[0] != '[' && rest[0] != '(' || rest[1] != '"' && rest[1] != '\'' {
		return "", false
	}
	return cutAt(rest[2:], rest[1])
}

func cutAt(text string, end byte) (string, bool) {
	before, _, ok := strings.Cut(text, string(end))
	return before, ok
}

// lastDigits are the last digits in a text; its end when there are none.
func lastDigits(w word) word {
	to := len(w.text)
	for to > 0 && (w.text[to-1] < '0' || w.text[to-1] > '9') {
		to--
	}
	from := to
	for from > 0 && w.text[from-1] >= '0' && w.text[from-1] <= '9' {
		from--
	}
	return w.sub(from, to)
}

// rubyServer claims the sockets of a server in Ruby.
func (s *scan) rubyServer(program string, hosts []string, num uint16, pos monban.Pos) {
	for _, host := range hosts {
		sock := socket{proto: monban.TCP, v6only: monban.On, pos: pos}
		if len(hosts) > 1 {
			sock.tolerates = monban.ToleratesAddress
		}
		if host == "::" || host == "[::]" {
			sock.at = netip.AddrPortFrom(any6(), num)
			s.anyServer(program, sock)
			continue
		}
		for _, addr := range s.names.host(host) {
			sock.at = netip.AddrPortFrom(addr, num)
			s.anyServer(program, sock)
			break
		}
	}
}

// anyServer claims a socket of a server of the project's own.
func (s *scan) anyServer(by string, sock socket) {
	who := asker{by: by, uid: -1, reuseAddr: monban.On, reusePort: monban.Off}
	if sock.at.Addr() == any6() {
		sock.v6only, sock.orIPv4 = monban.Off, true
		who.reuseAddr, who.reusePort = 0, 0
	}
	s.claim(who, sock)
}

// server knows the servers that often stand in a Procfile. Measured with puma 5.6
// and foreman 0.87: puma opens what -p or -b say, else what config/puma.rb says,
// else 0.0.0.0:9292, and reads the variable PORT in that file only; rails reads it
// itself, before its 3000, and opens both loopback addresses.
func (p *procfile) server(f file, argv []string, words []word) {
	argv, words = withoutRunner(argv, words)
	if len(argv) == 0 {
		return
	}
	c := commandLine{s: p.s, f: f, argv: argv, at: words}
	hosts, usual := []string{"0.0.0.0"}, ""
	program := programName(argv[0])
	switch {
	case program == "rails" && len(argv) > 1 && (argv[1] == "s" || argv[1] == "server"):
		hosts, usual = []string{"127.0.0.1", "::1"}, "3000"
		if p.port > 0 {
			usual = strconv.Itoa(p.port)
		}
	case program == "puma":
		usual = "9292"
	case program == "rackup":
		hosts = []string{"127.0.0.1", "::1"}
	case program == "thin", program == "unicorn":
	case program == "php" && len(argv) > 2 && argv[1] == "artisan" && argv[2] == "serve":
		hosts = []string{"127.0.0.1"}
	default:
		return
	}
	flagged := c.flag("--host", "--binding", "-b", "--bind", "-o")
	if rest, ok := strings.CutPrefix(flagged.text, "tcp://"); ok {
		host, port := hostPort(flagged.sub(len(flagged.text)-len(rest), len(flagged.text)))
		if num, err := monban.ParsePort(port.text); err == nil && num.Num != 0 {
			p.s.rubyServer(program, []string{host}, num.Num, port.pos(f))
		}
		return
	}
	if flagged.ok && strings.Contains(flagged.text, "/") && program == "puma" {
		return // a unix socket
	}
	if flagged.ok && !strings.Contains(flagged.text, "/") {
		hosts = []string{flagged.text}
	}
	port := c.flag("--port", "-p")
	if !port.ok && (program == "rails" || program == "puma") && p.pumaFile(program, hosts) {
		return
	}
	if !port.ok {
		port.text = usual
	}
	num, err := monban.ParsePort(port.text)
	if err != nil || num.Num == 0 {
		return
	}
	pos := monban.Pos{}
	if port.line > 0 {
		pos = port.pos(f)
	}
	p.s.rubyServer(program, hosts, num.Num, pos)
}

// withoutRunner drops what only starts the server: bundle exec, ruby, env A=B.
func withoutRunner(argv []string, words []word) ([]string, []word) {
	shift := func(n int) { argv, words = argv[n:], words[n:] }
	for len(argv) > 1 {
		switch program := programName(argv[0]); {
		case program == "bundle" && argv[1] == "exec" && len(argv) > 2:
			shift(2)
		case program == "ruby", isWrapper(program), !strings.HasPrefix(argv[0], "-") && strings.Contains(argv[0], "="):
			shift(1)
		default:
			return argv, words
		}
	}
	return argv, words
}

// pumaFile claims what config/puma.rb beside the Procfile says.
func (p *procfile) pumaFile(program string, hosts []string) bool {
	name := path.Join(p.dir, "config/puma.rb")
	if !p.s.exists(name) {
		return false
	}
	puma := pumaFile{scan: p.s, port: func() (string, bool) { return strconv.Itoa(p.port), p.port > 0 }}
	puma.readFrom(name)
	for _, b := range puma.binds {
		at, pos := hosts, b.at.pos(puma.f)
		if b.host != "" {
			at = []string{b.host}
		}
		if b.env {
			pos = monban.Pos{} // the Procfile's PORT
		}
		p.s.rubyServer(program, at, b.num, pos)
	}
	return len(puma.binds) > 0
}

// viteRuby is the port that vite-plugin-ruby gives Vite, which it also makes strict:
// that of config/vite.json for development, else 3036. ok is false without it.
func (p nodeProject) viteRuby() (port word, f file, ok bool) {
	name := path.Join(p.dir, "config/vite.json")
	if text, set := p.s.place.getenv("VITE_RUBY_PORT"); set && digits(text) && p.s.exists(name) {
		return word{text: text}, file{}, true
	}
	if !p.s.exists(name) {
		return word{}, file{}, false
	}
	port = word{text: "3036"}
	p.s.open(monban.Pos{}, name, func(opened file) {
		doc := p.s.json(opened)
		for _, section := range [...]string{"all", "development"} {
			if v := doc.get(section, "port"); v.is(scalar) && digits(v.text()) {
				port, f = v.at, opened
			}
		}
	})
	return port, f, true
}
