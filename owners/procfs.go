package owners

import (
	"bytes"
	"cmp"
	"path"
	"strconv"
	"strings"
)

// maxCommand bounds the command line that is read, in bytes. Linux allows one
// argument of 128 KiB and a megabyte and more in all; 128 KiB of it is more than
// anybody reads.
const maxCommand = 128 << 10

// maxParents bounds the chain of ancestors.
const maxParents = 64

// procStat is what /proc/PID/stat says of a process (proc_pid_stat(5)).
type procStat struct {
	comm                string
	state               byte
	ppid, pgrp, session int
	tty                 int
	flags               uint64
	start               uint64 // ticks of 1/100 s since boot
}

// Flags of procStat, from include/linux/sched.h.
const (
	flagExiting = 0x4
	flagKthread = 0x200000
)

// exiting reports whether the process is letting go of its files at this moment:
// they are in no table any more, and its sockets may still be open.
func (s *procStat) exiting() bool { return s.flags&flagExiting != 0 && s.state != 'Z' }

// parseStat reads /proc/PID/stat. The name in parentheses is whatever the
// process likes, with spaces and parentheses: the last one closes it.
func parseStat(b []byte) (procStat, bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return procStat{}, false
	}
	// f[0] is field 3 of the manual page, the state.
	f := bytes.Fields(b[end+1:])
	if len(f) < 20 || len(f[0]) != 1 {
		return procStat{}, false
	}
	s := procStat{comm: string(b[open+1 : end]), state: f[0][0]}
	for _, n := range [...]struct {
		to    *int
		field int
	}{{&s.ppid, 4}, {&s.pgrp, 5}, {&s.session, 6}, {&s.tty, 7}} {
		v, err := strconv.ParseInt(string(f[n.field-3]), 10, 32)
		if err != nil {
			return procStat{}, false
		}
		*n.to = int(v)
	}
	var err error
	if s.flags, err = strconv.ParseUint(string(f[9-3]), 10, 64); err != nil {
		return procStat{}, false
	}
	if s.start, err = strconv.ParseUint(string(f[22-3]), 10, 64); err != nil {
		return procStat{}, false
	}
	return s, true
}

// parseUID returns the effective user of /proc/PID/status.
func parseUID(b []byte) (uint32, bool) {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("Uid:"))
		if !ok {
			continue
		}
		f := bytes.Fields(rest) // real, effective, saved, file system
		if len(f) != 4 {
			return 0, false
		}
		uid, err := strconv.ParseUint(string(f[1]), 10, 32)
		return uint32(uid), err == nil
	}
	return 0, false
}

// parseCommand splits /proc/PID/cmdline. Programs that rewrite their command
// line leave NULs behind it, so empty arguments at the end are dropped.
func parseCommand(b []byte) []string {
	b = bytes.TrimRight(b, "\x00")
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\x00")
}

// parseSocketLink returns N of "socket:[N]", the target of a link in
// /proc/PID/fd. It is called for every open file of the machine.
func parseSocketLink(b []byte) (inode uint64, ok bool) {
	const prefix = "socket:["
	if len(b) < len(prefix)+2 || string(b[:len(prefix)]) != prefix || b[len(b)-1] != ']' {
		return 0, false
	}
	b = b[len(prefix) : len(b)-1]
	if len(b) > 19 { // cannot overflow below
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		inode = inode*10 + uint64(c-'0')
	}
	return inode, true
}

// parsePID reads a directory name of /proc; 0 is none.
func parsePID(name []byte) (pid int) {
	if len(name) == 0 || len(name) > 9 || name[0] == '0' {
		return 0
	}
	for _, c := range name {
		if c < '0' || c > '9' {
			return 0
		}
		pid = pid*10 + int(c-'0')
	}
	return pid
}

