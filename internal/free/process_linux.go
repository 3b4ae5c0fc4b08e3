package free

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/boottime"
)

// maxRead bounds a small file of /proc, in bytes.
const maxRead = 128 << 10

// process is a hold on one process (pidfd_open(2), Linux 5.3): it can never come
// to mean another one.
type process struct {
	fd    int
	pid   int
	start uint64
}

// hold takes hold of the process that o describes. Everything below /proc/PID
// that is read while the process of the descriptor is known to exist, before and
// after, is that process's: a pid is not given away as long as it exists.
func hold(o *monban.Owner) (*process, error) {
	fd, err := unix.PidfdOpen(o.PID, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	p := &process{fd: fd, pid: o.PID}
	st, err := readStat(o.PID)
	if err == nil {
		err = p.signal(0)
	}
	p.start = st.start
	if apart := startTime(st.start).Sub(o.Started).Abs(); err == nil && !o.Started.IsZero() && apart > sameDate {
		err = errGone
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *process) close() { unix.Close(p.fd) }

// signal sends a signal; 0 only asks whether it could be sent.
func (p *process) signal(s unix.Signal) error {
	err := unix.PidfdSendSignal(p.fd, s, nil, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return errGone
	case errors.Is(err, unix.EPERM):
		return errPrivilege
	case err != nil:
		return fmt.Errorf("pidfd_send_signal: %w", err)
	}
	return nil
}

// terminate asks the process to end. A stopped one (SIGSTOP) hears of it only
// when it goes on.
func (p *process) terminate() error {
	st, _ := readStat(p.pid)
	if err := p.signal(unix.SIGTERM); err != nil {
		return err
	}
	if st.state == 'T' && st.start == p.start {
		return p.signal(unix.SIGCONT)
	}
	return nil
}

func (p *process) kill() error { return p.signal(unix.SIGKILL) }

// ended reports whether the process is gone, waited for or not.
func (p *process) ended() bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

// holds reports whether the process has one of the sockets.
func (p *process) holds(inodes []uint64) bool {
	if p.ended() || !holdsAny(p.pid, inodes) {
		return false
	}
	return !p.ended()
}

// holdsAny looks through the files of a process, and through those that a thread
// has for itself (unshare(2), CLONE_FILES).
func holdsAny(pid int, inodes []uint64) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	if holdsIn(dir+"/fd", inodes) {
		return true
	}
	tasks, err := os.ReadDir(dir + "/task")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(tasks, func(t os.DirEntry) bool {
		return t.Name() != strconv.Itoa(pid) && holdsIn(dir+"/task/"+t.Name()+"/fd", inodes)
	})
}

func holdsIn(dir string, inodes []uint64) bool {
	files, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer files.Close()
	for {
		names, err := files.Readdirnames(256)
		for _, name := range names {
			target, err := os.Readlink(dir + "/" + name)
			if err != nil {
				continue
			}
			text, ok := strings.CutPrefix(target, "socket:[")
			if !ok {
				continue
			}
			inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
			if err == nil && slices.Contains(inodes, inode) {
				return true
			}
		}
		if err != nil || len(names) == 0 {
			return false
		}
	}
}

func readStat(pid int) (stat, error) {
	b, err := readSmall("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, errGone
	}
	st, ok := parseStat(b)
	if !ok {
		return stat{}, fmt.Errorf("/proc/%d/stat: %.80q", pid, b)
	}
	return st, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRead))
}

// startTime is how owners dates a process.
func startTime(ticks uint64) time.Time {
	boot := boottime.Read()
	if boot.IsZero() {
		return time.Time{}
	}
	return boot.Add(time.Duration(ticks) * boottime.Tick)
}

func myself() (Self, error) {
	self := Self{UID: os.Geteuid()}
	if b, err := readSmall("/proc/self/cgroup"); err == nil {
		self.Groups = parseGroups(b)
	}
	for pid := os.Getpid(); pid > 0 && len(self.Ancestors) < 256; {
		self.Ancestors = append(self.Ancestors, pid)
		st, err := readStat(pid)
		if err != nil {
			return self, nil //nolint:nilerr // hidden (hidepid), and so not to be signalled from here either
		}
		pid = st.ppid
	}
	return self, nil
}

// family returns a process and its ancestors up to pid 1, nearest first.
func family(pid int) []relative {
	var chain []relative
	for pid > 1 && len(chain) < 16 {
		dir := "/proc/" + strconv.Itoa(pid)
		st, err := readStat(pid)
		if err != nil {
			break
		}
		r := relative{pid: pid, session: st.session, name: st.name, uid: -1}
		if b, err := readSmall(dir + "/cmdline"); err == nil {
			r.command = strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
		}
		r.dir, _ = os.Readlink(dir + "/cwd") // "" is not known
		if b, err := readSmall(dir + "/status"); err == nil {
			r.uid = parseUID(b)
		}
		chain = append(chain, r)
		pid = st.ppid
	}
	return chain
}

// groups returns the control groups of a process.
func groups(pid int) []string {
	b, err := readSmall("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return nil
	}
	return parseGroups(b)
}
