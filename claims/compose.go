package claims

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// composeNames are the files that Compose looks for, in its order; of each list
// it takes the first.
func composeNames() (main, override []string) {
	return []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"},
		[]string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}
}

// isCompose recognises what may be a Compose file: the names above, and those of
// variants such as docker-compose.dev.yml, which count when COMPOSE_FILE or the
// user names them.
func isCompose(name string) bool {
	base := path.Base(name)
	if !strings.HasSuffix(base, ".yml") && !strings.HasSuffix(base, ".yaml") {
		return false
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(base, "docker-"), "compose")
	return ok && strings.IndexByte(".-_", rest[0]) >= 0
}

func looksLikeCompose(data []byte) bool {
	return bytes.HasPrefix(data, []byte("services:")) || bytes.Contains(data, []byte("\nservices:"))
}

// readCompose reads a Compose project: what `docker compose up` in its directory
// would publish. It follows compose-go, against which a test checks it: files
// that override others with !reset and !override, variables with the .env file,
// extends, include and profiles.
//
// A claim is made for each published port that has a number. A port without one
// gets any that is free, and claims nothing. Where a service uses the host's
// network what it opens is up to its program: that is a gap.
func readCompose(s *scan) {
	c := composeScan{scan: s, parsed: map[string]*composeFile{}}
	env := &environment{outer: placeVariables(s.place), own: map[string]variable{}}
	c.dotenv(env, path.Join(path.Dir(s.main), ".env"))
	files := c.files(env)
	if len(files) == 0 {
		c.variant()
		return
	}
	// A file that COMPOSE_FILE names may stand elsewhere, with a .env of its own.
	dir := path.Dir(files[0])
	if dir != path.Dir(s.main) {
		c.dotenv(env, path.Join(dir, ".env"))
	}
	c.project(env, files, dir)
	model := c.model(files, dir, env, monban.Pos{}, nil)
	c.claims(model, env, dir)
	s.copied = c.mounts()
}

// variant reads a file that is not of the project as it starts by itself, such as
// docker-compose.prod.yml: it publishes nothing now, and what it mounts into
// containers is theirs all the same.
func (c *composeScan) variant() {
	c.parse(monban.Pos{}, c.main)
	c.copied, c.gaps = c.mounts(), nil
	c.decline()
}

// files are the project's files, or none if main is not the one to start with.
func (c *composeScan) files(env *environment) []string {
	dir, base := path.Dir(c.main), path.Base(c.main)
	names, overrides := composeNames()
	if list := c.composeFile(env, dir); len(list) > 0 {
		first := slices.IndexFunc(list, isCompose)
		switch {
		case first >= 0 && list[first] == c.main:
			return list
		case !c.named:
			return nil
		}
		return []string{c.main}
	}
	first := ""
	for _, name := range names {
		if first == "" && c.exists(path.Join(dir, name)) {
			first = name
		}
	}
	if first != base {
		if c.named {
			return []string{c.main}
		}
		return nil
	}
	for _, name := range overrides {
		if name = path.Join(dir, name); c.exists(name) {
			return []string{c.main, name}
		}
	}
	return []string{c.main}
}

// composeFile is the list of files in the variable COMPOSE_FILE. In the
// environment it belongs to the directory that one is in.
func (c *composeScan) composeFile(env *environment, dir string) []string {
	v, ok := env.own["COMPOSE_FILE"]
	if path.Join(c.place.Dir, ".") == dir {
		v, ok = env.lookup("COMPOSE_FILE")
	}
	if !ok || v.text == "" {
		return nil
	}
	sep, _ := env.lookup("COMPOSE_PATH_SEPARATOR")
	if sep.text == "" {
		sep.text = ":"
		if strings.Contains(v.text, ";") {
			sep.text = ";"
		}
	}
	var list []string
	for _, text := range strings.Split(v.text, sep.text) {
		if name, ok := c.join(dir, text); ok {
			list = append(list, name)
		}
	}
	return list
}

// join is a path of a Compose file, inside the tree.
func (c *composeScan) join(dir, text string) (string, bool) {
	if isAbs(text) {
		return c.place.fromAbs(text)
	}
	name := path.Join(dir, slashes(text))
	return name, name != ".." && !strings.HasPrefix(name, "../")
}

