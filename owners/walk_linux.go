package owners

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inodeSet maps the inodes that are looked for to small numbers.
type inodeSet map[uint64]int32

// holder is a process and the sockets it holds.
type holder struct {
	process *process
	held    []int32 // numbers of an inodeSet, without repetition
	// fd and inode are one of its sockets, to look at again.
	fd    string
	inode uint64
}

// walk is one pass over the file descriptors of all processes.
type walk struct {
	proc   dirFD    // the process table
	wanted inodeSet // without 0
	table  *processTable
	procfs bool // the process table is the kernel's, not one made of files
	// threads makes it look for file descriptor tables that a thread has for
	// itself, and for those of processes whose first thread has ended.
	threads bool

	holders []holder
	denied  int  // processes that may not be looked at
	exiting bool // a process was letting go of its files
	err     error
}

// run visits every process of pids. It is meant for two cores and more: all of
// the time goes into the kernel, which makes up each of these links on demand,
// and the processes are independent of each other.
func (w *walk) run(ctx context.Context, pids []int) {
	w.each(ctx, len(pids), func(k *worker, i int) { k.visit(pids[i]) })
	if err := ctx.Err(); err != nil {
		w.err = err
	}
}

// worker is one goroutine of a walk, with the buffers it uses again and again.
type worker struct {
	walk    *walk
	entries []byte
	link    [64]byte
	number  [24]byte
	holders []holder
	denied  int
	exiting bool
	err     error
}

// visit looks at one process.
//
// Its directory is opened once. All that is read of it is read through that
// descriptor, which belongs to the process and not to the number: when the
// process has ended it answers ESRCH, also when another has got its pid. So no
// other process's details can get mixed in.
func (k *worker) visit(pid int) {
	name := strconv.Itoa(pid)
	files, err := k.walk.proc.openDir(name + "/fd")
	if err != nil {
		k.failed(err)
		return
	}
	defer files.close()
	h := holder{}
	empty, err := k.scan(files, "..", &h)
	if err != nil {
		k.failed(err)
	}
	if k.walk.threads {
		k.visitThreads(pid, files, empty, &h)
	}
	if h.process != nil && len(h.held) > 0 {
		slices.Sort(h.held)
		h.held = slices.Compact(h.held)
		k.holders = append(k.holders, h)
	}
}

// failed notes why a process could not be looked at. That it has ended is none
// of the reasons.
func (k *worker) failed(err error) {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		k.denied++
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOTDIR):
	default:
		k.err = err
	}
}

// scan reads the links of one fd directory and adds to h the sockets that are
// wanted. up leads from it to the directory of the process. empty reports that
// there was no link at all: a kernel thread, or a process that is ending.
func (k *worker) scan(files dirFD, up string, h *holder) (empty bool, err error) {
	tried, all, err := k.scanNumbers(files, up, h)
	if err != nil || all {
		return false, err
	}
	empty = tried == 0
	for {
		n, err := unix.ReadDirent(int(files), k.entries)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return empty, err
		}
		if n <= 0 {
			return empty, nil
		}
		for rest := k.entries[:n]; len(rest) > 0; {
			name, size := dirent(rest)
			if size == 0 {
				return empty, nil
			}
			rest = rest[size:]
			if len(name) == 0 || name[0] == '.' {
				continue
			}
			empty = false
			if _, err := k.look(files, up, name, h); err != nil {
				return empty, err
			}
		}
	}
}

// scanNumbers reads the links 0, 1, 2 and so on, without having them listed
// first, until it has met as many as there are or too many that are not there.
// Listing costs 0.8 of the 3.3 microseconds that each file takes (Linux 6.18),
// and few programs leave gaps in their numbers. all reports that it has met as
// many; if not, the directory is left where listing has to go on, behind the
// number of files tried.
//
// The directory's size is the number of its files since Linux 6.2, and 0 before.
func (k *worker) scanNumbers(files dirFD, up string, h *holder) (tried int, all bool, err error) {
	var st unix.Stat_t
	if k.walk.procfs {
		err = unix.Fstat(int(files), &st)
	}
	if err != nil || st.Size == 0 {
		return 0, false, err
	}
	const maxMissing = 8
	for found := int64(0); int64(tried)-found < maxMissing; tried++ {
		name := append(strconv.AppendInt(k.number[:0], int64(tried), 10), 0)
		there, err := k.look(files, up, name[:len(name)-1], h)
		if err != nil {
			return 0, false, err
		}
		if there {
			found++
		}
		if found == st.Size {
			return tried, true, nil
		}
	}
	const before = 2 // "." and ".." (fs/proc/fd.c)
	_, err = unix.Seek(int(files), int64(tried+before), io.SeekStart)
	return tried, false, err
}

