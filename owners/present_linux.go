package owners

import (
	"bufio"
	"os"

	"github.com/monban-dev/monban"
)

// present returns which of the doors' sockets are still in the kernel's tables.
// A TCP socket that is bound and does not listen is in no table of /proc/net;
// it counts as gone. complete reports that a table of TCP and one of UDP could be
// read: IPv6 may be missing from a kernel, these may not.
func (l *look) present(doors []*monban.Door) (present map[uint64]bool, complete bool) {
	missing := make(map[uint64]bool, len(doors))
	for _, d := range doors {
		missing[d.Inode] = true
	}
	present, complete = make(map[uint64]bool), true
	for _, t := range socketTables() {
		fd, err := l.proc.open("thread-self/net/"+t.file, os.O_RDONLY)
		if err != nil {
			complete = complete && t.file != "tcp" && t.file != "udp"
			continue // the kernel does not have this transport
		}
		f := os.NewFile(uintptr(fd), "/proc/net/"+t.file)
		rows := bufio.NewScanner(f)
		for rows.Scan() {
			inode, more := t.inode(rows.Bytes())
			if !more {
				break
			}
			if missing[inode] {
				present[inode] = true
			}
		}
		f.Close()
	}
	return present, complete
}
