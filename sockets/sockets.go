// Package sockets reads the kernel's socket tables: which ports of this machine
// are taken, and by what kind of socket.
//
// It answers from what the kernel says and never by trying: it binds nothing,
// connects to nothing and loads no transport that is not already in use (though
// Linux may load tcp_diag and udp_diag to answer, as it does for ss(8)). On
// Linux the kernel is asked through NETLINK_SOCK_DIAG, and through /proc/net
// where that is refused; on Windows through the IP Helper tables; on macOS
// through the pcblist_n sysctls. No privilege is needed on any of them to see
// every socket of one's own network namespace.
//
// A socket table is not a photograph: the kernel walks it while sockets come
// and go. A socket that lives shorter than the walk may be missed; one that
// stays is not, within what rereading where it matters can do; and none is
// reported twice.
package sockets

import "github.com/monban-dev/monban"

// Options says which sockets are wanted. The zero value is every socket of the
// observer's network namespace.
type Options struct {
	// Ports limits the answer to these local ports; empty is every port. On
	// Linux the kernel itself leaves out the others, so a question about one
	// port is quick on a machine with many connections.
	Ports []monban.PortRange
	// NetNS is the path of a Linux network namespace to look into, such as
	// "/proc/812/ns/net" or "/run/netns/blue"; "" is the observer's own. To
	// enter another one takes CAP_SYS_ADMIN.
	NetNS string
}

// Doors returns every listening TCP, SCTP and DCCP socket, every unconnected
// UDP socket and every TCP socket that is bound but does not listen, of one
// network namespace, in the order of [monban.Door.Compare].
//
// An MPTCP socket is one door, of TCP. An SCTP endpoint with several addresses is
// a door for each of them, with the same inode. Bind.NetNS is set when a
// namespace was asked for.
//
// On Linux, Owners is empty and Unnamed is [monban.HiddenNotAsked]. On Windows
// and macOS the table itself tells a process: Owners then has its PID alone, and
// on Windows as Unit the service inside a shared host process, where the system
// tells it. Zones are interface indexes there. Doors of the Windows System
// process have the name of the driver as Kernel.
func Doors(o Options) ([]monban.Door, []monban.Gap) { return doors(o) }

// Traffic counts the connections of each local port that has any, connected
// UDP sockets among them, in the order of port and transport. Addresses are
// unmapped: an IPv4 peer of an IPv6 socket is an IPv4 address.
//
// Memory is bounded whatever the number of sockets: Peers holds the five most
// frequent and Locals at most 64 addresses for each port, and a gap says where
// a bound was reached.
func Traffic(o Options) ([]monban.Traffic, []monban.Gap) { return traffic(o) }

// Look is [Doors] and [Traffic] of the same sockets together, for less than the
// price of both: where the kernel's answer allows it, one reading of its tables
// serves for the two.
func Look(o Options) ([]monban.Door, []monban.Traffic, []monban.Gap) {
	if doors, traffic, gaps, ok := look(o); ok {
		return doors, traffic, gaps
	}
	doors, gaps := Doors(o)
	traffic, more := Traffic(o)
	return doors, traffic, append(gaps, more...)
}

// Namespace is one network namespace of this machine.
type Namespace struct {
	ID   string // as the kernel names it, "net:[4026531840]"
	Path string // a file that leads to it, for [Options].NetNS; "" for the observer's own
	PID  int    // a process in it, the lowest; 0 when it is only a mounted file
	Own  bool   // the observer's own, where PID is the observer itself
}

// Namespaces returns the distinct network namespaces that processes are in and
// those kept by a mounted file, as ip-netns(8) makes them; the observer's own
// is first. To see those of other users' processes takes CAP_SYS_PTRACE; a gap
// says so where it is missing. It is empty, without a gap, on systems that have
// no network namespaces.
func Namespaces() ([]Namespace, []monban.Gap) { return namespaces() }
