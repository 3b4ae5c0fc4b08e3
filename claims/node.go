package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readPackage reads the scripts of package.json. What is taken:
//
//   - a development server that is known by name (vite, next, nuxt, ng, astro,
//     react-scripts and others), with the port of its flags, of PORT=N before
//     it, of its configuration file beside package.json, or else its own;
//   - node, bun, deno, tsx, ts-node and nodemon with PORT=N before them or
//     "--port N" behind their program.
//
// Any other "--port" may as well be somebody else's port. Scripts are
// alternatives: two of them for one port are one claim. Configuration files are
// searched for literals and never run.
func readPackage(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		doc := s.json(f)
		p := nodeProject{s: s, f: f, dir: path.Dir(s.main), name: doc.get("name").text()}
		if p.name == "" {
			p.name = path.Base(p.dir)
		}
		for i, script := range doc.get("scripts").table() {
			if i == maxScripts {
				s.gap(script.key.pos(f), TooMuch, script.key.text)
				break
			}
			if script.value.is(scalar) {
				p.script(script.key.text, script.value.at)
			}
		}
		p.alternatives()
	})
}

type nodeProject struct {
	s    *scan
	f    file
	dir  string
	name string
}

// program recognises what node runs in the project's directory.
func (p nodeProject) program() monban.Program {
	return monban.Program{Exes: []string{"node", "bun", "deno"}, Dir: p.s.place.abs(p.dir)}
}

// The limits of one package.json: how many scripts, and how long one is.
const (
	maxScripts = 1000
	maxScript  = 16 << 10
)

func (p nodeProject) script(name string, w word) {
	if len(w.text) > maxScript {
		p.s.gap(w.pos(p.f), TooMuch, name)
		return
	}
	for _, words := range shellCommands(w) {
		p.command(name, w, words, 0)
	}
}

// shellCommands takes a command line of a shell apart into simple commands, and
// those into words.
func shellCommands(w word) [][]word {
	var out [][]word
	var cur []word
	l := w.asLine()
	for i := 0; i < len(l.text); {
		switch c := l.text[i]; {
		case strings.IndexByte(";&|()", c) >= 0:
			if len(cur) > 0 {
				out = append(out, cur)
			}
			cur = nil
			i++
		case strings.IndexByte(blanks, c) >= 0:
			i++
		default:
			one, end := l.next(i, ";&|()")
			if w.long != 0 {
				one.long = -1
				one.line, one.col = w.line, w.col
			}
			cur = append(cur, one)
			i = end
		}
	}
	if len(cur) > 0 {
		out = append(out, cur)
	}
	return out
}

