package owners

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/boottime"
)

// Why an engine is not asked.
var (
	errAsleep = errors.New("not running: to connect would start it")
	errNobody = errors.New("no process can be seen to listen on it: to connect might start one")
)

// homeSockets are further sockets below the home directory.
func homeSockets() []string { return nil }

// loggedIn returns the users who have a directory of their own for sockets.
func loggedIn() []int {
	// Most file systems count a directory's links: its own two, and one of each
	// directory in it.
	var st unix.Stat_t
	if unix.Stat("/run/user", &st) != nil || st.Nlink == 2 {
		return nil
	}
	dir, err := openDirectory("/run/user")
	if err != nil {
		return nil // without a login manager there is none
	}
	defer dir.close()
	users, _ := dir.numbers()
	return users
}

// awake returns nil if a daemon listens on e's socket, so that to connect
// disturbs nobody. A service manager may hold the socket and start the daemon at
// the first connection: that must not come from here. Where it cannot be seen
// who listens, nobody is asked either.
func awake(ctx context.Context, e engine) error {
	wanted, err := listeners(e.path)
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		return errNobody
	}
	proc, err := openDirectory("/proc")
	if err != nil {
		return err
	}
	defer proc.close()
	// Where the daemon usually is. Where its files may not be looked at, that it
	// runs has to do.
	for _, pid := range daemonPIDs(e) {
		switch holds, err := holdsSocket(proc, pid, wanted); {
		case holds:
			return nil
		case errors.Is(err, unix.EACCES):
			if _, ok := daemon(proc, pid); ok {
				return nil
			}
		}
	}
	pids, err := proc.numbers()
	if err != nil {
		return err
	}
	table := &processTable{proc: proc, users: users{root: dirFD(-1)}, ancestors: make(map[int]*ancestor)}
	w := &walk{proc: proc, wanted: wanted, table: table, procfs: true}
	w.run(ctx, pids)
	if w.err != nil {
		return w.err
	}
	for _, h := range w.holders {
		if h.process.owner.Name != "systemd" {
			return nil
		}
	}
	if len(w.holders) == 0 {
		return errNobody
	}
	return errAsleep
}

// listeners returns the inodes of the sockets that listen at path.
func listeners(path string) (inodeSet, error) {
	f, err := os.Open("/proc/thread-self/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := parseUnix(f, []string{"/" + filepath.Base(path)})
	if err != nil {
		return nil, err
	}
	wanted := make(inodeSet)
	at, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		// A socket is named as it was bound: /run or /var/run.
		if other, err := os.Stat(row.path); err == nil && os.SameFile(at, other) {
			wanted[row.inode] = int32(len(wanted))
		}
	}
	return wanted, nil
}

// daemonPIDs returns the processes that e's daemon has when it runs as its
// packages set it up.
func daemonPIDs(e engine) []int {
	var pids []int
	if e.kind == "docker" {
		pids = pidFile(e.path)
	}
	service := "system.slice/" + e.kind + ".service"
	if uid := strconv.Itoa(e.uid); e.uid != 0 {
		service = "user.slice/user-" + uid + ".slice/user@" + uid + ".service/app.slice/" + e.kind + ".service"
	}
	services := []string{service}
	if e.uid != 0 { // root's daemon, used by an ordinary user
		services = append(services, "system.slice/"+e.kind+".service")
	}
	for _, tree := range [...]string{"", "unified/", "systemd/"} {
		for _, service := range services {
			procs := "/sys/fs/cgroup/" + tree + service + "/cgroup.procs"
			if b, err := dirFD(unix.AT_FDCWD).regular(procs, maxFile); err == nil {
				pids = appendPIDs(pids, b)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

func appendPIDs(pids []int, b []byte) []int {
	for f := range bytes.FieldsSeq(b) {
		if pid := parsePID(f); pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// holdsSocket reports whether a process holds one of the wanted sockets.
func holdsSocket(proc dirFD, pid int, wanted inodeSet) (bool, error) {
	files, err := proc.openDir(strconv.Itoa(pid) + "/fd")
	if err != nil {
		return false, err
	}
	defer files.close()
	fds, err := files.numbers()
	if err != nil {
		return false, err
	}
	for _, fd := range append(fds, 0) {
		if inode, ok := parseSocketLink([]byte(files.link(strconv.Itoa(fd)))); ok {
			if _, ok := wanted[inode]; ok {
				return true, nil
			}
		}
	}
	return false, nil
}

// daemon reads what the kernel tells of a process, if it is a container engine.
func daemon(proc dirFD, pid int) (procStat, bool) {
	dir, err := proc.openPath(strconv.Itoa(pid))
	if err != nil {
		return procStat{}, false
	}
	defer dir.close()
	stat, ok := readStat(dir)
	return stat, ok && (stat.comm == "dockerd" || stat.comm == "podman")
}

// daemonStarted returns when the daemon behind a socket of Docker was started. Its
// number lies beside the socket, unless somebody has set that up otherwise.
func daemonStarted(socket string) time.Time {
	proc, err := openDirectory("/proc")
	if err != nil {
		return time.Time{}
	}
	defer proc.close()
	for _, pid := range pidFile(socket) {
		if stat, ok := daemon(proc, pid); ok {
			table := processTable{boot: boottime.Read()}
			return table.startTime(stat)
		}
	}
	return time.Time{}
}

// pidFile reads the number of the daemon behind a socket of Docker.
func pidFile(socket string) []int {
	b, err := dirFD(unix.AT_FDCWD).regular(filepath.Join(filepath.Dir(socket), "docker.pid"), 64)
	if err != nil {
		return nil
	}
	return appendPIDs(nil, b)
}
