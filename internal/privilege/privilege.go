// Package privilege gives up what a program does not need any more, so that a
// mistake in how it reads what others have written is worth less.
package privilege

// Capability is one of capabilities(7), by its number.
type Capability uint8

// The capabilities that some step of monban's needs.
const (
	Chown          Capability = 0 // to give a file that is written anew its owner
	DACOverride    Capability = 1 // to write where the owner may not
	DACReadSearch  Capability = 2 // to look into other users' directories, /proc/PID/fd among them
	FOwner         Capability = 3 // to replace another user's file
	FSetID         Capability = 4 // to keep a file's set-group-id bit
	Kill           Capability = 5 // to signal other users' processes
	SetGID         Capability = 6 // with SetUID, to write as the user who called sudo
	SetUID         Capability = 7
	NetBindService Capability = 10 // to open a door below 1024
	NetAdmin       Capability = 12 // to be told what the kernel tells no user, and to change it: rules, WireGuard's port
	NetRaw         Capability = 13 // to open raw sockets
	SysPtrace      Capability = 19 // to look at other users' processes
	SysAdmin       Capability = 21 // to enter and make network namespaces; names of BPF programs; security labels
	SysNice        Capability = 23 // to be woken before others
	SetFCap        Capability = 31 // to give a file that is written anew its capabilities
	Perfmon        Capability = 38 // with BPF, to read the kernel's tables by an iterator
	BPF            Capability = 39
)

// Keep gives up, in every thread and for good, all capabilities but those named, and
// with them the way to get others by executing a program. It adds none: what the
// process does not have it has not afterwards. A process without any has nothing to
// give up, and systems other than Linux know none.
//
// It fails with [errors.ErrUnsupported] in a program that is linked with C, where
// the runtime does not know of every thread; nothing is given up then.
func Keep(list ...Capability) error { return keep(list) }

// Lower is Keep for a root that goes on to execute other programs: those have again
// what root has. Where they would not, nothing is given up: the process is not root,
// may not gain privilege (no_new_privs, as in many containers), or root is nothing
// special (SECBIT_NOROOT).
func Lower(list ...Capability) error { return lower(list) }

// Supported reports whether Keep and Lower can give up anything in this program.
func Supported() bool { return supported() }
