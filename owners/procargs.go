package owners

import (
	"bytes"
	"encoding/binary"
)

// parseProcargs2 reads the answer to macOS's sysctl kern.procargs2: the number
// of arguments, the path of the executable, padding, the arguments, of which no
// more than maxCommand bytes are taken, and then the environment, which is left
// alone.
func parseProcargs2(b []byte) (exe string, argv []string, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	count := binary.NativeEndian.Uint32(b)
	rest := b[4:]
	end := bytes.IndexByte(rest, 0)
	if end <= 0 || count > uint32(len(rest)) {
		return "", nil, false
	}
	exe = string(rest[:end])
	rest = bytes.TrimLeft(rest[end:], "\x00")
	size := 0
	for range count {
		if size > maxCommand {
			break
		}
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			return "", nil, false
		}
		argv = append(argv, string(rest[:end]))
		size += end + 1
		rest = rest[end+1:]
	}
	return exe, argv, true
}

// parseVnodePath reads the working directory out of struct proc_vnodepathinfo
// of macOS: a struct vnode_info of 152 bytes and a path of 1024.
func parseVnodePath(b []byte) string {
	const info, path = 152, 1024
	if len(b) < info+path || b[info] != '/' {
		return ""
	}
	return cString(b[info : info+path])
}
