package claims

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/monban-dev/monban"
)

// Read returns what the files at paths ask for; without paths, what the project
// in p.Dir asks for. A directory is walked, without following links to other
// directories, without .git, node_modules and vendor, and without what is no file of
// this machine, such as /proc and the containers' own trees; a file is read whatever
// its name is, if its content is known.
//
// What a Compose file mounts into a container, and what a Dockerfile copies into
// an image, speaks of the container's ports, and is left out; so is an application
// of the project's own that a container of the project runs.
//
// The claims of one file stand in its order, those of a directory in the order
// of the files' names. The error is about a path itself: an [*Error] or an
// [*io/fs.PathError]; then there are no claims. Whatever could not be understood
// inside is a gap.
func Read(p Place, paths ...string) ([]monban.Claim, []monban.Gap, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	r := newReading(p)
	for _, name := range paths {
		if err := r.add(name); err != nil {
			return nil, nil, err
		}
	}
	r.run()
	if err := r.declined(); err != nil {
		return nil, nil, err
	}
	claims, gaps := r.result()
	return claims, gaps, nil
}

// System returns what the daemons of a machine ask for, from the places where
// they keep their configuration. p.FS is the root of the machine's files.
func System(p Place) ([]monban.Claim, []monban.Gap) {
	r := newReading(p)
	units := map[string]bool{}
	for _, reader := range r.readers {
		var seen sameFiles
		for _, pattern := range reader.system {
			found, err := glob(p.FS, pattern)
			if err != nil {
				continue // the patterns are our own and well formed
			}
			for _, name := range found {
				if reader.by == "systemd" && units[path.Base(name)] {
					continue // wanted by more than one
				}
				if info, err := fs.Stat(p.FS, name); err == nil && info.Mode().IsRegular() && (strings.Contains(path.Base(name), "@") || !seen.have(info)) {
					r.jobs = append(r.jobs, job{name: name, reader: reader})
					units[path.Base(name)] = true
				}
			}
		}
	}
	r.run()
	claims, gaps := r.result()
	r.atBoot(claims)
	return claims, gaps
}

// sameFiles knows the files that one reader has met by their names: Debian's
// /var/lib/tomcat10/conf is a link to /etc/tomcat10. The instances of a systemd
// template are links to one file and as many units.
type sameFiles []fs.FileInfo

// have reports whether a file was met before, under any name.
func (s *sameFiles) have(info fs.FileInfo) bool {
	if slices.ContainsFunc(*s, func(f fs.FileInfo) bool { return os.SameFile(f, info) }) {
		return true
	}
	*s = append(*s, info)
	return false
}

// reading is one call of Read or System.
type reading struct {
	files   *files
	names   *names
	readers []reader
	jobs    []job
	gaps    []monban.Gap
}

// job is one file to start a scan with.
type job struct {
	name   string
	reader reader
	named  bool        // by the user: not to know it is an error
	met    bool        // by walking, as a regular file
	link   fs.FileInfo // the file that the name leads to, of a symbolic link met by walking
	scan   *scan
}

func newReading(p Place) *reading {
	return &reading{files: &files{place: p}, names: newNames(p), readers: readers()}
}

// refused reports whether a tree does not take a name because it is no UTF-8, as
// package fs has it. That of Files on Linux does.
func refused(name string, err error) bool {
	return !utf8.ValidString(name) && errors.Is(err, fs.ErrInvalid)
}

// add puts a path the user named on the list.
func (r *reading) add(path string) error {
	name, ok := r.files.place.inside(path)
	if !ok {
		return &Error{Pos: monban.Pos{File: path}, Problem: Outside, Text: path}
	}
	info, err := fs.Stat(r.files.place.FS, name)
	if refused(name, err) {
		return &Error{Pos: monban.Pos{File: path}, Problem: BadName, Text: name}
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return r.walk(name)
	}
	data, problem := r.files.load(name, false)
	if problem != nil {
		return problem
	}
	reader, ok := r.recognise(name)
	if !ok || reader.looks != nil && !reader.looks(data) {
		// A name may promise too much: any .yaml can be a manifest.
		for _, other := range r.readers {
			if other.looks != nil && other.looks(data) {
				reader, ok = other, true
				break
			}
		}
	}
	if !ok {
		return &Error{Pos: monban.Pos{File: path}, Problem: Unrecognised}
	}
	r.jobs = append(r.jobs, job{name: name, reader: reader, named: true})
	return nil
}

