package claims

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readProcfile reads a Procfile, as foreman, honcho, overmind and others run it:
// each process gets PORT, which is 5000 or the PORT of the .env file beside it,
// and 100 more for each line above its own. What is taken:
//
//   - a process whose command has $PORT in it: to name it is to promise to
//     listen there, on an address that is not known and so taken as every one;
//   - a program known by its command line, which also may read PORT;
//   - rails, puma, rackup, thin, unicorn and artisan with a port of their own.
//
// Of Procfile and Procfile.dev the second one is for this machine.
func readProcfile(s *scan) {
	if path.Base(s.main) == "Procfile" && s.exists(s.main+".dev") && !s.named {
		s.decline()
		return
	}
	p := procfile{s: s, dir: path.Dir(s.main), base: 5000}
	if name := path.Join(p.dir, ".env"); s.exists(name) {
		s.open(monban.Pos{}, name, p.env)
	}
	s.open(monban.Pos{}, s.main, func(f file) {
		number := 0
		for l := range lines(f.data, lineStyle{comment: "#"}) {
			name, command, ok := l.whole().cut(":")
			if !ok || strings.ContainsAny(name.text, blanks) || name.text == "" {
				s.gap(l.pos(f), BadSyntax, l.text)
				continue
			}
			if number++; number > maxProcesses {
				s.gap(l.pos(f), TooMuch, name.text)
				return
			}
			p.process(f, name.text, command.trim(), p.base+100*(number-1))
		}
	})
}

// maxProcesses is what 100 ports each leave room for.
const maxProcesses = 600

type procfile struct {
	s      *scan
	dir    string
	base   int
	basePo monban.Pos // where the .env file has it
}

func (p *procfile) env(f file) {
	entries, err := readDotenv(f, placeVariables(p.s.place))
	if err != nil {
		p.s.gaps = append(p.s.gaps, err.gap())
	}
	for _, e := range entries {
		if num, err := monban.ParsePort(e.value.text); e.key.text == "PORT" && err == nil {
			p.base, p.basePo = int(num.Num), e.value.pos
		}
	}
}

func (p *procfile) process(f file, name string, command word, port int) {
	if len(command.text) > maxScript {
		p.s.gap(command.pos(f), TooMuch, name)
		return
	}
	before := len(p.s.claims)
	asksFor := false // $PORT
	for _, words := range shellCommands(command) {
		argv := make([]string, len(words))
		for i, w := range words {
			argv[i] = p.expand(w.text, port, &asksFor)
		}
		if _, value, ok := strings.Cut(argv[0], "PORT="); ok && digits(value) && len(argv) > 1 {
			port, _ = number(value)
			argv, words = argv[1:], words[1:]
		}
		known := len(p.s.claims)
		p.s.commandAt(f, argv, words, []string{"PORT=" + strconv.Itoa(port)})
		if len(p.s.claims) == known {
			p.server(f, argv, words)
		}
	}
	if len(p.s.claims) == before && asksFor && port > 0 && port <= 65535 {
		p.claim("procfile", tcp(any6(), uint16(port), monban.Pos{}))
	}
	for i := range p.s.claims[before:] {
		c := &p.s.claims[before+i]
		c.Name, c.Program.Dir = name, p.s.place.abs(p.dir)
		if c.Pos.Line == 0 {
			c.Pos = command.pos(f)
			c.Pos.Len = 0
			if int(c.Bind.Port.Num) == port && p.basePo.Line > 0 && port == p.base {
				c.Agree = []monban.Pos{p.basePo}
			}
		}
	}
}

// expand replaces $PORT and ${PORT:-N} in a word.
func (p *procfile) expand(text string, port int, asksFor *bool) string {
	if !strings.Contains(text, "$") {
		return text
	}
	t, unset, err := expand(file{}, word{text: text}, func(name string) (variable, bool) {
		if name == "PORT" {
			*asksFor = true
			return variable{text: strconv.Itoa(port)}, true
		}
		v, ok := p.s.place.getenv(name)
		return variable{text: v}, ok
	})
	if err != nil || len(unset) > 0 {
		return text
	}
	return t.text
}

