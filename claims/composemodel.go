package claims

import (
	"path"
	"slices"
	"strconv"

	"github.com/monban-dev/monban"
)

// composeScan is the reading of one Compose project.
type composeScan struct {
	*scan
	name   string // the project's
	parsed map[string]*composeFile
	loads  int // files merged so far
	spent  int // services and ports copied so far
	// stopped says that there were too many.
	stopped bool
}

// The limits of one project. Includes and extends may name a file many times.
const (
	maxComposeLoads = 1000
	maxServices     = 5000
	maxExtends      = 100
)

// spend reports whether n more services or ports may be handled.
func (c *composeScan) spend(n int) bool {
	c.spent += n
	if c.spent > maxPublished && !c.stopped {
		c.stopped = true
		c.gap(monban.Pos{File: c.place.shown(c.main)}, TooMuch, "")
	}
	return !c.stopped
}

// composeFile is a file and its documents, each of which overrides those before.
type composeFile struct {
	file file
	docs []*value
}

// parse loads a file; nil when it cannot be read.
func (c *composeScan) parse(from monban.Pos, name string) *composeFile {
	if known, ok := c.parsed[name]; ok {
		return known
	}
	c.parsed[name] = nil
	c.open(from, name, func(f file) {
		c.parsed[name] = &composeFile{file: f, docs: c.documents(f)}
	})
	return c.parsed[name]
}

// composeModel is what files make together, in the order of the services.
type composeModel struct{ services []*composeService }

func (m *composeModel) find(name string) *composeService {
	for _, s := range m.services {
		if s.name == name {
			return s
		}
	}
	return nil
}

// composeService is what a service says about ports.
type composeService struct {
	name      string
	ports     []*composePort
	network   template
	profiles  []string
	scale     *int
	container string
	holds     []held
	extends   *composeExtends
	busy      bool // being extended
}

// composeExtends names the service whose settings are to be taken.
type composeExtends struct {
	service, file string
	dir           string // the path of file begins here
	pos           monban.Pos
}

// composeDoc is one document: its services, and what it removes from those of
// the documents before it.
type composeDoc struct {
	file    file
	dir     string
	root    *value
	env     *environment
	model   composeModel
	removed []removal
}

// removal is what a !reset or !override names; an empty field is all.
type removal struct{ service, key, inner string }

// model merges the files of a project, or of an include.
func (c *composeScan) model(files []string, dir string, env *environment, from monban.Pos, including []string) *composeModel {
	total := &composeModel{}
	for _, name := range files {
		if name != c.main && !slices.Contains(c.whole, name) {
			c.whole = append(c.whole, name)
		}
		if c.loads++; c.loads > maxComposeLoads {
			c.gap(from, TooMuch, c.place.shown(name))
			return total
		}
		parsed := c.parse(from, name)
		if parsed == nil {
			continue
		}
		for _, root := range parsed.docs {
			doc := c.document(parsed.file, root, dir, env)
			c.include(doc, append(including[:len(including):len(including)], name))
			doc.remove(total)
			for _, s := range doc.model.services {
				c.extend(s, &doc.model, doc, nil)
			}
			total.merge(c, &doc.model, doc)
		}
	}
	return total
}

// document reads one document.
func (c *composeScan) document(f file, root *value, dir string, env *environment) *composeDoc {
	doc := &composeDoc{file: f, dir: dir, root: root, env: env}
	services := root.get("services")
	doc.removes(services, removal{})
	if services.is(list) || services.is(scalar) {
		c.gap(services.at.pos(f), BadSyntax, "services")
		return doc
	}
	if services.tag0() == "!reset" {
		return doc
	}
	last := map[string]*value{}
	for _, p := range services.table() {
		last[p.key.text] = p.value
	}
	for i, p := range services.table() {
		if i == maxServices {
			c.gap(p.key.pos(f), TooMuch, "")
			break
		}
		name := p.key.text
		doc.removes(p.value, removal{service: name})
		v, ok := last[name]
		if !ok || p.value.tag0() == "!reset" {
			continue
		}
		delete(last, name)
		doc.model.services = append(doc.model.services, c.serviceOf(doc, name, v))
	}
	return doc
}

// tag0 is the tag of a value that may be absent.
func (v *value) tag0() string {
	if v == nil {
		return ""
	}
	return v.tag
}

// removes notes that a value's tag removes what stood there before.
func (d *composeDoc) removes(v *value, what removal) {
	if v.tag0() == "!reset" || v.tag0() == "!override" {
		d.removed = append(d.removed, what)
	}
}

