package owners

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/boottime"
)

// look is one answer in the making.
type look struct {
	rootPath   string
	root, proc dirFD
	doors      []monban.Door
	table      *processTable
	holders    []holder
	denied     int // processes that may not be looked at
	many       int // open files of the machine from which on to iterate; 0 is never
}

func name(ctx context.Context, doors []monban.Door, o Options) []monban.Gap {
	if len(doors) == 0 {
		return nil
	}
	path := cmp.Or(o.Root, "/")
	root, err := openDirectory(path)
	if err != nil {
		return unreadable(doors, path, err)
	}
	defer root.close()
	proc, err := root.openDir("proc")
	if err != nil {
		return unreadable(doors, "/proc", err)
	}
	defer proc.close()
	l := &look{rootPath: path, root: root, proc: proc, doors: doors, many: cmp.Or(o.many, manyFiles), table: &processTable{
		proc: proc, boot: boottime.Read(), users: users{root: root}, ancestors: make(map[int]*ancestor),
	}}
	return l.name(ctx)
}

// unreadable is the answer where there is no process table to read.
func unreadable(doors []monban.Door, source string, err error) []monban.Gap {
	for i := range doors {
		doors[i].Owners, doors[i].Unnamed = nil, monban.HiddenUnreadable
	}
	return []monban.Gap{{Source: source, Err: err.Error(), Hides: monban.HidesOwners,
		Reason: monban.HiddenUnreadable, Count: len(doors)}}
}

func (l *look) name(ctx context.Context) []monban.Gap {
	started := time.Now()
	wanted := make(inodeSet, len(l.doors))
	for _, d := range l.doors {
		if _, ok := wanted[d.Inode]; !ok && d.Inode != 0 {
			wanted[d.Inode] = int32(len(wanted))
		}
	}
	first, err := l.walk(ctx, wanted, false)
	if err != nil {
		return unreadable(l.doors, "/proc", err)
	}
	l.denied = first.denied
	l.holders = first.holders
	by := l.byInode(wanted, started)
	for i := range l.doors {
		d := &l.doors[i]
		d.Owners, d.Unnamed, d.Kernel = nil, monban.NotHidden, ""
		if number, ok := wanted[d.Inode]; ok {
			d.Owners = by[number]
		}
		d.To = forwardTarget(d)
	}
	gaps := l.socketUnits()
	gaps = append(gaps, l.explainUnnamed(ctx)...)
	for i := range l.doors {
		if d := &l.doors[i]; len(d.Owners) == 0 {
			d.User = l.table.users.name(d.UID)
		}
	}
	if l.table.aside.isStuck() {
		gaps = append(gaps, monban.Gap{Source: "/proc", Hides: monban.HidesDetails,
			Err: "a file system does not answer: projects and names of links were not looked for"})
	}
	return gaps
}

// walk looks for the sockets of wanted in every process there is now.
func (l *look) walk(ctx context.Context, wanted inodeSet, threads bool) (*walk, error) {
	w := &walk{proc: l.proc, wanted: wanted, table: l.table, threads: threads, procfs: l.proc.isProcfs()}
	if len(wanted) == 0 {
		return w, nil
	}
	if w.procfs && !threads && l.many > 0 && l.openFiles() >= l.many && w.iterate(ctx) {
		return w, w.err
	}
	if _, err := unix.Seek(int(l.proc), 0, 0); err != nil {
		return nil, err
	}
	pids, err := l.proc.numbers()
	if err != nil {
		return nil, err
	}
	w.run(ctx, pids)
	return w, w.err
}

// byInode turns the holders round: the owners of each number of wanted, the
// topmost ancestor first. Equal lists are one list, because 10,000 sockets often
// have one owner.
func (l *look) byInode(wanted inodeSet, started time.Time) [][]monban.Owner {
	slices.SortFunc(l.holders, func(a, b holder) int {
		// An ancestor has fewer ancestors.
		p, q := &a.process.owner, &b.process.owner
		return cmp.Or(cmp.Compare(len(p.Parents), len(q.Parents)), cmp.Compare(a.process.stat.start, b.process.stat.start),
			cmp.Compare(p.PID, q.PID))
	})
	l.dropForks(wanted, started)
	by := make([][]monban.Owner, len(wanted))
	several := make(map[int32][]int32) // the holders of a socket that has more than one
	only := make([]int32, len(wanted)) // 1 + the holder of a socket that has one so far
	for i, h := range l.holders {
		alone := []monban.Owner{h.process.owner}
		for _, number := range h.held {
			switch {
			case only[number] == 0:
				only[number], by[number] = int32(i)+1, alone
			case several[number] == nil:
				several[number] = []int32{only[number] - 1, int32(i)}
			default:
				several[number] = append(several[number], int32(i))
			}
		}
	}
	lists := make(map[string][]monban.Owner)
	var key []byte
	for number, set := range several {
		key = key[:0]
		for _, i := range set {
			key = append(key, byte(i), byte(i>>8), byte(i>>16), byte(i>>24))
		}
		list, ok := lists[string(key)]
		if !ok {
			for _, i := range set {
				list = append(list, l.holders[i].process.owner)
			}
			list = slices.Clip(list)
			lists[string(key)] = list
		}
		by[number] = list
	}
	return by
}

