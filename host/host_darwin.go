package host

import (
	"errors"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

func (v *view) read(parts Parts) {
	var err error
	if v.Name, err = os.Hostname(); err != nil {
		v.miss("hostname", err)
	}
	if v.Kernel, err = unix.Sysctl("kern.osrelease"); err != nil {
		v.miss("kern.osrelease", err)
	}
	if u, err := user.LookupId(strconv.Itoa(v.UID)); err == nil {
		v.User = u.Username
	}
	if n, err := unix.SysctlUint32("kern.hv_vmm_present"); err == nil && n == 1 {
		v.Virtual = "vm" // macOS does not tell whose
	}
	if parts.has(Ranges) {
		v.ranges()
	}
	if parts.has(Caps) {
		root := monban.FlagOf(v.UID == 0)
		v.Caps = monban.Caps{BindService: root, Ptrace: root, NetAdmin: root, NetRaw: root, SysAdmin: root}
	}
	if parts.has(Network) {
		v.interfaces()
		v.Forward4 = v.flag("net.inet.ip.forwarding")
		v.Forward6 = v.flag("net.inet6.ip6.forwarding")
		v.miss("routes", errors.ErrUnsupported)
	}
}

// ranges leaves Unprivileged at 1024. Since macOS 10.14 an ordinary user may also
// bind a lower port, but only on the wildcard address (in_pcbbind in XNU's
// bsd/netinet/in_pcb.c).
func (v *view) ranges() {
	first, errFirst := unix.SysctlUint32("net.inet.ip.portrange.first")
	last, errLast := unix.SysctlUint32("net.inet.ip.portrange.last")
	switch err := errors.Join(errFirst, errLast); {
	case err != nil:
		v.miss("net.inet.ip.portrange", err)
	case first > last || last > 65535:
		v.miss("net.inet.ip.portrange", errors.New("not a range of ports"))
	default:
		v.Ephemeral = monban.PortRange{First: uint16(first), Last: uint16(last)}
	}
	v.BindV6Only = v.flag("net.inet6.ip6.v6only")
	v.NonlocalBind4, v.NonlocalBind6 = monban.Off, monban.Off // IP_BINDANY is FreeBSD's
}

func (v *view) flag(name string) monban.Flag {
	n, err := unix.SysctlUint32(name)
	if err != nil {
		v.miss(name, err)
		return monban.FlagUnknown
	}
	return monban.FlagOf(n != 0)
}
