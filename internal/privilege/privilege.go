// Package privilege gives up what a program that goes on for long does not need any
// more, so that a mistake in how it reads what strangers send is worth less.
package privilege

// Capability is one of capabilities(7), by its number.
type Capability uint8

// The capabilities that some later step of monban's needs.
const (
	DACOverride   Capability = 1  // to write where the owner may not
	DACReadSearch Capability = 2  // to look into other users' directories, /proc/PID/fd among them
	FOwner        Capability = 3  // to replace another user's file
	NetAdmin      Capability = 12 // to be told what the kernel tells no user: rules, WireGuard's port
	SysPtrace     Capability = 19 // to look at other users' processes
	SysNice       Capability = 23 // to be woken before others
	Perfmon       Capability = 38 // with BPF, to read the kernel's tables by an iterator
	BPF           Capability = 39
)

// Keep gives up, in every thread and for good, all capabilities but those named, and
// with them the way to get others by executing a program. It adds none: what the
// process does not have it has not afterwards. A process without any has nothing to
// give up, and systems other than Linux know none.
//
// It fails with [errors.ErrUnsupported] in a program that is linked with C, where
// the runtime does not know of every thread; nothing is given up then.
func Keep(list ...Capability) error { return keep(list) }
