package monban

import (
	"cmp"
	"net/netip"
	"time"
)

// Flag is a yes-or-no fact that may not be known, such as a socket option the
// kernel does not report to other processes. The zero value is FlagUnknown.
type Flag uint8

// The values of a Flag.
const (
	FlagUnknown Flag = iota
	Off
	On
)

var flagNames = [...]string{FlagUnknown: "unknown", Off: "off", On: "on"}

// FlagOf returns On or Off.
func FlagOf(b bool) Flag {
	if b {
		return On
	}
	return Off
}

// String returns "unknown", "off" or "on".
func (f Flag) String() string { return nameOf(flagNames[:], f) }

// MarshalText encodes f as [Flag.String] does.
func (f Flag) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of [Flag.MarshalText].
func (f *Flag) UnmarshalText(text []byte) error { return parseName(flagNames[:], text, "flag", f) }

// Bind is where a socket is, or wants to be: the arguments of bind(2) and the
// socket options that decide who may share the place.
type Bind struct {
	Port Port
	// Addr is the bound address. A wildcard is 0.0.0.0 or ::, never the zero
	// Addr. An IPv4 address on an IPv6 socket stays IPv4-mapped here, because
	// the kernel's rules for it differ. Its zone is the interface's name.
	Addr netip.Addr
	// Device is the interface of SO_BINDTODEVICE; "" is none.
	Device string
	// V6Only is IPV6_V6ONLY. It is Off for an IPv4 socket.
	V6Only Flag
	// ReuseAddr and ReusePort are SO_REUSEADDR and SO_REUSEPORT. The kernel
	// does not report them for other processes' sockets, so on a live door
	// they are usually unknown.
	ReuseAddr, ReusePort Flag
	// NetNS names the network namespace as the kernel does, "net:[4026531840]";
	// "" is the namespace of the observer.
	NetNS string
}

// Wildcard reports whether b asks for every address of its family.
func (b Bind) Wildcard() bool { return b.Addr.IsUnspecified() }

// Scope says which computers an address can be reached from before any firewall
// is asked.
type Scope uint8

// The scopes, from the widest.
const (
	ScopeUnknown  Scope = iota
	ScopeEvery          // a wildcard: every address of this machine
	ScopeOne            // one address that is not loopback
	ScopeLoopback       // this machine only
)

// Scope returns how widely b is bound.
func (b Bind) Scope() Scope {
	switch addr := b.Addr.Unmap(); {
	case !addr.IsValid():
		return ScopeUnknown
	case addr.IsUnspecified():
		return ScopeEvery
	case addr.IsLoopback():
		return ScopeLoopback
	default:
		return ScopeOne
	}
}

// DoorState is what stands behind a door.
type DoorState uint8

// The states of a door.
const (
	StateUnknown DoorState = iota
	// Listen is a TCP, MPTCP, SCTP or DCCP socket that accepts connections.
	Listen
	// Bound is an unconnected UDP socket, or a TCP socket that has been bound
	// but does not listen.
	Bound
	// Forwarded is a door without a listener here: what arrives is translated
	// to another address, such as a container's.
	Forwarded
)

var stateNames = [...]string{StateUnknown: "unknown", Listen: "listen", Bound: "bound", Forwarded: "forwarded"}

// String returns "listen", "bound", "forwarded" or "unknown".
func (s DoorState) String() string { return nameOf(stateNames[:], s) }

// MarshalText encodes s as [DoorState.String] does.
func (s DoorState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of [DoorState.MarshalText].
func (s *DoorState) UnmarshalText(text []byte) error {
	return parseName(stateNames[:], text, "door state", s)
}

// Door is one socket that the outside can knock at, or one published port that
// leads elsewhere.
type Door struct {
	Bind  Bind
	State DoorState
	// UID is the user the socket belongs to, which the kernel tells everybody.
	UID uint32
	// Mark is what the socket's packets are marked with (SO_MARK), which Linux tells
	// those who may set it; 0 is none, or not told.
	Mark uint32 `json:",omitempty"`
	// User is that user's name, where Owners is empty and does not tell it; "" is
	// not known.
	User string
	// Inode is the socket's number in the kernel's sockfs; 0 is not known.
	Inode uint64
	// Owners are the processes that hold the socket, the topmost first.
	Owners []Owner
	// Unnamed says why Owners is empty; it is NotHidden when Owners is not.
	Unnamed Hidden
	// Kernel names the kernel feature behind a socket that no process holds,
	// such as "vxlan" or "nfsd", where it is known. Of a door that only a rule of
	// the packet filter makes, it is that rule.
	Kernel string
	// To is where a forwarded door, or one held by a forwarding helper such as
	// docker-proxy, leads. The zero Target is nowhere.
	To Target
	// Reach says who can come in, where that has been judged; nil is not judged,
	// which is not closed. A saved snapshot is judged again.
	Reach []Reach `json:"-"`
}

// Compare is the order that doors are shown in: by namespace, port, transport,
// address, interface and inode. It returns a negative number, zero or a positive
// number, as [cmp.Compare] does.
func (d *Door) Compare(e *Door) int {
	// One comparison after the other, because most are decided by the port: a
	// machine may have many thousand doors.
	a, b := &d.Bind, &e.Bind
	if a.NetNS != b.NetNS {
		return cmp.Compare(a.NetNS, b.NetNS)
	}
	if a.Port != b.Port {
		return cmp.Or(cmp.Compare(a.Port.Num, b.Port.Num), cmp.Compare(a.Port.Proto, b.Port.Proto))
	}
	return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Device, b.Device), cmp.Compare(d.Inode, e.Inode))
}