// programName returns the name of a program: the base name of its executable.
// Where that may not be read it is taken from the first argument, which the
// program can rewrite, and last from the name of its first thread, which is cut
// after 15 bytes and which frameworks set to things like "MainThread".
//
// Some executables are several programs, told apart by the name of the link that
// they are started by: redis-server is a link to redis-check-rdb in Debian, and
// httpd one to busybox. alias reports whether a name leads to the executable;
// then it is the program's. python3 is not, when the executable is python3.11.
func programName(exe string, argv []string, comm string, alias func(name string) bool) string {
	argument := ""
	if len(argv) > 0 {
		argument = argumentName(argv[0], comm)
	}
	base := path.Base(exe)
	switch {
	case exe == "" || exe == "/":
		return cmp.Or(argument, comm)
	case argument != "" && !strings.HasPrefix(base, argument) && alias(argument):
		return argument
	}
	return base
}

// argumentName gets the program out of a first argument: "/usr/bin/node",
// "-bash", "nginx: worker process", "sshd: /usr/sbin/sshd -D [listener]".
func argumentName(arg, comm string) string {
	arg, _, _ = strings.Cut(arg, ": ")
	arg = strings.TrimSuffix(arg, ":")
	// A path may have spaces. The kernel's name, which is the first 15 bytes of
	// what exec was given, tells where the name begins.
	if rest, ok := strings.CutPrefix(path.Base(arg), comm); ok && comm != "" {
		more, _, _ := strings.Cut(rest, " ")
		if more == "" || len(comm) == 15 {
			return comm + more
		}
	}
	arg, _, _ = strings.Cut(arg, " ")
	arg = strings.TrimPrefix(arg, "-") // a login shell
	if arg == "" {
		return ""
	}
	if base := path.Base(arg); base != "." && base != "/" {
		return base
	}
	return ""
}

// parseUsers reads passwd(5): the first name of each user id.
func parseUsers(b []byte) map[uint32]string {
	users := make(map[uint32]string)
	for line := range bytes.Lines(b) {
		f := bytes.SplitN(bytes.TrimRight(line, "\n"), []byte(":"), 4)
		if len(f) < 4 || len(f[0]) == 0 || f[0][0] == '#' {
			continue
		}
		uid, err := strconv.ParseUint(string(f[2]), 10, 32)
		if err != nil {
			continue
		}
		if _, ok := users[uint32(uid)]; !ok {
			users[uint32(uid)] = string(f[0])
		}
	}
	return users
}

// parseHidepid reports whether the proc mount at dir hides processes of other
// users, from /proc/self/mountinfo (proc(5), hidepid=).
func parseHidepid(mountinfo []byte, dir string) bool {
	hidden := false
	for line := range bytes.Lines(mountinfo) {
		// ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [OPTIONAL...] - FSTYPE SOURCE SUPEROPTIONS
		left, right, ok := bytes.Cut(line, []byte(" - "))
		l, r := bytes.Fields(left), bytes.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 || string(l[4]) != dir || string(r[0]) != "proc" {
			continue
		}
		hidden = false // a later mount covers an earlier one
		for opt := range bytes.SplitSeq(r[2], []byte(",")) {
			if v, ok := bytes.CutPrefix(opt, []byte("hidepid=")); ok {
				hidden = string(v) != "0" && string(v) != "off"
			}
		}
	}
	return hidden
}

// socketTable is a table of /proc/net that lists sockets with their inodes.
type socketTable struct {
	file   string
	column int // of the inode in a row, from 0
	// listenersFirst: no row matters after the first that does not listen. On a
	// machine with 200,000 connections the rest of the table takes a second.
	listenersFirst bool
}

// socketTables are the tables of every transport.
func socketTables() []socketTable {
	return []socketTable{
		{"tcp", 9, true}, {"tcp6", 9, true},
		{"udp", 9, false}, {"udp6", 9, false}, {"udplite", 9, false}, {"udplite6", 9, false},
		{"sctp/eps", 7, false},
	}
}

// inode returns the inode of one row, 0 if it has none. more is false when the
// rows that matter have ended.
func (t socketTable) inode(row []byte) (inode uint64, more bool) {
	f := bytes.Fields(row)
	if len(f) <= t.column {
		return 0, true
	}
	inode, err := strconv.ParseUint(string(f[t.column]), 10, 64)
	if err != nil {
		return 0, true // the heading
	}
	if t.listenersFirst && string(f[3]) != "0A" {
		return 0, false
	}
	return inode, true
}
