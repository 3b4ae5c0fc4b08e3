package claims

import (
	"bytes"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readSpring reads the application.properties, .yml and .yaml of a project of
// Spring Boot, all of them from whichever is met first: what several say, the last
// in Spring's order says. That is, in one directory YAML and then properties; of
// directories the class path and then the project's own, each with config below
// it; and for each of the two what is of the active profiles after the rest.
func readSpring(s *scan) {
	if !s.named && isBuilt(s.main) {
		s.decline()
		return
	}
	a := springApp{scan: s, root: springRoot(s.main)}
	inside := path.Join(a.root, "src/main/resources")
	groups := [][]string{{inside, path.Join(inside, "config")}, {a.root, path.Join(a.root, "config")}}
	var base [2][]springDoc
	for i, dirs := range groups {
		for _, dir := range dirs {
			base[i] = append(base[i], a.files(dir, "application")...)
		}
	}
	a.activate(slices.Concat(base[0], base[1]))
	var docs []springDoc
	for i, dirs := range groups {
		docs = append(docs, base[i]...)
		for _, dir := range dirs {
			for _, profile := range a.active {
				docs = append(docs, a.files(dir, "application-"+profile)...)
			}
		}
	}
	a.claims(slices.DeleteFunc(docs, func(d springDoc) bool { return !a.applies(d) }))
}

// isBuilt reports whether a file is one of the copies that Maven, Gradle and Eclipse
// make of src/main/resources.
func isBuilt(name string) bool {
	for _, dir := range [...]string{"target/classes/", "build/resources/main/", "bin/main/"} {
		if i := strings.Index(name, dir); i == 0 || i > 0 && name[i-1] == '/' {
			return true
		}
	}
	return false
}

// springApp is the reading of one application.
type springApp struct {
	*scan
	root   string
	active []string // profiles, the last wins
}

// springDoc is one document of a file: what stands between two lines of dashes.
type springDoc struct {
	f   file
	get func(key string) word
}

// files reads the files of a directory that have a name, in Spring's order.
func (a *springApp) files(dir, name string) (docs []springDoc) {
	for _, ext := range [...]string{".yaml", ".yml", ".properties"} {
		file := path.Join(dir, name+ext)
		if file != a.main && !a.exists(file) {
			continue
		}
		if file != a.main {
			a.whole = append(a.whole, file)
		}
		a.open(monban.Pos{}, file, a.reader(ext, &docs))
	}
	return docs
}

func (a *springApp) reader(ext string, docs *[]springDoc) func(file) {
	return func(f file) {
		if ext == ".properties" {
			for part := range propertyDocuments(f) {
				set := properties(part)
				*docs = append(*docs, springDoc{f, func(key string) word { return set[key].value }})
			}
			return
		}
		for _, doc := range a.documents(f) {
			*docs = append(*docs, springDoc{f, func(key string) word {
				if v := doc.find(key); v.is(scalar) {
					return v.at
				}
				return word{}
			}})
		}
	}
}

// propertyDocuments cuts a properties file at its lines "#---" and "!---". Each part
// keeps its line numbers.
func propertyDocuments(f file) func(yield func(file) bool) {
	return func(yield func(file) bool) {
		rest, before := f.data, 0
		for {
			end, next := len(rest), len(rest)
			for i := 0; i < len(rest); {
				line, _, _ := bytes.Cut(rest[i:], []byte("\n"))
				after := min(i+len(line)+1, len(rest))
				if text := string(bytes.TrimRight(line, " \t\r")); text == "#---" || text == "!---" {
					end, next = i, after
					break
				}
				i = after
			}
			part := f
			part.data = append(bytes.Repeat([]byte("\n"), before), rest[:end]...)
			if !yield(part) || next == end {
				return
			}
			before += bytes.Count(rest[:next], []byte("\n"))
			rest = rest[next:]
		}
	}
}

// activate finds out which profiles are active: the environment says so before
// any file does. A document of a profile cannot.
func (a *springApp) activate(docs []springDoc) {
	text, ok := a.place.getenv("SPRING_PROFILES_ACTIVE")
	var at word
	var f file
	if !ok {
		for _, d := range docs {
			if of, _ := d.profile(); of != "" {
				continue
			}
			if w := d.get("spring.profiles.active"); w.line != 0 {
				at, f, text = w, d.f, w.text
			}
		}
		if inner, isVar := strings.CutPrefix(text, "${"); isVar {
			name, usual, _ := strings.Cut(strings.TrimSuffix(inner, "}"), ":")
			if text, ok = a.place.getenv(name); !ok {
				text = usual
			}
		}
	}
	if strings.ContainsAny(text, "@${}") { // Maven and Gradle put it in
		a.gap(at.pos(f), NotFollowed, text)
		return
	}
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" && !strings.ContainsAny(name, `/\`) && !slices.Contains(a.active, name) && len(a.active) < maxDepth {
			a.active = append(a.active, name)
		}
	}
}

