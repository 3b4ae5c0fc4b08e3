package claims

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readProcfile reads a Procfile, as foreman, honcho, overmind and others run it:
// each process gets PORT, which is 5000 or the PORT of the .env file beside it, of
// the environment, or that bin/dev exports for Procfile.dev, and 100 more for each
// line above its own. What is taken:
//
//   - a process whose command has $PORT in it: to name it is to promise to
//     listen there, on an address that is not known and so taken as every one;
//   - a program known by its command line, which also may read PORT;
//   - rails and puma, with what config/puma.rb says;
//   - rackup, thin, unicorn and artisan with a port of their own.
//
// Of Procfile and Procfile.dev the second one is for this machine.
func readProcfile(s *scan) {
	if path.Base(s.main) == "Procfile" && s.exists(s.main+".dev") && !s.named {
		s.decline()
		return
	}
	p := procfile{s: s, dir: path.Dir(s.main), base: 5000}
	p.outer()
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
	port   int        // of the process that is read; 0 when it has unset it
}

// outer finds the PORT that foreman is started with.
func (p *procfile) outer() {
	if path.Base(p.s.main) == "Procfile.dev" {
		if name := path.Join(p.dir, "bin/dev"); p.s.exists(name) {
			p.s.open(monban.Pos{}, name, p.binDev)
		}
	}
	if text, ok := p.s.place.getenv("PORT"); ok {
		if num, err := monban.ParsePort(text); err == nil {
			p.base, p.basePo = int(num.Num), monban.Pos{}
		}
	}
}

// binDev looks for the PORT that the script of Rails exports:
//
//	export PORT="${PORT:-3000}"
func (p *procfile) binDev(f file) {
	for l := range lines(f.data, lineStyle{comment: "#"}) {
		w := l.whole().trim()
		if rest, ok := strings.CutPrefix(w.text, "export "); ok {
			w = w.sub(len(w.text)-len(rest), len(w.text)).trim()
		}
		value, ok := strings.CutPrefix(w.text, "PORT=")
		if !ok {
			continue
		}
		at := lastDigits(w.sub(len(w.text)-len(value), len(w.text)))
		if num, err := monban.ParsePort(at.text); err == nil && num.Num != 0 {
			p.base, p.basePo = int(num.Num), at.pos(f)
		}
	}
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
	p.port = port
	for _, words := range shellCommands(command) {
		argv := make([]string, len(words))
		for i, w := range words {
			argv[i] = p.expand(w.text, p.port, &asksFor)
		}
		if argv[0] == "unset" && slices.Contains(argv[1:], "PORT") {
			p.port = 0
			continue
		}
		if _, value, ok := strings.Cut(argv[0], "PORT="); ok && digits(value) && len(argv) > 1 {
			p.port, _ = number(value)
			argv, words = argv[1:], words[1:]
		}
		p.command(f, argv, words)
	}
	if port = p.port; len(p.s.claims) == before && asksFor && port > 0 && port <= 65535 {
		p.s.anyServer("procfile", tcp(any6(), uint16(port), monban.Pos{}))
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

// command reads one command of a process: with a development server's configuration
// as in package.json, as any program's, or as one of the servers of a Procfile.
func (p *procfile) command(f file, argv []string, words []word) {
	before := len(p.s.claims)
	bare, _ := withoutRunner(argv, words)
	node := nodeProject{s: p.s, f: f, dir: p.dir}
	full, config, ok := node.configured(bare, nil)
	if !ok {
		return // a gap
	}
	var env []string
	if p.port > 0 {
		env = []string{"PORT=" + strconv.Itoa(p.port)}
	}
	flask := variable{}
	if slices.Contains(bare, "flask") {
		env, flask = p.flaskenv(env)
	}
	if len(full) > len(bare) {
		p.s.commandAt(f, full, nil, env)
	} else {
		p.s.commandAt(f, argv, words, env)
	}
	for i := range p.s.claims[before:] {
		c := &p.s.claims[before+i]
		switch {
		case c.Pos.Line != 0:
		case config.port.File != "":
			c.Pos = config.port
		case c.By == "flask" && flask.text != "" && !c.Default:
			c.Pos = flask.pos
		}
		if moves(c.By, full, c.Default) && !config.strict {
			c.UpTo = 65535
		}
	}
	if len(p.s.claims) == before {
		p.server(f, argv, words)
	}
}

// flaskenv adds what flask reads from its files to an environment: .flaskenv, and
// .env before it. Of PORT it knows nothing.
func (p *procfile) flaskenv(env []string) (out []string, port variable) {
	values := map[string]variable{}
	for _, base := range [...]string{".flaskenv", ".env"} {
		if name := path.Join(p.dir, base); p.s.exists(name) {
			p.s.open(monban.Pos{}, name, func(f file) {
				entries, _ := readDotenv(f, placeVariables(p.s.place)) // whose error the file's own reader tells
				for _, e := range entries {
					values[e.key.text] = e.value
				}
			})
		}
	}
	for _, name := range [...]string{"FLASK_RUN_PORT", "FLASK_RUN_HOST"} {
		if v, ok := values[name]; ok {
			env = append(env, name+"="+v.text)
		}
	}
	return env, values["FLASK_RUN_PORT"]
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
			s.claims[i].Name = s.dirName(dir, s.claims[i].By)
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