// serviceOf reads what a service says about ports.
func (c *composeScan) serviceOf(doc *composeDoc, name string, v *value) *composeService {
	s := &composeService{name: name}
	get := func(keys ...string) *value {
		got := v.get(keys...)
		what := removal{service: name, key: keys[0]}
		if len(keys) > 1 {
			what.inner = keys[1]
		}
		doc.removes(got, what)
		if got.tag0() == "!reset" {
			return nil
		}
		return got
	}
	if ports := get("ports"); ports.is(list) {
		s.ports = c.ports(doc.file, ports, doc.env.lookup)
	} else if ports != nil && !ports.is(null) {
		c.gap(ports.at.pos(doc.file), BadSyntax, "ports")
	}
	s.network = c.text(doc.file, get("network_mode"), doc.env)
	s.container = c.text(doc.file, get("container_name"), doc.env).text
	s.holds = append(c.builds(doc, get("build")), c.binds(doc, get("volumes"))...)
	for _, item := range get("profiles").list() {
		if t := c.text(doc.file, item, doc.env).text; t != "" {
			s.profiles = append(s.profiles, t)
		}
	}
	get("deploy")
	for _, from := range []*value{get("deploy", "replicas"), get("scale")} {
		if t := c.text(doc.file, from, doc.env); t.text != "" {
			if n, err := strconv.Atoi(t.text); err == nil && n >= 0 {
				s.scale = &n
			} else {
				c.gap(t.at(), BadSyntax, t.text)
			}
		}
	}
	s.extends = c.extendsOf(doc, get("extends"))
	return s
}

func (c *composeScan) extendsOf(doc *composeDoc, v *value) *composeExtends {
	ref := v
	if v.is(table) {
		ref = v.get("service")
	}
	t := c.text(doc.file, ref, doc.env)
	if t.text == "" {
		return nil
	}
	return &composeExtends{service: t.text, file: c.text(doc.file, v.get("file"), doc.env).text, dir: doc.dir, pos: t.at()}
}

// text is a scalar with its variables replaced; empty when it is none.
func (c *composeScan) text(f file, v *value, env *environment) template {
	if !v.is(scalar) {
		return template{}
	}
	t, unset, err := expand(f, v.at, env.lookup)
	if err != nil {
		c.gaps = append(c.gaps, err.gap())
	}
	for _, name := range unset {
		c.gap(t.at(), Undefined, name)
	}
	return t
}

// remove takes out of a model what the document's tags name.
func (d *composeDoc) remove(m *composeModel) {
	if slices.Contains(d.removed, removal{}) {
		m.services = nil
	}
	m.services = slices.DeleteFunc(m.services, func(s *composeService) bool {
		return slices.Contains(d.removed, removal{service: s.name})
	})
	for i, s := range m.services {
		m.services[i] = d.removeFrom(s, s.name)
	}
}

// removeFrom returns a service without what the tags below name say.
func (d *composeDoc) removeFrom(s *composeService, name string) *composeService {
	if s == nil || slices.Contains(d.removed, removal{}) || slices.Contains(d.removed, removal{service: name}) {
		return nil
	}
	out := *s
	for _, what := range d.removed {
		if what.service != name {
			continue
		}
		switch what.key {
		case "ports":
			out.ports = nil
		case "network_mode":
			out.network = template{}
		case "profiles":
			out.profiles = nil
		case "scale", "deploy":
			out.scale = nil
		case "container_name":
			out.container = ""
		case "build", "volumes":
			out.holds = slices.DeleteFunc(slices.Clone(out.holds), func(h held) bool { return h.key == what.key })
		case "extends":
			out.extends = nil
		}
	}
	return &out
}

// merge adds the services of a model that overrides this one. What doc removes
// is taken out of the services that both have.
func (m *composeModel) merge(c *composeScan, over *composeModel, doc *composeDoc) {
	if !c.spend(len(m.services) + len(over.services)) {
		return
	}
	at := make(map[string]int, len(m.services))
	for i, s := range m.services {
		at[s.name] = i
	}
	for _, s := range over.services {
		if i, ok := at[s.name]; ok {
			m.services[i] = c.merge(doc.removeFrom(m.services[i], s.name), s)
		} else {
			m.services = append(m.services, s)
		}
	}
}

// merge returns a service with the settings of another one over its own. Lists
// grow, all else is replaced.
func (c *composeScan) merge(base, over *composeService) *composeService {
	if base == nil {
		return over
	}
	out := *over
	if c.spend(len(base.ports)) {
		out.ports = slices.Concat(base.ports, over.ports)
	}
	out.profiles = slices.Clone(base.profiles)
	for _, p := range over.profiles {
		if !slices.Contains(out.profiles, p) {
			out.profiles = append(out.profiles, p)
		}
	}
	if over.network.text == "" {
		out.network = base.network
	}
	if over.scale == nil {
		out.scale = base.scale
	}
	if over.container == "" {
		out.container = base.container
	}
	out.holds = slices.Concat(base.holds, over.holds)
	if over.extends == nil {
		out.extends = base.extends
	}
	return &out
}

// extending is one step of a chain of extends.
type extending struct{ file, service string }