// server knows the servers that often stand in a Procfile.
func (p *procfile) server(f file, argv []string, words []word) {
	for len(argv) > 2 && (argv[0] == "bundle" && argv[1] == "exec" || programName(argv[0]) == "ruby") {
		n := 1
		if argv[0] == "bundle" {
			n = 2
		}
		argv, words = argv[n:], words[n:]
	}
	if len(argv) == 0 {
		return
	}
	c := commandLine{s: p.s, f: f, argv: argv, at: words}
	hosts := []string{"0.0.0.0"}
	switch program := programName(argv[0]); {
	case program == "rails" && len(argv) > 1 && (argv[1] == "s" || argv[1] == "server"):
		hosts = []string{"127.0.0.1", "::1"}
	case program == "rackup":
		hosts = []string{"127.0.0.1", "::1"}
	case program == "puma", program == "thin", program == "unicorn":
	case program == "php" && len(argv) > 2 && argv[1] == "artisan" && argv[2] == "serve":
		hosts = []string{"127.0.0.1"}
	default:
		return
	}
	port := c.flag("--port", "-p")
	num, err := monban.ParsePort(port.text)
	if err != nil || num.Num == 0 {
		return
	}
	if host := c.flag("--host", "--binding", "-b", "-o"); host.ok && !strings.Contains(host.text, "/") {
		hosts = []string{host.text}
	}
	for _, host := range hosts {
		sock := socket{proto: monban.TCP, v6only: monban.On}
		if port.line > 0 {
			sock.pos = port.pos(f)
		}
		if len(hosts) > 1 {
			sock.tolerates = monban.ToleratesAddress
		}
		for _, addr := range p.s.names.host(host) {
			sock.at = netip.AddrPortFrom(addr, num.Num)
			p.claim(programName(argv[0]), sock)
			break
		}
	}
}

func (p *procfile) claim(by string, sock socket) {
	who := asker{by: by, uid: -1, reuseAddr: monban.On, reusePort: monban.Off}
	if sock.at.Addr() == any6() {
		sock.v6only, sock.orIPv4 = monban.Off, true
		who.reuseAddr, who.reusePort = 0, 0
	}
	p.s.claim(who, sock)
}

// readDotenvFile reads a .env file that no Compose project, Procfile or
// package.json has read. Most ports in such a file are somebody else's: that of
// a database, of a mail server, of an API. What is taken:
//
//   - PORT, if package.json beside it says that its program reads the file: it
//     depends on dotenv or a kin of it, or has "--env-file" in a script;
//   - FLASK_RUN_PORT, which flask reads itself from .env and .flaskenv.
//
// A *_PORT of any other name is not, nor is a port in a URL.
func readDotenvFile(s *scan) {
	dir := path.Dir(s.main)
	s.open(monban.Pos{}, s.main, func(f file) {
		entries, err := readDotenv(f, placeVariables(s.place))
		if err != nil {
			s.gaps = append(s.gaps, err.gap())
		}
		values := map[string]variable{}
		for _, e := range entries {
			values[e.key.text] = e.value
		}
		if v, ok := values["FLASK_RUN_PORT"]; ok && !s.beforeFlaskenv(dir) {
			s.dotenvPort(v, func(w word) {
				c := commandLine{s: s, f: f, argv: []string{"flask", "run"}}
				host := values["FLASK_RUN_HOST"].text
				c.hostPort("flask", argument{word{text: host}, host != ""}, argument{w, true}, "127.0.0.1", 5000)
			})
		}
		if v, ok := values["PORT"]; ok && s.readsDotenv(dir) {
			p := nodeProject{s: s, f: f, dir: dir}
			s.dotenvPort(v, func(w word) { p.wildcard("node", w) })
		}
		for i := range s.claims {
			s.claims[i].Program.Dir = s.place.abs(dir)
			s.claims[i].Name = path.Base(s.place.abs(dir))
			if s.claims[i].Name == "" || s.claims[i].Name == "." || s.claims[i].Name == "/" {
				s.claims[i].Name = s.claims[i].By
			}
		}
	})
}

// beforeFlaskenv reports whether main is a .flaskenv and the .env beside it, which
// has precedence, sets the same.
func (s *scan) beforeFlaskenv(dir string) bool {
	if path.Base(s.main) != ".flaskenv" {
		return false
	}
	data, err := s.load(path.Join(dir, ".env"), false)
	return err == nil && strings.Contains("\n"+string(data), "\nFLASK_RUN_PORT")
}

// dotenvPort hands over a value with its place, if it is a number.
func (s *scan) dotenvPort(v variable, use func(word)) {
	if !digits(v.text) {
		return
	}
	before := len(s.claims)
	use(word{text: v.text, line: v.pos.Line, col: v.pos.Col})
	for i := range s.claims[before:] {
		s.claims[before+i].Pos = v.pos
		if v.pos.File == "" {
			s.claims[before+i].Pos.File = s.place.shown(s.main)
		}
	}
}

// readsDotenv reports whether the package in a directory reads its .env file.
func (s *scan) readsDotenv(dir string) bool {
	data, err := s.load(path.Join(dir, "package.json"), false)
	if err != nil {
		return false
	}
	doc, _ := readJSON(data)
	for _, list := range [...]string{"dependencies", "devDependencies"} {
		for _, p := range doc.get(list).table() {
			switch p.key.text {
			case "dotenv", "dotenv-cli", "dotenv-flow", "dotenv-expand", "dotenvx", "@dotenvx/dotenvx", "env-cmd", "@nestjs/config":
				return true
			}
		}
	}
	for _, p := range doc.get("scripts").table() {
		if strings.Contains(p.value.text(), "--env-file") {
			return true
		}
	}
	return false
}