// command reads one simple command of a script.
func (p nodeProject) command(script string, whole word, words []word, depth int) {
	var env []string
	var assigned []word
	for _, w := range words {
		if name, value, ok := strings.Cut(w.text, "="); ok && name == "PORT" {
			assigned = append(assigned, w.sub(len(w.text)-len(value), len(w.text)))
		}
	}
	for len(words) > 0 {
		assigns := !words[0].quoted && strings.Contains(words[0].text, "=") && !strings.HasPrefix(words[0].text, "-")
		if assigns {
			env = append(env, words[0].text)
		} else if program := programName(words[0].text); program != "cross-env" && program != "env" {
			break
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	if programName(words[0].text) == "concurrently" && depth == 0 {
		for i, w := range words[1:] {
			if w.quoted && !takesValue(words[i].text) {
				for _, inner := range shellCommands(w) {
					p.command(script, whole, inner, depth+1)
				}
			}
		}
		return
	}
	argv := make([]string, len(words))
	for i, w := range words {
		argv[i] = w.text
	}
	before := len(p.s.claims)
	argv, config, ok := p.configured(argv, env)
	if !ok {
		return
	}
	p.s.commandAt(p.f, argv, words, env)
	if len(p.s.claims) == before {
		p.runtime(words, assigned)
	}
	for i := range p.s.claims[before:] {
		c := &p.s.claims[before+i]
		c.Name, c.Program = p.name+" "+script, p.program()
		switch {
		case c.Pos.Line != 0:
		case config.port.File != "":
			c.Pos = config.port
		default:
			c.Pos = whole.pos(p.f)
			c.Pos.Len = 0
			for _, w := range assigned {
				if w.text == portText(c) {
					c.Pos = w.pos(p.f)
				}
			}
		}
		if moves(c.By, argv, c.Default) && !config.strict {
			c.UpTo = 65535
		}
	}
}

// takesValue reports whether an option of concurrently is followed by its value.
func takesValue(option string) bool {
	return slices.Contains([]string{"-n", "--names", "-c", "--prefix-colors", "-p", "--prefix", "-s", "--success", "-m", "--max-processes",
		"--name-separator", "-l", "--prefix-length", "-t", "--timestamp-format", "--restart-tries", "--restart-after", "--kill-signal",
		"--hide", "--default-input-target", "-P", "--passthrough-arguments"}, option)
}

func portText(c *monban.Claim) string {
	return strings.TrimSuffix(c.Bind.Port.String(), "/"+c.Bind.Port.Proto.String())
}

// runtime claims the port of a program of the project's own, which listens on
// every address, as Node.js does when it is not told.
func (p nodeProject) runtime(words, assigned []word) {
	for len(words) > 1 && isWrapper(programName(words[0].text)) {
		words = words[1:]
		for len(words) > 1 && (strings.HasPrefix(words[0].text, "-") || strings.Contains(words[0].text, "=")) {
			words = words[1:]
		}
	}
	switch programName(words[0].text) {
	case "node", "bun", "deno", "tsx", "ts-node", "ts-node-dev", "nodemon":
	default:
		return
	}
	var port word
	for _, w := range assigned {
		port = w
	}
	for i, w := range words {
		if value, ok := strings.CutPrefix(w.text, "--port="); ok {
			port = w.sub(len(w.text)-len(value), len(w.text))
		} else if w.text == "--port" && i+1 < len(words) {
			port = words[i+1]
		}
	}
	p.wildcard("node", port)
}

// wildcard claims a port on every address of both families.
func (p nodeProject) wildcard(by string, port word) {
	num, err := monban.ParsePort(port.text)
	if err != nil || num.Num == 0 || num.Proto != monban.AnyProto {
		return
	}
	p.s.claim(asker{by: by, uid: -1, reuseAddr: monban.On, reusePort: monban.Off, program: p.program()},
		socket{at: netip.AddrPortFrom(any6(), num.Num), proto: monban.TCP, v6only: monban.Off, orIPv4: true, pos: port.pos(p.f)})
}

// moves reports whether a development server takes the next free port. Those
// with Vite in them do unless they are told to be strict; others only leave the
// port that nobody asked for.
func moves(by string, argv []string, usual bool) bool {
	for _, arg := range argv {
		if arg == "--strictPort" || arg == "--strictPort=true" || by == "next" && arg == "start" {
			return false
		}
	}
	switch by {
	case "vite", "astro", "vue-cli-service":
		return true
	case "next", "nuxt", "nuxi", "webpack", "webpack-dev-server", "http-server", "wrangler", "parcel":
		return usual
	}
	return false
}

// nodeConfig is what a development server's configuration says.
type nodeConfig struct {
	port   monban.Pos
	strict bool
}

// configured adds to a command line what the configuration beside package.json
// says, unless flags say otherwise. ok is false when it says it in a way that
// only running it would tell: that is a gap.
func (p nodeProject) configured(argv, env []string) (out []string, config nodeConfig, ok bool) {
	tool, verb := toolOf(argv)
	if host := usualHost(tool); host != "" && !hasFlag(argv, "--host", "-H", "--hostname") {
		defer func() {
			if !hasFlag(out, "--host") {
				out = append(out[:len(out):len(out)], "--host", host)
			}
		}()
	}
	group := configGroup(tool, verb)
	if group == "" || hasFlag(argv, "--port", "-p") && hasFlag(argv, "--host", "-H", "--hostname") {
		return argv, config, true
	}
	if tool == "react-scripts" {
		if lookup(env, "PORT") == "" {
			argv, config = p.reactPort(argv)
		}
		return argv, config, true
	}
	ok = true
	if tool == "vite" && group == "server" && !hasFlag(argv, "--port") {
		if port, f, isRuby := p.viteRuby(); isRuby {
			argv = append(argv[:len(argv):len(argv)], "--port", port.text)
			config.strict = true
			if port.line > 0 {
				config.port = port.pos(f)
			}
			return argv, config, true
		}
	}
	p.config(tool, func(f file, get func(key string) (jsSetting, bool)) {
		if port, found := get("port"); found && !hasFlag(argv, "--port", "-p") {
			if !digits(port.value.text) {
				p.s.gap(port.value.pos(f), NotFollowed, port.value.text)
				ok = false
				return
			}
			argv = append(argv[:len(argv):len(argv)], "--port", port.value.text)
			config.port = port.value.pos(f)
		}
		if host, found := get("host"); found && !hasFlag(argv, "--host", "-H", "--hostname") {
			switch text := host.value.text; {
			case text == "true":
				argv = append(argv[:len(argv):len(argv)], "--host", "::")
			case host.exact && text != "false":
				argv = append(argv[:len(argv):len(argv)], "--host", text)
			}
		}
		if strict, found := get("strictPort"); found {
			config.strict = strict.value.text == "true"
		}
	}, group)
	return argv, config, ok
}

// usualHost is the host that a development server takes by itself, where that is
// neither every address of both families nor known to commandAt.
func usualHost(tool string) string {
	switch tool {
	case "nuxt", "nuxi", "gatsby", "docusaurus":
		return "localhost"
	case "react-scripts", "vue-cli-service", "http-server":
		return "0.0.0.0"
	}
	return ""
}

// toolOf is the development server of a command line and its verb.
func toolOf(argv []string) (tool, verb string) {
	for len(argv) > 1 && isWrapper(programName(argv[0])) {
		argv = argv[1:]
		for len(argv) > 1 && (strings.HasPrefix(argv[0], "-") || strings.Contains(argv[0], "=")) {
			argv = argv[1:]
		}
	}
	if len(argv) == 0 {
		return "", ""
	}
	if len(argv) > 1 && !strings.HasPrefix(argv[1], "-") {
		verb = argv[1]
	}
	return programName(argv[0]), verb
}

// configGroup is the object of the configuration that has a command's port.
func configGroup(tool, verb string) string {
	switch tool + " " + verb {
	case "vite ", "vite dev", "vite serve", "astro dev":
		return "server"
	case "vite preview":
		return "preview"
	case "nuxt dev", "nuxi dev", "vue-cli-service serve", "webpack serve", "webpack-dev-server ":
		return "devServer"
	case "ng serve":
		return "serve"
	case "react-scripts start":
		return ".env"
	}
	return ""
}

func hasFlag(argv []string, names ...string) bool {
	for _, arg := range argv {
		for _, name := range names {
			if arg == name || strings.HasPrefix(arg, name+"=") {
				return true
			}
		}
	}
	return false
}

// configBase is the name of a tool's configuration file without its extension.
func configBase(tool string) string {
	switch tool {
	case "vite":
		return "vite.config"
	case "astro":
		return "astro.config"
	case "nuxt", "nuxi":
		return "nuxt.config"
	case "vue-cli-service":
		return "vue.config"
	case "webpack", "webpack-dev-server":
		return "webpack.config"
	}
	return ""
}

// config opens a tool's configuration file, if there is one.
func (p nodeProject) config(tool string, use func(f file, get func(key string) (jsSetting, bool)), group string) {
	if tool == "ng" {
		if name := path.Join(p.dir, "angular.json"); p.s.exists(name) {
			p.s.open(monban.Pos{}, name, func(f file) { use(f, p.angular(f)) })
		}
		return
	}
	for _, ext := range [...]string{".js", ".mjs", ".ts", ".cjs", ".mts", ".cts"} {
		name := path.Join(p.dir, configBase(tool)+ext)
		if configBase(tool) != "" && p.s.exists(name) {
			p.s.open(monban.Pos{}, name, func(f file) {
				settings := jsSettings(f.data)
				use(f, func(key string) (jsSetting, bool) { return jsFind(settings, group+"."+key) })
			})
			return
		}
	}
}

// angular reads the serve options of the only project in angular.json, or of its
// default one.
func (p nodeProject) angular(f file) func(key string) (jsSetting, bool) {
	doc := p.s.json(f)
	projects := doc.get("projects").table()
	chosen := doc.get("projects", doc.get("defaultProject").text())
	if chosen == nil && len(projects) > 0 {
		chosen = projects[0].value
	}
	options := chosen.get("architect", "serve", "options")
	if options == nil {
		options = chosen.get("targets", "serve", "options")
	}
	return func(key string) (jsSetting, bool) {
		v := options.get(key)
		if !v.is(scalar) {
			return jsSetting{}, false
		}
		return jsSetting{path: key, value: v.at, exact: true}, true
	}
}

// reactPort finds PORT for react-scripts, which reads the .env files of
// development, the first of which wins.
func (p nodeProject) reactPort(argv []string) ([]string, nodeConfig) {
	var config nodeConfig
	for _, base := range [...]string{".env.development.local", ".env.local", ".env.development", ".env"} {
		name := path.Join(p.dir, base)
		if !p.s.exists(name) || config.port.File != "" {
			continue
		}
		p.s.open(monban.Pos{}, name, func(f file) {
			entries, err := readDotenv(f, placeVariables(p.s.place))
			if err != nil {
				p.s.gaps = append(p.s.gaps, err.gap())
			}
			for _, e := range entries {
				if e.key.text == "PORT" && digits(e.value.text) {
					argv = append(argv[:len(argv):len(argv)], "--port", e.value.text)
					config.port = e.value.pos
				}
			}
		})
	}
	return argv, config
}

// alternatives merges the claims of scripts for one port: one of them runs.
func (p nodeProject) alternatives() {
	first := map[monban.Port]int{}
	kept := p.s.claims[:0]
	for _, c := range p.s.claims {
		at, ok := first[c.Bind.Port]
		if !ok {
			first[c.Bind.Port] = len(kept)
			kept = append(kept, c)
			continue
		}
		if c.Pos.Len > 0 && c.Pos != kept[at].Pos {
			kept[at].Agree = append(kept[at].Agree, c.Pos)
		}
	}
	p.s.claims = kept
}

// readNodeConfig reads a configuration file of a development server that no
// script of a package.json beside it starts: what it says when started by hand.
func readNodeConfig(s *scan) {
	p := nodeProject{s: s, f: file{name: s.main, show: s.place.shown(s.main)}, dir: path.Dir(s.main)}
	p.name = path.Base(p.dir)
	base := path.Base(s.main)
	for _, argv := range [...][]string{{"vite"}, {"vite", "preview"}, {"astro", "dev"}, {"nuxt", "dev"}, {"vue-cli-service", "serve"}, {"ng", "serve"}} {
		tool, verb := toolOf(argv)
		if !strings.HasPrefix(base, configBase(tool)+".") && (tool != "ng" || base != "angular.json") {
			continue
		}
		full, config, ok := p.configured(argv, nil)
		if !ok || config.port.File != p.f.show {
			continue
		}
		before := len(s.claims)
		s.commandAt(p.f, full, nil, nil)
		for i := range s.claims[before:] {
			c := &s.claims[before+i]
			c.Name, c.Program, c.Pos = strings.TrimSpace(tool+" "+verb), p.program(), config.port
			if moves(c.By, full, false) && !config.strict {
				c.UpTo = 65535
			}
		}
	}
}

// isNodeConfig recognises those files.
func isNodeConfig(name string) bool {
	base := path.Base(name)
	if base == "angular.json" {
		return true
	}
	stem, ext := strings.TrimSuffix(base, path.Ext(base)), path.Ext(base)
	switch stem {
	case "vite.config", "astro.config", "nuxt.config", "vue.config":
		return ext == ".js" || ext == ".ts" || ext == ".mjs" || ext == ".mts" || ext == ".cjs" || ext == ".cts"
	}
	return false
}
