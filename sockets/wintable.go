package sockets

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"

	"github.com/monban-dev/monban"
)

// winTable is the layout of one table of the Windows IP Helper with owners
// (tcpmib.h and udpmib.h): a count of 4 bytes, 4 bytes of padding, and rows of a
// fixed size, little-endian. The numbers are offsets into a row.
type winTable struct {
	name  string
	proto monban.Proto
	v6    bool
	size  int

	local, localPort   int
	remote, remotePort int // 0 is none: UDP
	state              int // only where remotePort is not 0
	pid                int
	module             int // OwningModuleInfo: 16 × 8 bytes
}

// winHeader is the size of the count and the padding behind it.
const winHeader = 8

func winTables() [4]winTable {
	return [4]winTable{
		{name: "MIB_TCPTABLE_OWNER_MODULE", proto: monban.TCP, size: 160,
			state: 0, local: 4, localPort: 8, remote: 12, remotePort: 16, pid: 20, module: 32},
		{name: "MIB_TCP6TABLE_OWNER_MODULE", proto: monban.TCP, v6: true, size: 192,
			local: 0, localPort: 20, remote: 24, remotePort: 44, state: 48, pid: 52, module: 64},
		{name: "MIB_UDPTABLE_OWNER_MODULE", proto: monban.UDP, size: 160,
			local: 0, localPort: 4, pid: 8, module: 32},
		{name: "MIB_UDP6TABLE_OWNER_MODULE", proto: monban.UDP, v6: true, size: 176,
			local: 0, localPort: 20, pid: 24, module: 48},
	}
}

// read calls f for every row of the table in b, with its bytes. Both are only
// valid during the call.
func (t winTable) read(b []byte, f func(r *row, raw []byte)) error {
	if len(b) < 4 {
		return fmt.Errorf("%s of %d bytes", t.name, len(b))
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n == 0 {
		return nil
	}
	if uint64(len(b)) < winHeader+n*uint64(t.size) {
		return fmt.Errorf("%s: %d rows do not fit into %d bytes", t.name, n, len(b))
	}
	var r row
	for b = b[winHeader:]; n > 0; n-- {
		t.row(b[:t.size], &r)
		f(&r, b[:t.size])
		b = b[t.size:]
	}
	return nil
}

func (t winTable) row(b []byte, r *row) {
	*r = row{
		proto: t.proto,
		stage: bound, // UDP: the table does not tell which are connected
		local: t.addrPort(b, t.local, t.localPort),
		pid:   int(binary.LittleEndian.Uint32(b[t.pid:])),
	}
	if !t.v6 {
		r.v6only = monban.Off
	}
	if t.remotePort != 0 {
		r.remote = t.addrPort(b, t.remote, t.remotePort)
		r.stage = winStage(binary.LittleEndian.Uint32(b[t.state:]), r.remote.Port())
	}
	if r.pid == winSystem {
		r.kernel = winKernel(r.proto, r.local.Port())
	}
}

// addrPort reads an address and its port, which is in network byte order in the
// first two of its four bytes. Behind an IPv6 address is its scope.
func (t winTable) addrPort(b []byte, addr, port int) netip.AddrPort {
	num := binary.BigEndian.Uint16(b[port:])
	if !t.v6 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[addr:])), num)
	}
	ip := netip.AddrFrom16([16]byte(b[addr:]))
	if scope := binary.LittleEndian.Uint32(b[addr+16:]); scope != 0 && ip.IsLinkLocalUnicast() {
		// Documented to be in network byte order, and met in both. It is an
		// interface's index, which is small.
		ip = ip.WithZone(strconv.FormatUint(uint64(min(scope, bits.ReverseBytes32(scope))), 10))
	}
	return netip.AddrPortFrom(ip, num)
}

// winStage translates a MIB_TCP_STATE.
func winStage(state uint32, remotePort uint16) stage {
	switch state {
	case 2: // LISTEN
		return listening
	case 1, 100: // CLOSED; 100 is what Windows tools call Bound
		if remotePort == 0 {
			return bound
		}
		return otherwise
	case 5: // ESTAB
		return established
	case 11: // TIME_WAIT
		return timeWait
	case 3, 4, 6, 7, 8, 9, 10, 12:
		return otherwise
	default:
		return unbound
	}
}

// winSystem is the process id of the kernel and its drivers.
const winSystem = 4

// winKernel names the driver behind a port of the System process. Nearly every
// TCP listener there is HTTP.sys, which serves IIS, WinRM, SSRS and others; the
// ports named here are the ones of other drivers.
func winKernel(p monban.Proto, num uint16) string {
	switch {
	case num == 137, num == 138, num == 139:
		return "netbt.sys"
	case p == monban.TCP && num == 445:
		return "srv2.sys"
	case p == monban.TCP && num != 1723 && num != 2049 && num != 111:
		return "http.sys"
	default:
		return "System"
	}
}
