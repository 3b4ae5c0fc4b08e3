package owners

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// name asks the kernel by sysctl; lsof is not needed, because the socket table
// of macOS tells the process. Arguments and working directories are told of
// one's own processes, and to root of all.
func name(ctx context.Context, doors []monban.Door, _ Options) []monban.Gap {
	return byPID(ctx, doors, readProcess)
}

func readProcess(pid int) known {
	if pid <= 0 {
		return known{hidden: monban.HiddenKernel}
	}
	info, err := kinfo(pid)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EIO):
		// The answer is empty when there is no such process.
		return known{hidden: monban.HiddenGone}
	case err != nil:
		return known{hidden: monban.HiddenPrivilege}
	}
	k := known{owner: monban.Owner{
		PID:     pid,
		Started: time.Unix(info.Proc.P_starttime.Unix()),
		UID:     info.Eproc.Ucred.Uid,
		TTY:     info.Eproc.Tdev != -1,
		Parents: parents(info),
	}}
	o := &k.owner
	if u, err := user.LookupId(strconv.FormatUint(uint64(o.UID), 10)); err == nil {
		o.User = u.Username
	}
	if args, err := unix.SysctlRaw("kern.procargs2", pid); err == nil {
		o.Exe, o.Command, _ = parseProcargs2(args)
	} else {
		k.partly = true
	}
	if o.Exe != "" {
		_, err := os.Stat(o.Exe)
		o.Deleted = errors.Is(err, fs.ErrNotExist)
	}
	o.Name = programName(o.Exe, o.Command, cString(info.Proc.P_comm[:]), noAlias)
	o.Dir = workingDir(pid)
	o.Project = projectOf(o.Dir)
	// The number may have been given to another process meanwhile.
	if again, err := kinfo(pid); err != nil || again.Proc.P_starttime != info.Proc.P_starttime {
		return known{hidden: monban.HiddenGone}
	}
	return k
}

// noAlias keeps the executable's name.
func noAlias(string) bool { return false }

func kinfo(pid int) (*unix.KinfoProc, error) { return unix.SysctlKinfoProc("kern.proc.pid", pid) }

func parents(info *unix.KinfoProc) []monban.Parent {
	var list []monban.Parent
	for info.Eproc.Ppid > 0 && len(list) < maxParents {
		pid := int(info.Eproc.Ppid)
		parent, err := kinfo(pid)
		if err != nil || time.Unix(parent.Proc.P_starttime.Unix()).After(time.Unix(info.Proc.P_starttime.Unix())) {
			break
		}
		var exe string
		if args, err := unix.SysctlRaw("kern.procargs2", pid); err == nil {
			exe, _, _ = parseProcargs2(args)
		}
		list = append(list, monban.Parent{PID: pid, Name: programName(exe, nil, cString(parent.Proc.P_comm[:]), noAlias)})
		info = parent
	}
	return list
}

// workingDir asks for a process's working directory as libproc's
// proc_pidinfo(PROC_PIDVNODEPATHINFO) does; "" if it is not told.
func workingDir(pid int) string {
	const (
		callPIDInfo       = 2 // PROC_INFO_CALL_PIDINFO, bsd/sys/proc_info.h
		pidVnodePathInfo  = 9 // PROC_PIDVNODEPATHINFO
		sizeVnodePathInfo = 2 * (152 + 1024)
	)
	var b [sizeVnodePathInfo]byte
	//nolint:staticcheck // libproc cannot be called without cgo, and x/sys has no wrapper of it
	n, _, errno := unix.Syscall6(unix.SYS_PROC_INFO, callPIDInfo, uintptr(pid), pidVnodePathInfo, 0,
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 || n != uintptr(len(b)) {
		return ""
	}
	return parseVnodePath(b[:])
}

// projectOf returns the nearest directory at or above dir that has a .git.
func projectOf(dir string) string {
	if !filepath.IsAbs(dir) {
		return ""
	}
	for {
		if fi, err := os.Lstat(filepath.Join(dir, ".git")); err == nil && (fi.IsDir() || fi.Mode().IsRegular()) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}
