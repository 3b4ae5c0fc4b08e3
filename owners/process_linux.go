package owners

import (
	"errors"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/boottime"
)

// maxFile bounds the small files of /proc and the user table, in bytes.
const maxFile = 4 << 20

// process is what was read of one process that holds a socket.
type process struct {
	owner monban.Owner
	stat  procStat
}

// ancestor is what has to be known of the parents of processes.
type ancestor struct {
	stat procStat
	name string
}

// processTable reads the details of processes. It may be used by several
// goroutines.
type processTable struct {
	proc  dirFD
	boot  time.Time // when the machine started; zero is unknown
	users users
	aside aside

	mu        sync.Mutex
	ancestors map[int]*ancestor // nil is gone
}

// read returns the details of the process whose directory is up from files, or
// nil if it has ended.
func (t *processTable) read(files dirFD, up string) *process {
	dir, err := files.openPath(up)
	if err != nil {
		return nil
	}
	defer dir.close()
	raw, err := dir.read("stat", maxFile)
	if err != nil {
		return nil
	}
	stat, ok := parseStat(raw)
	if !ok {
		return nil
	}
	p := &process{stat: stat}
	o := &p.owner
	o.PID = leadingInt(raw)
	o.Started = t.startTime(stat)
	o.TTY = stat.tty != 0
	o.Exe, o.Deleted = t.executable(dir)
	o.Name, o.Command = t.program(dir, o.Exe, stat.comm)
	o.Dir = dir.link("cwd")
	o.Project = t.project(dir, o.Dir)
	if b, err := dir.read("cgroup", maxFile); err == nil {
		at := parseCgroup(b)
		o.Unit, o.Container = at.unit, at.container
	}
	b, err := dir.read("status", maxFile)
	if err != nil {
		return nil // it has ended since
	}
	if o.UID, ok = parseUID(b); !ok {
		return nil
	}
	o.User = t.users.name(o.UID)
	o.Parents = t.parents(stat)
	o.Orphan = t.orphan(o, stat)
	return p
}

// startTime converts a start time to a date.
func (t *processTable) startTime(s procStat) time.Time {
	if t.boot.IsZero() || s.start > 1<<40 {
		return time.Time{}
	}
	return t.boot.Add(time.Duration(s.start) * boottime.Tick)
}

// parents returns the ancestors of a process, nearest first.
func (t *processTable) parents(s procStat) []monban.Parent {
	var list []monban.Parent
	for s.ppid != 0 && len(list) < maxParents {
		a := t.ancestor(s.ppid)
		// A parent cannot be younger than its child: that is another process
		// with the same number.
		if a == nil || a.stat.start > s.start {
			break
		}
		list = append(list, monban.Parent{PID: s.ppid, Name: a.name})
		s = a.stat
	}
	return list
}

// ancestor returns a process by its number, or nil.
func (t *processTable) ancestor(pid int) *ancestor {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a, ok := t.ancestors[pid]; ok {
		return a
	}
	a := t.readAncestor(pid)
	t.ancestors[pid] = a
	return a
}

func (t *processTable) readAncestor(pid int) *ancestor {
	dir, err := t.proc.openPath(strconv.Itoa(pid))
	if err != nil {
		return nil
	}
	defer dir.close()
	stat, ok := readStat(dir)
	if !ok {
		return nil
	}
	exe, _ := t.executable(dir)
	name, _ := t.program(dir, exe, stat.comm)
	return &ancestor{stat: stat, name: name}
}

// orphan reports whether nobody answers for a process: see [monban.Owner].
//
// Certain is only this case. It is a job of an interactive shell, for it has a
// process group of its own inside a session that is not its own. The shell, the
// leader of that session, is gone. And its parent is in another session, which
// no parent that started it could be: it was handed to whoever adopts, pid 1 or
// a subreaper. A daemon that forks twice looks alike but for its process group,
// which is the session's.
func (t *processTable) orphan(o *monban.Owner, s procStat) bool {
	if o.Container != "" || strings.HasSuffix(o.Unit, ".service") {
		return false
	}
	if s.session == 0 || s.session == o.PID || s.pgrp == s.session {
		return false
	}
	parent := t.ancestor(s.ppid)
	if parent == nil || parent.stat.session == s.session {
		return false
	}
	// Where other users' processes are hidden, the leader's absence says
	// nothing; then pid 1 is hidden too.
	return t.ancestor(1) != nil && t.ancestor(s.session) == nil
}

// executable returns the path of a process's program, as the kernel tells it,
// and whether it is no longer there.
func (t *processTable) executable(process dirFD) (path string, deleted bool) {
	exe := process.link("exe")
	path, deleted = strings.CutSuffix(exe, " (deleted)")
	if !deleted {
		return exe, false
	}
	// It may be the name of a file.
	if t.aside.ask(process, func(process dirFD) string {
		if sameFile(process, exe) {
			return exe
		}
		return ""
	}) != "" {
		return exe, false
	}
	return path, true
}

