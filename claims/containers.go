package claims

import (
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// outOfContainers drops the claims of daemons whose configuration is meant for a
// container: a file that a Compose project mounts into one, or that a Dockerfile
// copies into an image, asks for ports of the container's and not the machine's.
// Files that the user named are kept.
func (r *reading) outOfContainers() {
	if !slices.ContainsFunc(r.jobs, job.isDaemon) {
		return
	}
	var inside []string
	for i := range r.jobs {
		if s := r.jobs[i].scan; s != nil {
			inside = append(inside, s.copied...)
		}
	}
	for i := range r.jobs {
		j := &r.jobs[i]
		if j.isDaemon() && !j.named && slices.ContainsFunc(inside, func(dir string) bool { return within(j.name, dir) }) {
			j.scan.decline()
		}
	}
}

// isDaemon reports whether the job's file is of a program that machines run too.
func (j job) isDaemon() bool {
	return j.scan != nil && (len(j.reader.system) > 0 || j.reader.by == "loose") && len(j.scan.claims) > 0
}

// within reports whether a name is dir or below it.
func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// mounts returns the files and directories that the services of a Compose
// project have from the project, but the project itself: what is in there runs
// on the machine too. A service in the machine's network is left out.
func (c *composeScan) mounts() (names []string) {
	for name, parsed := range c.parsed {
		if parsed == nil {
			continue // the scan has said so
		}
		dir := path.Dir(name)
		add := func(source string) {
			if full, ok := mountSource(dir, source); ok && full != dir {
				names = append(names, full)
			}
		}
		for _, doc := range parsed.docs {
			for _, service := range doc.get("services").table() {
				if service.value.get("network_mode").text() != "host" {
					eachVolume(service.value.get("volumes"), add)
				}
			}
			for _, config := range doc.get("configs").table() {
				add(config.value.get("file").text())
			}
		}
	}
	return names
}

// eachVolume calls add with the source of every bind mount.
func eachVolume(volumes *value, add func(string)) {
	for _, v := range volumes.list() {
		if v.is(scalar) {
			source, _, _ := strings.Cut(v.text(), ":")
			add(source)
		} else {
			add(v.get("source").text())
		}
	}
}

// mountSource returns the name inside the tree of a relative source; a source
// without a slash or dot at its beginning is a volume of the engine's own.
func mountSource(dir, source string) (string, bool) {
	for _, here := range [...]string{"${PWD}/", "$PWD/"} {
		if rest, ok := strings.CutPrefix(source, here); ok {
			source = "./" + rest
		}
	}
	if !strings.HasPrefix(source, ".") || strings.Contains(source, "$") {
		return "", false
	}
	name := path.Join(dir, source)
	return name, !strings.HasPrefix(name, "..")
}

// isDockerfile recognises the files that images are built from.
func isDockerfile(name string) bool {
	base := path.Base(name)
	return base == "Dockerfile" || base == "Containerfile" || strings.HasPrefix(base, "Dockerfile.") || strings.HasSuffix(base, ".Dockerfile")
}

// readDockerfile collects what a Dockerfile copies into its image. It asks for
// no ports: EXPOSE publishes nothing.
func readDockerfile(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		for l := range lines(f.data, lineStyle{comment: "#", joined: true}) {
			words := l.words("")
			if len(words) < 3 || !words[0].is("COPY") && !words[0].is("ADD") {
				continue
			}
			sources := words[1 : len(words)-1]
			if slices.ContainsFunc(sources, func(w word) bool { return strings.HasPrefix(w.text, "--from=") }) {
				continue // from another image
			}
			for _, w := range sources {
				if !strings.HasPrefix(w.text, "--") {
					s.copies(strings.Trim(w.text, `[],"`))
				}
			}
		}
	})
}

// copies records a source, which is relative to the context of the build: the
// directory of the Dockerfile, or one above it. All of a context that is a
// directory of the project counts, all of the project does not.
func (s *scan) copies(source string) {
	for dir := path.Dir(s.main); ; dir = path.Dir(dir) {
		name := path.Join(dir, source)
		if path.Clean(source) == "." {
			if !slices.Contains(s.roots, dir) {
				s.copied = append(s.copied, dir)
			}
			return
		}
		found, err := glob(s.place.FS, name)
		if err == nil && len(found) > 0 {
			s.copied = append(s.copied, found...)
			return
		}
		if dir == "." || slices.Contains(s.roots, dir) {
			return
		}
	}
}