// dropForks forgets processes that held a socket only because they had just been
// forked and had not called exec yet: they are young, they share the socket with
// another, and a moment later they do not hold it any more.
func (l *look) dropForks(wanted inodeSet, started time.Time) {
	const young = 200 * time.Millisecond
	shared := make([]uint8, len(wanted))
	for _, h := range l.holders {
		for _, number := range h.held {
			shared[number] = min(shared[number]+1, 2)
		}
	}
	w := walk{proc: l.proc}
	l.holders = slices.DeleteFunc(l.holders, func(h holder) bool {
		return h.process.owner.Started.After(started.Add(-young)) &&
			slices.ContainsFunc(h.held, func(number int32) bool { return shared[number] > 1 }) &&
			!w.stillHolds(h)
	})
}

// explainUnnamed says of each door without an owner why, and sums the reasons up.
func (l *look) explainUnnamed(ctx context.Context) []monban.Gap {
	var unnamed []*monban.Door
	for i := range l.doors {
		if d := &l.doors[i]; len(d.Owners) == 0 {
			unnamed = append(unnamed, d)
		}
	}
	if len(unnamed) == 0 {
		return nil
	}
	reason := l.blindness()
	l.nameKernel(unnamed, reason == monban.NotHidden)
	var puzzling []*monban.Door
	for _, d := range unnamed {
		switch {
		case d.Inode == 0:
			// It is in the kernel's table but no file leads to it.
			d.Unnamed = monban.HiddenKernel
		case d.Kernel != "":
			d.Unnamed = monban.HiddenKernel
		default:
			puzzling = append(puzzling, d)
		}
	}
	l.lookAgain(ctx, puzzling, reason)
	return summary(l.doors, l.denied)
}

// blindness returns why a process may have been missed; NotHidden when every
// process of the machine could be looked at.
func (l *look) blindness() monban.Hidden {
	if l.denied > 0 {
		return monban.HiddenPrivilege
	}
	if b, err := l.proc.read("self/mountinfo", maxFile); err == nil && parseHidepid(b, "/proc") && !mayPtrace() {
		return monban.HiddenPrivilege
	}
	// The first pid namespace of a machine has this number (PROC_PID_INIT_INO,
	// include/linux/proc_ns.h).
	switch l.proc.link("self/ns/pid") {
	case "pid:[4026531836]":
		return monban.NotHidden
	case "": // an empty directory lies over /proc, or one that may not be read
		return monban.HiddenUnreadable
	default:
		return monban.HiddenNamespace
	}
}

// mayPtrace reports whether other users' processes may be looked at.
func mayPtrace() bool {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_PTRACE) != 0
}

// lookAgain decides about sockets that no process seemed to hold. blind is why a
// process may have been missed; where none may, most are the kernel's own. But
// the holder may have been born while the table was read, or hold it in a
// thread's own file table, or be ending: then the socket is in no table, and not
// yet gone. A socket that has gone needs no other reason.
func (l *look) lookAgain(ctx context.Context, doors []*monban.Door, blind monban.Hidden) {
	if len(doors) == 0 {
		return
	}
	wanted := make(inodeSet, len(doors))
	for _, d := range doors {
		if _, ok := wanted[d.Inode]; !ok {
			wanted[d.Inode] = int32(len(wanted))
		}
	}
	w, err := l.walk(ctx, wanted, true)
	if err != nil {
		for _, d := range doors {
			d.Unnamed = monban.HiddenUnreadable
		}
		return
	}
	again := look{proc: l.proc, holders: w.holders}
	by := again.byInode(wanted, time.Now())
	present, complete := l.present(doors)
	netNS := l.proc.link("thread-self/ns/net")
	for _, d := range doors {
		elsewhere := d.Bind.NetNS != "" && d.Bind.NetNS != netNS
		switch list := by[wanted[d.Inode]]; {
		case len(list) > 0:
			d.Owners, d.Unnamed = list, monban.NotHidden
			d.To = forwardTarget(d)
		case blind != monban.NotHidden && (elsewhere || present[d.Inode] || !complete || !tabled(d)):
			d.Unnamed = blind
		case elsewhere: // its table cannot be read from here
			d.Unnamed = monban.HiddenUnreadable
		case present[d.Inode] && !w.exiting:
			d.Unnamed = monban.HiddenKernel
		default:
			d.Unnamed = monban.HiddenGone
		}
	}
}

// tabled reports whether a socket like d's is listed in /proc/net for as long as
// it lives.
func tabled(d *monban.Door) bool {
	switch d.Bind.Port.Proto {
	case monban.TCP:
		return d.State == monban.Listen
	case monban.UDP:
		return true
	}
	return false
}

// summary makes one gap of each reason that hides owners.
func summary(doors []monban.Door, denied int) []monban.Gap {
	var counts [monban.HiddenNotAsked + 1]int
	for i := range doors {
		counts[doors[i].Unnamed]++
	}
	var gaps []monban.Gap
	for _, reason := range [...]monban.Hidden{monban.HiddenPrivilege, monban.HiddenNamespace,
		monban.HiddenUnreadable, monban.HiddenGone} {
		if counts[reason] == 0 {
			continue
		}
		g := monban.Gap{Source: "/proc", Hides: monban.HidesOwners, Reason: reason, Count: counts[reason]}
		switch reason {
		case monban.HiddenPrivilege:
			g.Err = "processes of other users are hidden (hidepid)"
			if denied > 0 {
				g.Err = fmt.Sprintf("%v: the files of %d processes", unix.EACCES, denied)
			}
		case monban.HiddenNamespace:
			g.Err = "this is not the first pid namespace of the machine"
		case monban.HiddenUnreadable:
			g.Err = "could not be decided"
		case monban.HiddenGone:
			g.Err = "no process holds the socket any more"
		}
		gaps = append(gaps, g)
	}
	return gaps
}
