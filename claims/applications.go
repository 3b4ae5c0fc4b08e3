package claims

import (
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// inside says that a container runs what is in a directory of the project: an
// application, whose own configuration then speaks of the container's ports.
//
// Measured on what people have: a package.json, an application.yml or a Procfile
// and, in the same repository, the Compose service that is built from it. Both name
// one port, and nobody starts both. To call that a conflict would make a hook of
// nearly every such repository fail.
type inside struct {
	dir string // inside the tree
	// image says that a service is built of the directory and of nothing else, so
	// that whatever runs there runs in the container. Else only ports tell.
	image bool
	// ports are those that the container has inside, and those that the host has
	// for them.
	ports []uint16
}

// has reports whether a claim of a file is the container's.
func (in inside) has(name string, port uint16) bool {
	return (in.dir == "." || within(name, in.dir)) && (in.image || slices.Contains(in.ports, port))
}

// applications drops the claims of the project's own programs that run in its
// containers. Files that the user named are kept.
func (r *reading) applications() {
	var all []inside
	for i := range r.jobs {
		if s := r.jobs[i].scan; s != nil && !s.declined {
			all = append(all, s.inside...)
		}
	}
	if len(all) == 0 {
		return
	}
	for i := range r.jobs {
		j := &r.jobs[i]
		if j.scan == nil || j.named || !j.reader.ownProgram() {
			continue
		}
		j.scan.claims = slices.DeleteFunc(j.scan.claims, func(c monban.Claim) bool {
			return slices.ContainsFunc(all, func(in inside) bool { return in.has(j.name, c.Bind.Port.Num) })
		})
	}
}

// ownProgram reports whether files of a format are about the project's own program,
// which is started from where it lies.
func (r reader) ownProgram() bool {
	switch r.by {
	case "spring", "aspnet", "node", "procfile", "dotenv", "puma":
		return true
	}
	return false
}

// held is a directory that the container of a service has inside.
type held struct {
	dir   string
	image bool   // see inside
	key   string // of the service, that says so
}

// builds are the directories that a service's image is built of: the context, and
// the one that a Dockerfile deeper in it is for. A context that is the whole
// project says little of any part of it.
func (c *composeScan) builds(doc *composeDoc, build *value) (out []held) {
	context, dockerfile := build, ""
	if build.is(table) {
		context, dockerfile = build.get("context"), c.quietly(doc, build.get("dockerfile"))
	}
	text := c.quietly(doc, context)
	if text == "" && build.is(table) {
		text = "."
	}
	if text == "" || strings.Contains(text, "://") {
		return nil
	}
	dir, ok := c.join(doc.dir, text)
	if !ok {
		return nil
	}
	recipe := path.Dir(path.Join(dir, slashes(dockerfile)))
	if dockerfile == "" || !within(recipe, dir) && dir != "." {
		recipe = dir
	}
	part := func(dir string) bool { return dir != doc.dir && !slices.Contains(c.roots, dir) }
	out = append(out, held{dir: dir, image: recipe == dir && part(dir), key: "build"})
	if recipe != dir && part(recipe) {
		out = append(out, held{dir: recipe, image: true, key: "build"})
	}
	return out
}

// binds are the directories of the project that a service mounts.
func (c *composeScan) binds(doc *composeDoc, volumes *value) (out []held) {
	for _, v := range volumes.list() {
		source := v
		if v.is(table) {
			source = v.get("source")
		}
		text := c.quietly(doc, source)
		if v.is(scalar) {
			text, _, _ = strings.Cut(text, ":")
		}
		if !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, "/") {
			continue // a volume of the engine's own
		}
		if dir, ok := c.join(doc.dir, text); ok {
			out = append(out, held{dir: dir, key: "volumes"})
		}
	}
	return out
}

// quietly is a scalar with its variables replaced, where nothing is lost by not
// knowing one.
func (c *composeScan) quietly(doc *composeDoc, v *value) string {
	if !v.is(scalar) {
		return ""
	}
	t, _, err := expand(doc.file, v.at, doc.env.lookup)
	if err != nil {
		return ""
	}
	return t.text
}

// runs notes what the container of a service runs.
func (c *composeScan) runs(service *composeService, ports []published) {
	for _, h := range service.holds {
		in := inside{dir: h.dir, image: h.image}
		for _, p := range ports {
			in.ports = append(in.ports, p.at.Port(), p.target)
		}
		c.inside = append(c.inside, in)
	}
}
