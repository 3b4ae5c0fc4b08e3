package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/monban-dev/monban"
)

// fileSystem is what is asked of a root directory. The helpers of io/fs would
// find out anew each time what a file system can do beyond the least.
type fileSystem interface {
	fs.ReadFileFS
	fs.StatFS
	fs.ReadLinkFS
}

// files reads a Linux machine's files.
type files struct {
	root   fileSystem // the root directory
	getenv func(string) string
	// ownsNet tells whether the network namespace belongs to the user namespace
	// of the caller. It is asked only outside the initial user namespace.
	ownsNet func() monban.Flag
	// uname tells the machine's name and the kernel's release (uname(2)). Where it
	// is nil, they are read from files.
	uname func() (name, release string, err error)
	// effective tells the effective capabilities of the calling thread
	// (capget(2)). Where it is nil, they are read from a file.
	effective func() (uint64, error)
	// mounted is Off where nothing is mounted at a path. nil is unknown.
	mounted func(name string) monban.Flag
}

// self is the directory of the calling thread. It is not /proc/self, which is
// the first thread of the process and may be in other namespaces.
const self = "proc/thread-self/"

// identity reads what is always read. It returns false where there is no /proc
// to read anything from.
func (f files) identity(v *view) bool {
	ns, err := f.root.ReadLink(self + "ns/net")
	if err != nil {
		if _, err := f.root.Stat("proc/thread-self"); err != nil {
			v.miss("/proc", err)
			return false
		}
		v.miss("/"+self+"ns/net", err)
	}
	v.NetNS = ns
	f.names(v)
	v.Virtual = f.subsystem(v.Kernel)
	v.Container = f.container(v.Virtual)
	if v.Container != "" {
		v.HostNetwork = f.initialNetwork()
	}
	return true
}

// person reads what a report says of who looks, and of the machine.
func (f files) person(v *view) {
	v.User = f.user(v)
	if v.Virtual == "" {
		v.Virtual = f.virtual()
	}
}

// names reads what the machine and its kernel are called.
func (f files) names(v *view) {
	if f.uname != nil {
		name, release, err := f.uname()
		if err != nil {
			v.miss("uname", err)
		}
		v.Name, v.Kernel = name, release
		return
	}
	v.Name = f.text(v, "proc/sys/kernel/hostname")
	v.Kernel = f.text(v, "proc/sys/kernel/osrelease")
}

// ranges reads the kernel's rules about which ports it hands out and to whom.
func (f files) ranges(v *view) {
	const v4, v6 = "proc/sys/net/ipv4/", "proc/sys/net/ipv6/"
	if text := f.text(v, v4+"ip_local_port_range"); text != "" {
		r, err := parseRange(text)
		if err != nil {
			v.miss("/"+v4+"ip_local_port_range", err)
		}
		v.Ephemeral = r
	}
	f.reserved(v, v4+"ip_local_reserved_ports")
	if text := f.text(v, v4+"ip_unprivileged_port_start"); text != "" {
		n, err := parseFirst(text)
		if err != nil {
			v.miss("/"+v4+"ip_unprivileged_port_start", err)
		} else {
			v.Unprivileged = n
		}
	}
	if !f.exists("proc/sys/net/ipv6") {
		v.IPv6 = monban.Off // not built in, not loaded, or ipv6.disable=1
		return
	}
	v.BindV6Only = f.flag(v, v6+"bindv6only")
}

// strangers reads whether an address may be bound that the machine does not have.
func (f files) strangers(v *view) {
	v.NonlocalBind4 = f.flag(v, "proc/sys/net/ipv4/ip_nonlocal_bind")
	if f.exists("proc/sys/net/ipv6") {
		v.NonlocalBind6 = f.flag(v, "proc/sys/net/ipv6/ip_nonlocal_bind")
	}
}

// reserved reads the list of ports that the kernel leaves out.
func (f files) reserved(v *view, name string) {
	text, err := f.readOnce(name)
	if err != nil {
		v.miss("/"+name, err)
		return
	}
	if v.Reserved, err = parseReserved(string(text)); err != nil {
		v.miss("/"+name, err)
	}
}

// readOnce reads a file by a single read. The kernel writes a list of ports into
// the first read as far as it fits, in the middle of a number if need be, and
// calls the second read the end of the file (proc_do_large_bitmap in
// kernel/sysctl.c): os.ReadFile, which begins with 512 bytes, loses the rest
// without an error.
func (f files) readOnce(name string) ([]byte, error) {
	if text, err := f.root.ReadFile(name); err != nil || len(text) < firstRead {
		return text, err // by the first read of rootFS
	}
	// The longest list, every second port, has 190 kB.
	for size := 16 * firstRead; size <= 1<<20; size *= 16 {
		text, err := f.readUpTo(name, size)
		if err != nil || len(text) < size {
			return text, err
		}
	}
	return nil, errors.New("the list is longer than a list of all ports")
}

// firstRead is how many bytes are read at once of a file that is read to its
// end. Most of them are shorter.
const firstRead = 4 << 10

func (f files) readUpTo(name string, size int) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	buf := make([]byte, size)
	n, err := file.Read(buf)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buf[:n], err
}

// caps reads the effective capabilities.
func (f files) caps(v *view) {
	effective, err := f.capEff()
	if err != nil {
		v.miss("/"+self+"status", err)
		return
	}
	v.Caps = capsOf(effective, func() monban.Flag { return monban.On })
	// A user namespace of one's own gives every capability, but only over what
	// belongs to it.
	if ns, err := f.root.ReadLink(self + "ns/user"); err == nil && ns != initialUserNS {
		v.Caps = capsOf(effective, f.ownsNet)
		v.Caps.Ptrace = unlessOff(v.Caps.Ptrace)
		v.Caps.SysAdmin = unlessOff(v.Caps.SysAdmin)
	}
}

// capEff returns the effective capabilities as a set of bits.
func (f files) capEff() (uint64, error) {
	if f.effective != nil {
		return f.effective()
	}
	text, err := f.root.ReadFile(self + "status")
	if err != nil {
		return 0, err
	}
	return parseCapEff(string(text))
}

// user returns the name of the user who looks, "" if /etc/passwd has none.
func (f files) user(v *view) string {
	text, err := f.root.ReadFile("etc/passwd")
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // an image without users has no names
			v.miss("/etc/passwd", err)
		}
		return ""
	}
	return userName(string(text), v.UID)
}

// text returns a one-line file without its end of line, "" with a gap if it
// cannot be read.
func (f files) text(v *view, name string) string {
	text, err := f.root.ReadFile(name)
	if err != nil {
		v.miss("/"+name, err)
		return ""
	}
	return strings.TrimRight(string(text), "\n")
}

// flag reads a sysctl in which 0 is off and every other number on.
func (f files) flag(v *view, name string) monban.Flag {
	switch text := f.text(v, name); text {
	case "":
		return monban.FlagUnknown
	case "0":
		return monban.Off
	default:
		if strings.Trim(text, "0123456789-") != "" {
			v.miss("/"+name, fmt.Errorf("%q is not a number", text))
			return monban.FlagUnknown
		}
		return monban.On
	}
}

func (f files) exists(name string) bool {
	_, err := f.root.Stat(name)
	return err == nil
}