// look reads one link and notes a wanted socket. there reports that there is
// such a link.
//
// At the first socket of a process its details are read, and the link once more:
// a fork that has not called exec yet holds everything its parent holds, and its
// details may be read when it is another program already, which holds none of
// it. What is still held after the details were read, and what is found later,
// was held by the program that they describe.
//
// Some processes let their files be listed and not be looked at, even by root:
// then the error is EACCES, for every one of them.
func (k *worker) look(files dirFD, up string, name []byte, h *holder) (there bool, err error) {
	inode, there, err := k.socket(files, name)
	if err != nil || inode == 0 {
		return there, err
	}
	number, ok := k.walk.wanted[inode]
	if !ok {
		return there, nil
	}
	if h.process == nil {
		p := k.walk.table.read(files, up)
		if p == nil {
			return true, nil
		}
		if again, _, err := k.socket(files, name); err != nil || again != inode {
			return true, err
		}
		h.process, h.fd, h.inode = p, string(name), inode
	}
	h.held = append(h.held, number)
	return true, nil
}

// socket reads a link and returns the inode of the socket it leads to; 0 if it
// is another kind of file, or not there. The scheduler is not told of the call:
// the kernel makes the answer from memory and never waits, and there may be
// hundreds of thousands. name must lie in a buffer with a NUL behind it.
func (k *worker) socket(files dirFD, name []byte) (inode uint64, there bool, err error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(files),
		uintptr(unsafe.Pointer(unsafe.SliceData(name))),
		uintptr(unsafe.Pointer(&k.link[0])), uintptr(len(k.link)), 0, 0)
	if errno == unix.EACCES || errno == unix.EPERM {
		return 0, true, errno
	}
	if there = errno == 0 && n <= uintptr(len(k.link)); there {
		inode, _ = parseSocketLink(k.link[:n])
	}
	return inode, there, nil
}

// visitThreads looks at what only threads hold: a thread may have left the
// common table (unshare(2), CLONE_FILES), and a process whose first thread has
// ended shows nothing in its own directory.
func (k *worker) visitThreads(pid int, files dirFD, empty bool, h *holder) {
	p, err := files.openPath("..")
	if err != nil {
		return
	}
	defer p.close()
	if empty {
		if stat, ok := readStat(p); !ok || stat.flags&flagKthread != 0 {
			return
		} else if stat.exiting() {
			k.exiting = true
		}
	}
	tasks, err := p.openDir("task")
	if err != nil {
		return
	}
	defer tasks.close()
	tids, err := tasks.numbers()
	if err != nil {
		return
	}
	for _, tid := range tids {
		if tid == pid || sameFiles(pid, tid) {
			continue
		}
		if own, err := tasks.openDir(strconv.Itoa(tid) + "/fd"); err == nil {
			if _, err := k.scan(own, "../../..", h); err != nil {
				k.failed(err)
			}
			own.close()
		}
	}
}

// sameFiles reports whether two threads are known to share one file descriptor
// table. kcmp(2) may be missing from the kernel; then nothing is known.
func sameFiles(a, b int) bool {
	const kcmpFiles = 2 // include/uapi/linux/kcmp.h
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpFiles, 0, 0, 0)
	return errno == 0 && r == 0
}

// stillHolds reports whether h holds the socket it was seen with. A pid that was
// given to another process does not.
func (w *walk) stillHolds(h holder) bool {
	var buf [64]byte
	n, err := unix.Readlinkat(int(w.proc), strconv.Itoa(h.process.owner.PID)+"/fd/"+h.fd, buf[:])
	if err != nil {
		return false
	}
	inode, ok := parseSocketLink(buf[:n])
	return ok && inode == h.inode
}

// dirent splits the first entry off what getdents64(2) wrote: its name and its
// size, 0 if the bytes are not an entry.
func dirent(b []byte) (name []byte, size int) {
	const header = 8 + 8 + 2 + 1 // inode, offset, length, type
	if len(b) < header+1 {
		return nil, 0
	}
	size = int(binary.NativeEndian.Uint16(b[16:]))
	if size < header+1 || size > len(b) {
		return nil, 0
	}
	name = b[header:size]
	for i, c := range name {
		if c == 0 {
			return name[:i], size
		}
	}
	return nil, size // no NUL: the kernel does not do this
}