// Target is where a forwarded door leads.
type Target struct {
	Addr      netip.Addr
	Port      uint16
	Container string // ID of a Container of the same snapshot; "" is none
}

// Hidden is a reason why the owner of a door cannot be named.
type Hidden uint8

// The reasons. They are observations: HiddenKernel is only said when every
// process could be looked at and none holds the socket, or when a feature of the
// kernel was seen to have that very port, as a VXLAN interface has.
const (
	NotHidden        Hidden = iota
	HiddenPrivilege         // other users' processes may not be looked at
	HiddenNamespace         // its process lives in a process namespace out of sight
	HiddenKernel            // no process holds it: it belongs to the kernel itself
	HiddenGone              // its process ended while we were looking
	HiddenUnreadable        // the process table could not be read
	HiddenNotAsked          // owners were not looked up
)

var hiddenNames = [...]string{NotHidden: "", HiddenPrivilege: "privilege", HiddenNamespace: "namespace",
	HiddenKernel: "kernel", HiddenGone: "gone", HiddenUnreadable: "unreadable", HiddenNotAsked: "not-asked"}

// String returns the machine code, such as "privilege".
func (h Hidden) String() string { return nameOf(hiddenNames[:], h) }

// MarshalText encodes h as [Hidden.String] does.
func (h Hidden) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the inverse of [Hidden.MarshalText].
func (h *Hidden) UnmarshalText(text []byte) error {
	return parseName(hiddenNames[:], text, "reason", h)
}

// Owner is a process that holds a door. A pid is only an identity together with
// Started: pids are reused.
type Owner struct {
	PID     int
	Started time.Time // zero if it could not be read
	// Name is the name of the program: the executable's base name, not the
	// 15-byte thread name, which is "MainThread" for every Node.js server.
	Name    string
	Exe     string // path of the executable as the kernel tells it; "" if unreadable
	Deleted bool   // the executable is no longer on disk
	// Command is the argument vector, raw: it may hold secrets and control
	// characters. internal/report masks and escapes it.
	Command []string
	UID     uint32
	User    string // "" if the uid has no name
	// Unit is the systemd unit that started it ("nginx.service"), or that holds
	// the socket ("ssh.socket" for pid 1). "" is none.
	Unit string
	// Container is the ID of the container it runs in, or, for a forwarding
	// helper, the one it forwards to: a Container of the same snapshot.
	Container string
	Dir       string // working directory; "" if unreadable
	Project   string // root of the git work tree around Dir; "" is none
	// Parents are its ancestors, nearest first, without pid 0.
	Parents []Parent
	// TTY reports whether it has a controlling terminal.
	TTY bool
	// Orphan reports that the process which started it is gone and nothing
	// took responsibility for it: no service unit and no container, and the
	// session it was started in has ended.
	Orphan bool
}

// Parent is an ancestor of a process.
type Parent struct {
	PID  int
	Name string
}

// Container is a container known to an engine on this machine. Only ID is set
// when the engine could not be asked.
type Container struct {
	ID        string // full, 64 hexadecimal digits for Docker and Podman
	Name      string // without the leading slash
	Image     string
	Engine    string // "docker", "podman", "containerd", "cri-o", "lxc"
	Socket    string // path of the API socket of the engine that told of it; "" is none
	Project   string // Compose project
	Service   string // Compose service
	Published []Published
	// Restart is when its engine starts it by itself; the zero value was not
	// asked.
	Restart Restart
}

// Restart is what an engine tells of when it starts a container without being
// asked to.
type Restart struct {
	Policy string // "no", "always", "unless-stopped", "on-failure"; "" is not known
	State  string // "running", "exited", "restarting" …, in the engine's words
	// Count is how often the engine started it again after it had ended, since
	// somebody started it or the engine itself was started.
	Count int
	// Created and Started are when the container was made and when it was last
	// started. Engine is when the daemon of the engine was started; zero is not
	// known.
	Created, Started, Engine time.Time
}

// Published is one port of a container that the engine has published on the host.
type Published struct {
	Host   Bind
	Target uint16 // port inside the container
	// Addr is the container's own address, where the engine told it.
	Addr netip.Addr
}

// Traffic counts the connections of one local port at one moment.
type Traffic struct {
	Port        Port
	Established int
	TimeWait    int
	Other       int // every other state that is not listening
	// Peers are the most frequent remote addresses, the most frequent first.
	Peers []Peer
	// Locals are the distinct local addresses in use, which decide whether a
	// bind to a specific address collides. TIME_WAIT sockets are included.
	Locals []netip.Addr
}

// Peer is a remote address and how many connections it has.
type Peer struct {
	Addr  netip.Addr
	Count int
}