// recognise finds the reader of a file by its name.
func (r *reading) recognise(name string) (reader, bool) {
	for _, reader := range r.readers {
		if reader.is != nil && reader.is(name) {
			return reader, true
		}
	}
	return reader{}, false
}

// run reads all jobs, on every processor: first the files that programs start
// with, then the pieces that none of those has included.
func (r *reading) run() {
	r.parallel(func(j *job) bool { return !j.reader.piece })
	seen := map[string]bool{}
	for i := range r.jobs {
		if s := r.jobs[i].scan; s != nil {
			for _, name := range s.seen {
				seen[name] = true
			}
		}
	}
	r.parallel(func(j *job) bool { return j.reader.piece && (j.named || !seen[j.name]) })
}

func (r *reading) parallel(wanted func(*job) bool) {
	var wg sync.WaitGroup
	var next atomic.Int32 // a channel would put one of two to sleep for each file
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= len(r.jobs); i = int(next.Add(1)) {
				if j := &r.jobs[i-1]; wanted(j) {
					j.scan = &scan{files: r.files, names: r.names, main: j.name, named: j.named, met: j.met}
					j.reader.read(j.scan)
				}
			}
		})
	}
	wg.Wait()
}

// declined returns the error of a named file that its reader did not know.
func (r *reading) declined() error {
	for _, j := range r.jobs {
		if j.named && j.scan != nil && j.scan.declined {
			return &Error{Pos: monban.Pos{File: r.files.place.shown(j.name)}, Problem: Unrecognised}
		}
	}
	return nil
}

func (r *reading) result() ([]monban.Claim, []monban.Gap) {
	onceEach(r.jobs)
	r.outOfContainers()
	r.applications()
	r.onceEachObject()
	r.agree()
	claims := []monban.Claim{}
	gaps := r.gaps
	for _, j := range r.jobs {
		if j.scan == nil || j.scan.declined {
			continue
		}
		claims = append(claims, j.scan.claims...)
		for _, g := range j.scan.gaps {
			if len(gaps) == 0 || gaps[len(gaps)-1] != g { // two readers may ask one file
				gaps = append(gaps, g)
			}
		}
	}
	return claims, gaps
}

// agree hands every mention to the claims it is about.
func (r *reading) agree() {
	var all []mention
	for _, j := range r.jobs {
		if j.scan != nil {
			all = append(all, j.scan.mentions...)
		}
	}
	for _, j := range r.jobs {
		if j.scan == nil {
			continue
		}
		for i := range j.scan.claims {
			c := &j.scan.claims[i]
			for _, m := range all {
				if m.by == c.By && m.port == c.Bind.Port.Num && (m.under == "." || m.under == j.name || strings.HasPrefix(j.name, m.under+"/")) &&
					m.pos != c.Pos && !slices.Contains(c.Agree, m.pos) {
					c.Agree = append(c.Agree, m.pos)
				}
			}
		}
	}
}

// walk looks for known files below dir, in its directories side by side.
func (r *reading) walk(dir string) error {
	r.files.roots = append(r.files.roots, dir)
	top := &found{reading: r, dir: dir, free: make(chan struct{}, runtime.GOMAXPROCS(0)-1)}
	if err := top.look(); err != nil {
		return err
	}
	first := len(r.jobs)
	top.collect()
	r.jobs = append(r.jobs[:first], r.withoutLinks(r.jobs[first:])...)
	return nil
}

// found is what lies below one directory.
type found struct {
	*reading
	dir   string
	depth int
	free  chan struct{} // for whoever may run beside the others
	items []foundItem
	wait  sync.WaitGroup
}

// foundItem is a job, a gap or a directory: what stands in a directory, in its
// order.
type foundItem struct {
	job   *job
	gap   *monban.Gap
	below *found
}

// look reads the directory and those below it.
func (d *found) look() error {
	entries, err := fs.ReadDir(d.files.place.FS, d.dir)
	if err != nil && d.depth == 0 {
		return err
	}
	if err != nil {
		problem, text := openProblem(err)
		if refused(d.dir, err) {
			problem, text = BadName, d.dir
		}
		d.miss(d.dir, problem, text)
	}
	for _, entry := range entries {
		name := path.Join(d.dir, entry.Name())
		switch {
		case !entry.IsDir():
			if reader, ok := d.recognise(name); ok {
				if link, regular := d.regular(name, entry); regular {
					d.items = append(d.items, foundItem{job: &job{name: name, reader: reader, met: link == nil, link: link}})
				}
			}
		case skipDir(entry.Name()), d.files.place.foreign(name):
		case d.depth == maxWalk:
			d.miss(name, DeepTree, name)
		default:
			below := &found{reading: d.reading, dir: name, depth: d.depth + 1, free: d.free}
			d.items = append(d.items, foundItem{below: below})
			d.beside(func() { _ = below.look() }) // which has noted its errors
		}
	}
	d.wait.Wait()
	return nil
}