// dotenv adds the variables of a .env file, if there is one.
func (c *composeScan) dotenv(env *environment, name string) {
	if c.exists(name) {
		c.open(monban.Pos{}, name, func(f file) { env.read(c.scan, f) })
	}
}

// project finds the project's name: COMPOSE_PROJECT_NAME, else the last "name:"
// of its files, else the name of its directory.
func (c *composeScan) project(env *environment, files []string, dir string) {
	if v, _ := env.lookup("COMPOSE_PROJECT_NAME"); v.text != "" {
		c.name = v.text
	} else {
		for _, name := range files {
			if file := c.parse(monban.Pos{}, name); file != nil {
				for _, doc := range file.docs {
					if t := c.text(file.file, doc.get("name"), env); t.text != "" {
						c.name = projectName(t.text)
					}
				}
			}
		}
	}
	if c.name == "" {
		c.name = projectName(path.Base(c.place.abs(dir)))
	}
	if c.name == "" {
		c.name = projectName(path.Base(dir))
	}
	env.own["COMPOSE_PROJECT_NAME"] = variable{text: c.name}
}

// projectName is what Compose makes of a name: lower case, without anything else
// than letters, digits, "-" and "_".
func projectName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, lower(name))
	return strings.TrimLeft(name, "-_")
}

// claims makes the claims of the services that would be started.
func (c *composeScan) claims(model *composeModel, env *environment, dir string) {
	v, _ := env.lookup("COMPOSE_PROFILES")
	active := strings.Split(v.text, ",")
	for i := range active {
		active[i] = strings.TrimSpace(active[i])
	}
	for _, service := range model.services {
		if service.enabled(active) {
			c.service(service, dir)
		}
	}
}

// enabled reports whether a service belongs to an active profile, or to none.
func (s *composeService) enabled(active []string) bool {
	if len(s.profiles) == 0 || slices.Contains(active, "*") {
		return true
	}
	return slices.ContainsFunc(s.profiles, func(p string) bool { return slices.Contains(active, p) })
}

func (c *composeScan) service(service *composeService, dir string) {
	containers := 1
	if service.scale != nil {
		containers = *service.scale
	}
	network := service.network.text
	switch {
	case containers == 0:
		return
	case network == "none", strings.HasPrefix(network, "service:"), strings.HasPrefix(network, "container:"):
		c.runs(service, nil)
		return
	case network == "host":
		c.gap(service.network.at(), NotFollowed, "network_mode: host")
		return
	}
	// The engine does it, which is root, and sets SO_REUSEADDR for TCP only
	// (moby: libnetwork/portmapper).
	who := asker{by: "compose", name: service.name, reusePort: monban.Off, program: monban.Program{
		Project: c.name, Service: service.name, Container: service.container, Dir: c.place.abs(dir)}}
	published := service.published(c)
	c.runs(service, published)
	for _, p := range published {
		who.reuseAddr = monban.FlagOf(p.proto == monban.TCP)
		sock := socket{at: p.at, proto: p.proto, pos: p.pos, v6only: monban.On, upTo: p.upTo}
		// Each container wants the port, or one of the range. One more than
		// there are shows that it cannot be.
		ports := max(0, int(p.upTo)-int(p.at.Port())) + 1
		for range min(containers, ports+1) {
			c.claim(who, sock).Agree = p.agree
		}
	}
}

// onceEach leaves a configuration out that is a part of another one: of Compose
// what is included or merged as an override, of Spring what lies beside it.
func onceEach(jobs []job) {
	if !slices.ContainsFunc(jobs, func(j job) bool { return j.scan != nil && len(j.scan.whole) > 0 }) {
		return
	}
	for i := range jobs {
		one := jobs[i].scan
		if one == nil || jobs[i].reader.by != "compose" && jobs[i].reader.by != "spring" {
			continue
		}
		for k := range jobs {
			other := jobs[k].scan
			if k != i && other != nil && !other.declined && jobs[k].reader.by == jobs[i].reader.by && slices.Contains(other.whole, one.main) {
				one.declined = true
			}
		}
	}
}
