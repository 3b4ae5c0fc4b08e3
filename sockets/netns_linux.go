package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// InNetNS calls f on a thread that has entered the network namespace at path, and
// returns when f does. The error is of entering it: an [*os.SyscallError]. It takes
// CAP_SYS_ADMIN, there too.
func InNetNS(path string, f func()) error {
	return inNetNS(path, func(string) { f() })
}

// inNetNS calls f in the network namespace at path, with its name; "" is the
// caller's own, which has no name here. It returns when f does.
func inNetNS(path string, f func(netns string)) error {
	if path == "" {
		f("")
		return nil
	}
	done := make(chan error, 1)
	go onOwnThread(func() { done <- enter(path, f) })
	return <-done
}

// onOwnThread runs f on a thread that ends with it: a thread that has been to
// another namespace must never run anything else. The first thread of the
// process is spared, because it cannot end and because /proc/self/net, which
// others look at, is its.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return // still locked: the runtime ends the thread
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done // while this one is held, the other is on another thread
	runtime.UnlockOSThread()
}

// enter moves the thread into the namespace. The name is that of what was
// entered, not of what path may have led to a moment ago.
func enter(path string, f func(netns string)) error {
	// O_NONBLOCK: a path that turns out to be a FIFO must not hold us.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("setns", err)
	}
	f(fmt.Sprintf("net:[%d]", st.Ino))
	return nil
}

func namespaces() ([]Namespace, []monban.Gap) {
	var gaps []monban.Gap
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return nil, []monban.Gap{nsGap("/proc/thread-self/ns/net", err)}
	}
	found := map[string]*Namespace{own: {ID: own, PID: os.Getpid(), Own: true}}
	mounts, hidden, err := nsMounts()
	if err != nil {
		gaps = append(gaps, nsGap("/proc/self/mountinfo", err))
	}
	gaps = append(gaps, findByProcess(found)...)
	if hidden && os.Geteuid() != 0 {
		gaps = append(gaps, monban.Gap{Source: "/proc", Err: "mounted with hidepid: other users' processes are hidden",
			Hides: monban.HidesNamespaces, Reason: monban.HiddenPrivilege})
	}
	for _, m := range mounts {
		if found[m.ID] == nil {
			found[m.ID] = &m
		}
	}
	return sortNamespaces(found), gaps
}

// sortNamespaces puts the observer's own first and the others in the order of
// their processes and paths.
func sortNamespaces(found map[string]*Namespace) []Namespace {
	list := make([]Namespace, 0, len(found))
	for _, ns := range found {
		list = append(list, *ns)
	}
	slices.SortFunc(list, compareNamespaces)
	return list
}

// findByProcess adds the namespaces that processes are in.
func findByProcess(found map[string]*Namespace) []monban.Gap {
	proc, err := os.Open("/proc")
	if err != nil {
		return []monban.Gap{nsGap("/proc", err)}
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return []monban.Gap{nsGap("/proc", err)}
	}
	var gaps []monban.Gap
	denied := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		path := "/proc/" + name + "/ns/net"
		switch id, err := os.Readlink(path); {
		case err == nil:
			addProcess(found, id, path, pid)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH): // it has ended
		case errors.Is(err, fs.ErrPermission):
			denied++
		default:
			gaps = append(gaps, nsGap(path, err))
		}
	}
	if denied > 0 {
		gaps = append(gaps, monban.Gap{Source: "/proc/PID/ns/net", Hides: monban.HidesNamespaces, Reason: monban.HiddenPrivilege,
			Err: fmt.Sprintf("%d processes: %v", denied, unix.EACCES)})
	}
	return gaps
}

func addProcess(found map[string]*Namespace, id, path string, pid int) {
	ns := found[id]
	if ns == nil {
		found[id] = &Namespace{ID: id, Path: path, PID: pid}
		return
	}
	if pid < ns.PID && !ns.Own {
		ns.Path, ns.PID = path, pid
	}
}

func nsMounts() (mounts []Namespace, hidepid bool, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	return readMountInfo(f)
}

func nsGap(source string, err error) monban.Gap {
	return monban.Gap{Source: source, Err: err.Error(), Hides: monban.HidesNamespaces, Reason: reason(err)}
}