// sameFile reports whether a path is a process's executable, as the process sees
// the file system.
func sameFile(process dirFD, at string) bool {
	var running, named unix.Stat_t
	return unix.Fstatat(int(process), "exe", &running, 0) == nil &&
		unix.Fstatat(int(process), "root"+at, &named, 0) == nil &&
		running.Dev == named.Dev && running.Ino == named.Ino
}

// program returns the name and the arguments of a process.
func (t *processTable) program(process dirFD, exe, comm string) (name string, argv []string) {
	if b, err := process.read("cmdline", maxCommand); err == nil {
		argv = parseCommand(b)
	}
	return programName(exe, argv, comm, func(name string) bool {
		return t.aside.ask(process, func(process dirFD) string {
			at := path.Dir(exe) + "/" + name
			if isLink(process, at, exe) ||
				strings.HasPrefix(argv[0], "/") && path.Base(argv[0]) == name && isLink(process, argv[0], exe) {
				return name
			}
			return ""
		}) != ""
	}), argv
}

// isLink reports whether a path leads to a process's executable, as the process
// sees the file system: by one symbolic link, or to the same file.
func isLink(process dirFD, at, exe string) bool {
	if target := process.link("root" + at); target != "" {
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(at), target)
		}
		if target == exe {
			return true
		}
	}
	return sameFile(process, at)
}

func readStat(process dirFD) (procStat, bool) {
	b, err := process.read("stat", maxFile)
	if err != nil {
		return procStat{}, false
	}
	return parseStat(b)
}

// leadingInt returns the number that b starts with.
func leadingInt(b []byte) (n int) {
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<30 {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// users knows the names of user ids: those of /etc/passwd, and those that
// systemd gave out for the time a service runs (DynamicUser=).
type users struct {
	root   dirFD
	load   sync.Once
	passwd map[uint32]string
}

func (u *users) name(uid uint32) string {
	u.load.Do(func() {
		if b, err := u.root.regular("etc/passwd", maxFile); err == nil {
			u.passwd = parseUsers(b)
		}
	})
	if name, ok := u.passwd[uid]; ok {
		return name
	}
	return u.root.link("run/systemd/dynamic-uid/direct:" + strconv.FormatUint(uint64(uid), 10))
}

// aside asks questions of file systems whose server may have gone, or be another
// user's, so that the answer may never come; and the kernel cannot be asked that
// before. It waits a bounded time, and after the first question that was not
// answered it asks no more.
type aside struct {
	mu    sync.Mutex
	stuck bool
}

// asideTimeout is waited for once, where a file system hangs: long enough for a
// process that does not get a processor for a while.
const asideTimeout = time.Second

// ask returns what question says of a process, "" if it does not say it in time.
func (a *aside) ask(process dirFD, question func(process dirFD) string) string {
	if a.isStuck() {
		return ""
	}
	// The question may outlive the walk, so it gets a directory of its own.
	own, err := unix.FcntlInt(uintptr(process), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	answer := make(chan string, 1)
	go func() {
		defer dirFD(own).close()
		answer <- question(dirFD(own))
	}()
	timer := time.NewTimer(asideTimeout)
	defer timer.Stop()
	select {
	case s := <-answer:
		return s
	case <-timer.C:
		a.mu.Lock()
		a.stuck = true
		a.mu.Unlock()
		return ""
	}
}

// isStuck reports whether a question was not answered.
func (a *aside) isStuck() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stuck
}

// maxDepth bounds how far up a work tree is looked for.
const maxDepth = 40

// project returns the nearest directory at or above the working directory of a
// process, named cwd, that has a .git; "" is none.
func (t *processTable) project(process dirFD, cwd string) string {
	if !strings.HasPrefix(cwd, "/") || strings.HasSuffix(cwd, " (deleted)") {
		return ""
	}
	return t.aside.ask(process, func(process dirFD) string { return workTree(process, cwd) })
}

// workTree walks up from the working directory itself, not from its name: in
// another mount namespace the name means something else. Nothing is opened but
// the directories on the way, and those only as places.
func workTree(process dirFD, cwd string) string {
	dir, err := process.openPath("cwd")
	if err != nil {
		return ""
	}
	defer func() { dir.close() }()
	for range maxDepth {
		var st unix.Stat_t
		err := unix.Fstatat(int(dir), ".git", &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
		if err == nil && (st.Mode&unix.S_IFMT == unix.S_IFDIR || st.Mode&unix.S_IFMT == unix.S_IFREG) {
			return cwd
		}
		if err != nil && !errors.Is(err, unix.ENOENT) || cwd == "/" {
			return ""
		}
		up, err := dir.openPath("..")
		if err != nil {
			return ""
		}
		dir.close()
		dir = up
		if cwd = cwd[:strings.LastIndexByte(cwd, '/')]; cwd == "" {
			cwd = "/"
		}
	}
	return ""
}