// profile is the condition of a document, and where it stands; "" is none.
func (d *springDoc) profile() (string, word) {
	for _, key := range [...]string{"spring.config.activate.on-profile", "spring.profiles"} {
		if w := d.get(key); w.line != 0 {
			return w.text, w
		}
	}
	return "", word{}
}

// applies reports whether a document holds with the active profiles. Of the
// conditions that join names with "&" and "|" none is taken for granted.
func (a *springApp) applies(d springDoc) bool {
	of, at := d.profile()
	if of == "" {
		return true
	}
	active := a.active
	if len(active) == 0 {
		active = []string{"default"}
	}
	for name := range strings.SplitSeq(of, ",") {
		name, not := strings.CutPrefix(strings.TrimSpace(name), "!")
		if strings.ContainsAny(name, "&|()!") {
			a.gap(at.pos(d.f), NotFollowed, of)
		} else if slices.Contains(active, name) != not {
			return true
		}
	}
	return false
}

// claims claims the server's port and that of the management endpoints, if one
// is set. Without a server.port it is 8080, if the project is a web server at
// all, which its build file says.
func (a *springApp) claims(docs []springDoc) {
	get := func(key string) (found word, f file) {
		for _, d := range docs {
			if w := d.get(key); w.line != 0 {
				found, f = w, d.f
			}
		}
		return found, f
	}
	who := asker{by: "spring", uid: -1, reuseAddr: monban.On, reusePort: monban.Off,
		program: monban.Program{Exes: []string{"java"}, Dir: a.place.abs(a.root)}}
	for _, one := range [...]struct{ name, port, address string }{
		{"spring", "server.port", "server.address"},
		{"spring management", "management.server.port", "management.server.address"},
	} {
		who.name = one.name
		at, f := get(one.port)
		address, _ := get(one.address)
		if at.line == 0 {
			if one.name == "spring" && a.isWeb() {
				a.javaSocket(file{show: a.place.shown(a.main)}, who, address.text, at, socket{at: netip.AddrPortFrom(any6(), 8080), absent: true})
			}
			continue
		}
		text, pos := at.text, at.pos(f)
		if inner, ok := strings.CutPrefix(text, "${"); ok { // ${PORT:8080}
			name, usual, hasUsual := strings.Cut(strings.TrimSuffix(inner, "}"), ":")
			value, ok := a.place.getenv(name)
			if !ok && !hasUsual {
				a.gap(pos, Undefined, name)
				continue
			}
			if text = value; !ok {
				text = usual
			}
			pos = placeIn(at, text).pos(f)
		}
		num, err := monban.ParsePort(text)
		if err != nil {
			if text != "-1" { // off
				a.gap(pos, BadPort, text)
			}
			continue
		}
		if num.Num == 0 {
			continue // of the kernel's choice
		}
		a.javaSocket(f, who, address.text, at, tcp(any6(), num.Num, pos))
	}
}

// isWeb looks into the build file for one of Spring's web servers.
func (a *springApp) isWeb() bool {
	for _, base := range [...]string{"pom.xml", "build.gradle", "build.gradle.kts"} {
		name := path.Join(a.root, base)
		if !a.exists(name) {
			continue
		}
		data, err := a.load(name, false)
		if err == nil && (bytes.Contains(data, []byte("spring-boot-starter-web")) || bytes.Contains(data, []byte("spring-boot-starter-jersey"))) {
			return true
		}
	}
	return false
}

// springRoot is the project around src/main/resources, or the directory from which
// the application is started, and config below either.
func springRoot(name string) string {
	dir := path.Dir(name)
	if path.Base(dir) == "config" {
		dir = path.Dir(dir)
	}
	if root, ok := strings.CutSuffix(dir, "src/main/resources"); ok {
		return path.Clean("./" + root)
	}
	return dir
}
