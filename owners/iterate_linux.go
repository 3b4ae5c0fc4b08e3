package owners

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/monban-dev/monban/owners/internal/bpfiter"
)

// manyFiles is from how many open files of the whole machine on the kernel is
// asked for the sockets by its iterator. To load that takes as long as to look at
// the links of some thousand files.
const manyFiles = 8192

// openFiles is the number of open files of the machine (file-nr in
// Documentation/admin-guide/sysctl/fs.rst), 0 if it cannot be read.
func (l *look) openFiles() int {
	b, err := l.proc.read("sys/fs/file-nr", maxFile)
	if err != nil {
		return 0
	}
	return leadingInt(b)
}

// iterate looks for the wanted sockets with the kernel's iterator, and reads of
// /proc only the details of their holders. It reports whether it could; if not,
// run is for.
//
// The sockets are listed twice, before the details are read and after: what a
// process holds both times, having started at the same time, the program that its
// details describe has held. What it says counts only if every socket has a holder.
func (w *walk) iterate(ctx context.Context) (ok bool) {
	it, err := bpfiter.Open()
	if err != nil {
		return false // no privilege, or a kernel without
	}
	defer it.Close()
	first, err := w.pass(it)
	if err != nil || len(first) == 0 {
		return false
	}
	var groups [][]bpfiter.Socket
	for len(first) > 0 {
		n := slices.IndexFunc(first, func(s bpfiter.Socket) bool { return s.PID != first[0].PID })
		if n < 0 {
			n = len(first)
		}
		groups, first = append(groups, first[:n]), first[n:]
	}
	processes := make([]*process, len(groups))
	w.each(ctx, len(groups), func(k *worker, i int) {
		files, err := w.proc.openDir(strconv.Itoa(groups[i][0].PID) + "/fd")
		if err != nil {
			return
		}
		defer files.close()
		processes[i] = w.table.read(files, "..")
	})
	second, err := w.pass(it)
	if err != nil {
		return false
	}
	w.each(ctx, len(groups), func(k *worker, i int) {
		pid := groups[i][0].PID
		if processes[i] == nil || !w.same(pid, processes[i]) {
			k.visit(pid) // it has ended, or may not be looked at
			return
		}
		h := holder{process: processes[i]}
		at, _ := slices.BinarySearchFunc(second, pid, func(s bpfiter.Socket, pid int) int { return s.PID - pid })
		for _, s := range second[at:] {
			if s.PID != pid {
				break
			}
			if _, both := slices.BinarySearchFunc(groups[i], s.Inode, func(f bpfiter.Socket, inode uint64) int {
				return cmp.Compare(f.Inode, inode)
			}); !both {
				continue
			}
			if len(h.held) == 0 {
				h.fd, h.inode = strconv.Itoa(s.FD), s.Inode
			}
			h.held = append(h.held, w.wanted[s.Inode])
		}
		if len(h.held) > 0 {
			slices.Sort(h.held)
			h.held = slices.Compact(h.held)
			k.holders = append(k.holders, h)
		}
	})
	if err := ctx.Err(); err != nil {
		w.err = err
		return true
	}
	// A socket that nobody has may be the kernel's, or of a process that may not be
	// looked at: the iterator leaves those out without a word (seen on Linux 6.18,
	// of a process with more capabilities than root's), and /proc counts them.
	if !w.all() {
		w.holders, w.denied, w.exiting, w.err = nil, 0, false, nil
		return false
	}
	return true
}

// all reports whether every socket that is looked for has a holder.
func (w *walk) all() bool {
	seen := make([]bool, len(w.wanted))
	found := 0
	for _, h := range w.holders {
		for _, number := range h.held {
			if !seen[number] {
				seen[number] = true
				found++
			}
		}
	}
	return found == len(w.wanted)
}

// pass lists the wanted sockets, by process and inode.
func (w *walk) pass(it *bpfiter.Iterator) ([]bpfiter.Socket, error) {
	list, err := it.Sockets(func(inode uint64) bool {
		_, ok := w.wanted[inode]
		return ok
	})
	slices.SortFunc(list, func(a, b bpfiter.Socket) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Inode, b.Inode))
	})
	return list, err
}

// same reports whether the process with a number is still the one that was read.
func (w *walk) same(pid int, p *process) bool {
	dir, err := w.proc.openPath(strconv.Itoa(pid))
	if err != nil {
		return false
	}
	defer dir.close()
	stat, ok := readStat(dir)
	return ok && stat.start == p.stat.start
}

// each calls f for every number below n, on every processor, and takes over what
// the workers have found.
func (w *walk) each(ctx context.Context, n int, f func(k *worker, i int)) {
	workers := make([]worker, min(runtime.GOMAXPROCS(0), n))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			k := &workers[i]
			k.walk = w
			k.entries = make([]byte, 32<<10)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(k, i)
			}
		})
	}
	wg.Wait()
	for i := range workers {
		k := &workers[i]
		w.holders = append(w.holders, k.holders...)
		w.denied += k.denied
		w.exiting = w.exiting || k.exiting
		if w.err == nil {
			w.err = k.err
		}
	}
}