// beside runs f, beside the others while a processor is free.
func (d *found) beside(f func()) {
	select {
	case d.free <- struct{}{}:
		d.wait.Go(func() {
			f()
			<-d.free
		})
	default:
		f()
	}
}

func (d *found) miss(name string, problem Problem, text string) {
	err := Error{Pos: monban.Pos{File: d.files.place.shown(name)}, Problem: problem, Text: text}
	gap := err.gap()
	d.items = append(d.items, foundItem{gap: &gap})
}

// collect puts what was found on the reading's list, as long as there is room.
func (d *found) collect() (room bool) {
	for _, item := range d.items {
		switch {
		case item.below != nil:
			if !item.below.collect() {
				return false
			}
		case item.gap != nil:
			d.gaps = append(d.gaps, *item.gap)
		case len(d.jobs) >= maxFiles:
			d.gap(item.job.name, TooMany, item.job.name)
			return false
		default:
			d.jobs = append(d.jobs, *item.job)
		}
	}
	return true
}

// regular reports whether an entry is a regular file or a link to one, and to
// which.
func (r *reading) regular(name string, entry fs.DirEntry) (link fs.FileInfo, ok bool) {
	if entry.Type().IsRegular() {
		return nil, true
	}
	if entry.Type()&fs.ModeSymlink == 0 {
		return nil, false
	}
	info, err := fs.Stat(r.files.place.FS, name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	return info, true
}

// withoutLinks drops the daemons' files that were met by another name, too: on
// Debian /etc/mysql/my.cnf is a link to /etc/alternatives/my.cnf, which is one to
// /etc/mysql/mariadb.cnf. The file itself stays if it was met, else its first
// name. A project's files stay: what a Compose file asks for is decided by the
// directory that its name is in.
func (r *reading) withoutLinks(jobs []job) []job {
	type like struct {
		by   string
		size int64
		at   int64
	}
	key := func(j *job, info fs.FileInfo) like { return like{j.reader.by, info.Size(), info.ModTime().UnixNano()} }
	met := map[like][]fs.FileInfo{}
	for i := range jobs {
		if j := &jobs[i]; j.link != nil && j.oneFile() {
			met[key(j, j.link)] = nil
		}
	}
	if len(met) == 0 {
		return jobs
	}
	for i := range jobs {
		j := &jobs[i]
		if j.link != nil || !j.oneFile() {
			continue
		}
		if info, err := fs.Stat(r.files.place.FS, j.name); err == nil {
			if at, ok := met[key(j, info)]; ok {
				met[key(j, info)] = append(at, info)
			}
		}
	}
	return slices.DeleteFunc(jobs, func(j job) bool {
		if j.link == nil || !j.oneFile() {
			return false
		}
		k := key(&j, j.link)
		if slices.ContainsFunc(met[k], func(info fs.FileInfo) bool { return os.SameFile(info, j.link) }) {
			return true
		}
		met[k] = append(met[k], j.link)
		return false
	})
}

// oneFile reports whether a file asks for the same whatever its name is: those
// of a machine's daemons, and not the instances of a systemd template.
func (j *job) oneFile() bool {
	return len(j.reader.system) > 0 && !strings.Contains(path.Base(j.name), "@")
}

// skipDir reports whether a directory never holds configuration of its own:
// version control, other people's projects, and what packages say about a daemon
// to others under the name of its configuration (/usr/lib/tmpfiles.d/named.conf).
func skipDir(base string) bool {
	return slices.Contains([]string{".git", ".hg", ".svn", ".jj", "node_modules", "vendor", ".venv", "venv",
		"__pycache__", ".cache", ".terraform",
		"deb-systemd-helper-enabled", "deb-systemd-helper-masked", "deb-systemd-user-helper-enabled", "deb-systemd-user-helper-masked",
		"tmpfiles.d", "sysusers.d", "logrotate.d", "pam.d", "apparmor.d", "filter.d", "action.d", "applications.d"}, base)
}

func (r *reading) gap(name string, problem Problem, text string) {
	err := Error{Pos: monban.Pos{File: r.files.place.shown(name)}, Problem: problem, Text: text}
	r.gaps = append(r.gaps, err.gap())
}
