package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/monban-dev/monban"
)

func (v *view) read(parts Parts) {
	var err error
	if v.Name, err = os.Hostname(); err != nil {
		v.miss("hostname", err)
	}
	version := windows.RtlGetVersion()
	v.Kernel = fmt.Sprintf("%d.%d.%d", version.MajorVersion, version.MinorVersion, version.BuildNumber)
	if v.User, err = userNameEx(); err != nil {
		v.miss("GetUserNameEx", err)
	}
	v.Virtual = firmware(firmwareStrings())
	v.Unprivileged = 0 // every user may bind every port
	if parts.has(Ranges) {
		v.ranges()
	}
	if parts.has(Caps) {
		admin := monban.FlagOf(windows.GetCurrentProcessToken().IsElevated())
		v.Caps = monban.Caps{BindService: monban.On, Ptrace: admin, NetAdmin: admin, NetRaw: admin, SysAdmin: admin}
	}
	if parts.has(Network) {
		v.interfaces()
		v.routes()
		v.miss("forwarding", errors.ErrUnsupported)
	}
}

// userNameEx returns DOMAIN\user.
func userNameEx() (string, error) {
	const samCompatible = 2
	buf := make([]uint16, 512)
	n := uint32(len(buf))
	if err := windows.GetUserNameEx(samCompatible, &buf[0], &n); err != nil {
		return "", err
	}
	return windows.UTF16ToString(buf[:n]), nil
}

// firmwareStrings returns the maker and the product that the firmware names. They
// are empty where it names none.
func firmwareStrings() (vendor, product string) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `HARDWARE\DESCRIPTION\System\BIOS`, registry.QUERY_VALUE)
	if err != nil {
		return "", ""
	}
	defer key.Close()
	vendor, _, _ = key.GetStringValue("SystemManufacturer")
	product, _, _ = key.GetStringValue("SystemProductName")
	return vendor, product
}

func (v *view) ranges() {
	v.BindV6Only = monban.On // the default of IPV6_V6ONLY, which no setting changes
	v.NonlocalBind4, v.NonlocalBind6 = monban.Off, monban.Off

	text, err := netsh("dynamicport", "tcp")
	if err == nil {
		v.Ephemeral, err = parseDynamicPorts(text)
	}
	if err != nil {
		v.miss("netsh dynamicport", err)
	}
	for _, proto := range [...]monban.Proto{monban.TCP, monban.UDP} {
		var reserved, excluded []monban.PortRange
		text, err := netsh("excludedportrange", proto.String())
		if err == nil {
			reserved, excluded, err = parseExcludedPorts(text, proto)
		}
		if err != nil {
			v.miss("netsh excludedportrange "+proto.String(), err)
		}
		v.Reserved = append(v.Reserved, reserved...)
		v.Excluded = append(v.Excluded, excluded...)
	}
}

// netsh asks for one table. The exclusions are those of both families: Windows
// keeps one list for each transport.
func netsh(table, proto string) (string, error) {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "netsh.exe"), "interface", "ipv4", "show", table, proto).Output()
	return string(out), err
}

// routes reads the one routing table, without the routes to this machine itself.
func (v *view) routes() {
	var table *windows.MibIpForwardTable2
	if err := windows.GetIpForwardTable2(windows.AF_UNSPEC, &table); err != nil {
		v.miss("GetIpForwardTable2", err)
		return
	}
	defer windows.FreeMibTable(unsafe.Pointer(table))
	for _, row := range table.Rows() {
		dst, ok := sockaddr(&row.DestinationPrefix.Prefix)
		prefix := netip.PrefixFrom(dst, int(row.DestinationPrefix.PrefixLength))
		if !ok || !prefix.IsValid() || row.Loopback != 0 {
			continue
		}
		r := monban.Route{Dst: prefix}
		if next, ok := sockaddr(&row.NextHop); ok && !next.IsUnspecified() {
			r.Gateway = next
		}
		for _, i := range v.Interfaces {
			if i.Index == int(row.InterfaceIndex) {
				r.Device = i.Name
			}
		}
		v.Routes = append(v.Routes, r)
	}
}

// sockaddr returns the address of a SOCKADDR_INET.
func sockaddr(s *windows.RawSockaddrInet) (netip.Addr, bool) {
	switch s.Family {
	case windows.AF_INET:
		return netip.AddrFrom4((*windows.RawSockaddrInet4)(unsafe.Pointer(s)).Addr), true
	case windows.AF_INET6:
		return netip.AddrFrom16((*windows.RawSockaddrInet6)(unsafe.Pointer(s)).Addr), true
	}
	return netip.Addr{}, false
}