// extend gives a service of a document's model what it takes from another.
func (c *composeScan) extend(s *composeService, m *composeModel, doc *composeDoc, chain []extending) {
	from := s.extends
	if from == nil {
		return
	}
	s.extends = nil
	step := extending{file: doc.file.name, service: s.name}
	if slices.Contains(chain, step) {
		c.gap(from.pos, Cycle, from.service)
		return
	}
	if len(chain) >= maxExtends {
		c.gap(from.pos, TooDeep, from.service)
		return
	}
	baseDoc := doc
	if from.file != "" {
		if baseDoc = c.extended(from, doc.env); baseDoc == nil {
			return
		}
		m = &baseDoc.model
	}
	base := m.find(from.service)
	switch base {
	case nil:
		c.gap(from.pos, BadSyntax, from.service)
		return
	case s:
		c.gap(from.pos, Cycle, from.service)
		return
	}
	if base.busy {
		c.gap(from.pos, Cycle, from.service)
		return
	}
	s.busy = true
	c.extend(base, m, baseDoc, append(chain, step))
	name := s.name
	*s = *c.merge(doc.removeFrom(base, name), s)
	s.name, s.extends, s.busy = name, nil, false
}

// extended loads the file that a service extends from. Its includes do not count.
func (c *composeScan) extended(from *composeExtends, env *environment) *composeDoc {
	name, ok := c.join(from.dir, from.file)
	if !ok {
		c.gap(from.pos, Outside, from.file)
		return nil
	}
	if c.loads++; c.loads > maxComposeLoads {
		c.gap(from.pos, TooMuch, c.place.shown(name))
		return nil
	}
	parsed := c.parse(from.pos, name)
	if parsed == nil {
		return nil
	}
	total := &composeDoc{file: parsed.file, dir: path.Dir(name), env: env}
	for _, root := range parsed.docs {
		doc := c.document(parsed.file, root, path.Dir(name), env)
		doc.remove(&total.model)
		total.model.merge(c, &doc.model, doc)
		total.removed = doc.removed
	}
	return total
}

// include adds the services of the files that a document includes. Its own
// services override them.
func (c *composeScan) include(doc *composeDoc, including []string) {
	for _, item := range doc.root.get("include").list() {
		in := composeInclude{c: c, doc: doc, dir: "", pos: item.atPos(doc.file)}
		if !in.read(item) {
			continue
		}
		if slices.Contains(including, in.files[0]) {
			c.gap(in.pos, Cycle, c.place.shown(in.files[0]))
			continue
		}
		if len(including) >= maxDepth {
			c.gap(in.pos, TooDeep, c.place.shown(in.files[0]))
			continue
		}
		model := c.model(in.files, in.dir, in.env, in.pos, including)
		model.merge(c, &doc.model, doc)
		doc.model = *model
	}
}

// atPos is the place of a value that may be absent.
func (v *value) atPos(f file) monban.Pos {
	if v == nil {
		return monban.Pos{File: f.show}
	}
	return v.at.pos(f)
}

// composeInclude is one item of a document's include.
type composeInclude struct {
	c     *composeScan
	doc   *composeDoc
	files []string
	dir   string
	env   *environment
	pos   monban.Pos
}

// read reads a path, or {path, project_directory, env_file}. A path's own
// directory has its own .env file, whose variables yield to those outside.
func (in *composeInclude) read(item *value) bool {
	paths, envFiles := item, (*value)(nil)
	if item.is(table) {
		paths, envFiles = item.get("path"), item.get("env_file")
	}
	for _, v := range paths.list() {
		if name, ok := in.join(v); ok {
			in.files = append(in.files, name)
		}
	}
	if len(in.files) == 0 {
		return false
	}
	in.dir = path.Dir(in.files[0])
	if v := item.get("project_directory"); v.is(scalar) {
		name, ok := in.join(v)
		if !ok {
			return false
		}
		in.dir = name
	}
	in.env = &environment{outer: in.doc.env.lookup, own: map[string]variable{}}
	if !envFiles.is(scalar) && !envFiles.is(list) {
		in.c.dotenv(in.env, path.Join(in.dir, ".env"))
		return true
	}
	for _, v := range envFiles.list() {
		if v.text() == "/dev/null" {
			continue
		}
		if name, ok := in.join(v); ok {
			in.c.open(v.at.pos(in.doc.file), name, func(f file) { in.env.read(in.c.scan, f) })
		}
	}
	return true
}

// join is a path in a document, inside the tree; a gap when it leads outside.
func (in *composeInclude) join(v *value) (string, bool) {
	t := in.c.text(in.doc.file, v, in.doc.env)
	if t.text == "" {
		return "", false
	}
	name, ok := in.c.join(in.doc.dir, t.text)
	if !ok {
		in.c.gap(t.at(), Outside, t.text)
	}
	return name, ok
}
