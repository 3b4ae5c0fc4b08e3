// Package host reads the facts about this machine that decide what its ports
// mean: who looks, from inside of what, the ranges the kernel hands ports out
// of, the capabilities, and the network's interfaces and routes.
//
// On Linux it reads files below /proc, /sys, /run and /etc and, for [Network],
// asks rtnetlink(7). It needs no privilege, starts no program and changes
// nothing. What it could not read is a [monban.Gap] beside the answer.
package host

import (
	"io/fs"
	"os"
	"runtime"

	"github.com/monban-dev/monban"
)

// Parts selects what [Read] reads, so that a command that needs little pays for
// little.
type Parts uint8

// The parts. On Linux, the first three together cost about 0.2 ms, and Network
// three dumps of kernel tables.
const (
	// Identity is Name, OS, Kernel, Arch, UID, NetNS, Container and HostNetwork,
	// and Virtual where it is WSL. It is always read.
	Identity Parts = 0
	// Ranges is Ephemeral, Reserved, Excluded, Unprivileged and BindV6Only, and
	// IPv6 where the kernel has none. On Windows it runs netsh.exe, because no
	// documented call tells them.
	Ranges Parts = 1 << (iota - 1)
	// Caps is Caps.
	Caps
	// Network is Interfaces, Routes, Forward4, Forward6, IPv6 and the NonlocalBind
	// flags: what decides about an address.
	Network
	// Person is User, and Virtual whatever it is: what a report says of the machine.
	// On Windows and macOS it is always read.
	Person

	// All is everything.
	All = Ranges | Caps | Network | Person
)

// has reports whether part is asked for.
func (p Parts) has(part Parts) bool { return p&part != 0 }

// Read returns what it could learn about this machine, and a gap for each thing
// it could not. A fact whose gap is given, or that was not asked for, has its
// zero value, except that Unprivileged is then the 1024 of every kernel that was
// not told otherwise.
//
// The namespaces and capabilities are those of the calling thread.
//
// Inside a container or WSL there is one more gap with Source "host", which
// hides monban.HidesOutside and whose Err is the kind of each enclosure, such as
// "docker", "wsl2" or "docker wsl2".
func Read(parts Parts) (monban.Host, []monban.Gap) {
	v := view{Host: monban.Host{
		OS:           runtime.GOOS,
		Arch:         runtime.GOARCH,
		UID:          os.Geteuid(), // -1 on Windows
		Unprivileged: firstUnprivileged,
	}}
	v.read(parts)
	v.enclosed()
	return v.Host, v.gaps
}

// Root returns the root directory of this machine, for one goroutine to read
// small files from: on Linux with fewer system calls than [os.DirFS]. What a
// path leads to is opened, whatever it is.
func Root() fs.FS { return root() }

// ReadRegular returns at most limit bytes of a file of this machine, of a regular one
// only: to open a pipe may wait for ever, and a device can do anything.
func ReadRegular(path string, limit int) ([]byte, error) { return readRegular(path, limit) }

// firstUnprivileged is IPPORT_RESERVED of the BSDs and PROT_SOCK of Linux, where
// it is the default of net.ipv4.ip_unprivileged_port_start.
const firstUnprivileged = 1024

// view is what has been read so far and what could not be.
type view struct {
	monban.Host
	gaps []monban.Gap
}

// miss notes that source could not be read.
func (v *view) miss(source string, err error) {
	v.gaps = append(v.gaps, monban.Gap{Source: source, Err: err.Error(), Hides: monban.HidesHost})
}

// enclosed notes what hides the rest of the machine.
func (v *view) enclosed() {
	kinds := v.Container
	if v.Virtual == wsl1 || v.Virtual == wsl2 {
		if kinds != "" {
			kinds += " "
		}
		kinds += v.Virtual
	}
	if kinds != "" {
		v.gaps = append(v.gaps, monban.Gap{Source: "host", Err: kinds, Hides: monban.HidesOutside})
	}
}
