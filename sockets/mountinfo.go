package sockets

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
)

// readMountInfo reads /proc/self/mountinfo (proc_pid_mountinfo(5)). It returns
// the network namespaces that are mounted somewhere, which is how ip-netns(8)
// keeps them without a process, and whether /proc hides other users' processes.
func readMountInfo(r io.Reader) (mounts []Namespace, hidepid bool, err error) {
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		// "36 35 0:4 net:[4026532201] /run/netns/blue rw shared:5 - nsfs nsfs rw"
		head, tail, ok := strings.Cut(sc.Text(), " - ")
		fields, source := strings.Fields(head), strings.Fields(tail)
		if !ok || len(fields) < 6 || len(source) < 2 {
			return nil, false, fmt.Errorf("mountinfo line %d: %.80q", n, sc.Text())
		}
		root, point := fields[3], unescapeMount(fields[4])
		switch fstype := source[0]; {
		case fstype == "nsfs" && strings.HasPrefix(root, "net:["):
			mounts = append(mounts, Namespace{ID: root, Path: point})
		case fstype == "proc" && point == "/proc":
			hidepid = len(source) > 2 && hidesProcesses(source[2])
		}
	}
	if err := sc.Err(); err != nil {
		return nil, false, fmt.Errorf("reading mountinfo: %w", err)
	}
	return mounts, hidepid, nil
}

// hidesProcesses looks for the mount option hidepid, which is a number or, since
// Linux 5.8, a word.
func hidesProcesses(options string) bool {
	for opt := range strings.SplitSeq(options, ",") {
		if value, ok := strings.CutPrefix(opt, "hidepid="); ok {
			return value != "0" && value != "off"
		}
	}
	return false
}

// unescapeMount undoes the octal escapes of space, tab, newline and backslash.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// compareNamespaces puts the observer's own first, then those with processes by
// their lowest, then the others by their path.
func compareNamespaces(a, b Namespace) int {
	rank := func(ns Namespace) int {
		switch {
		case ns.Own:
			return 0
		case ns.PID != 0:
			return 1
		default:
			return 2
		}
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Path, b.Path))
}
