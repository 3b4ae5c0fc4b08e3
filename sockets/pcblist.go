package sockets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/monban-dev/monban"
)

// The records of the sysctls net.inet.tcp.pcblist_n and net.inet.udp.pcblist_n
// of macOS (XNU, bsd/netinet/in_pcblist.c). A table is a struct xinpgen, records
// that each begin with their length and kind and are padded to 8 bytes, and a
// struct xinpgen again. One socket is a record of each kind below, and of others
// that are passed over; an inpcb begins it.
const (
	pcbSocket = 0x01 // struct xsocket_n, bsd/sys/socketvar.h
	pcbInet   = 0x10 // struct xinpcb_n, bsd/netinet/in_pcb.h
	pcbTCP    = 0x20 // struct xtcpcb_n, bsd/netinet/tcp_var.h

	pcbGen = 24 // size of struct xinpgen

	// What a record must have for the fields that are read. The structures are
	// packed to 4 bytes and have grown at their ends since macOS 10.6.
	pcbSocketMin = 72
	pcbInetMin   = 80
	pcbTCPMin    = 40
)

// Bits of inp_vflag and inp_flags.
const (
	inpIPv4   = 0x1
	inpIPv6   = 0x2
	inpV6Only = 0x8000 // IN6P_IPV6_V6ONLY
)

// pfINET6 is the address family of IPv6 in XNU.
const pfINET6 = 30

// pcb is the socket whose records are being read.
type pcb struct {
	inet, socket, tcp []byte
}

// readPCBList calls f for every socket in a table. The row is only valid during
// the call. An unexpected layout is an error, and what f was told until then is
// not to be believed.
func readPCBList(proto monban.Proto, b []byte, f func(*row)) error {
	if len(b) < pcbGen || binary.LittleEndian.Uint32(b) != pcbGen {
		return fmt.Errorf("%s table of %d bytes has no xinpgen", proto, len(b))
	}
	want := binary.LittleEndian.Uint32(b[4:])
	b = b[pcbGen:]
	var cur pcb
	var r row
	var sockets uint32
	emit := func() error {
		if cur.inet == nil {
			return nil
		}
		if err := cur.row(proto, &r); err != nil {
			return err
		}
		cur = pcb{}
		sockets++
		f(&r)
		return nil
	}
	for len(b) > 0 {
		if len(b) < 8 {
			return fmt.Errorf("%s table ends with %d bytes", proto, len(b))
		}
		size, kind := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if size == pcbGen && len(b) == pcbGen {
			break // the closing xinpgen
		}
		if size < 8 || uint64(size) > uint64(len(b)) {
			return fmt.Errorf("%s table has a record of %d bytes in %d", proto, size, len(b))
		}
		if err := cur.take(kind, b[:size], emit); err != nil {
			return err
		}
		b = b[min(int(size+7)&^7, len(b)):]
	}
	if err := emit(); err != nil {
		return err
	}
	// The count is of the moment before: sockets may have gone, and one that is
	// being made is left out.
	if want > 0 && sockets == 0 {
		return fmt.Errorf("%s table has no socket although it counts %d", proto, want)
	}
	return nil
}

// take notes one record; an inpcb ends the socket before it.
func (c *pcb) take(kind uint32, b []byte, emit func() error) error {
	var least int
	switch kind {
	case pcbInet:
		if err := emit(); err != nil {
			return err
		}
		c.inet, least = b, pcbInetMin
	case pcbSocket:
		c.socket, least = b, pcbSocketMin
	case pcbTCP:
		c.tcp, least = b, pcbTCPMin
	}
	if len(b) < least {
		return fmt.Errorf("record of kind %#x has %d bytes: want %d", kind, len(b), least)
	}
	return nil
}

func (c *pcb) row(proto monban.Proto, r *row) error {
	if c.socket == nil || proto == monban.TCP && c.tcp == nil {
		return fmt.Errorf("%s socket lacks a record", proto)
	}
	le, be := binary.LittleEndian, binary.BigEndian
	vflag, flags := c.inet[44], le.Uint32(c.inet[36:])
	v6socket := le.Uint32(c.socket[40:]) == pfINET6
	*r = row{
		proto:  proto,
		local:  netip.AddrPortFrom(pcbAddr(c.inet[64:80], vflag, v6socket), be.Uint16(c.inet[18:])),
		remote: netip.AddrPortFrom(pcbAddr(c.inet[48:64], vflag, v6socket), be.Uint16(c.inet[16:])),
		v6only: monban.Off,
		uid:    le.Uint32(c.socket[64:]),
		pid:    int(int32(le.Uint32(c.socket[68:]))), // so_last_pid
	}
	if v6socket {
		r.v6only = monban.FlagOf(flags&inpV6Only != 0 || vflag&inpIPv4 == 0)
	}
	if r.pid < 0 {
		return fmt.Errorf("%s socket of process %d", proto, r.pid)
	}
	if proto == monban.TCP {
		r.stage = bsdStage(le.Uint32(c.tcp[36:]))
	} else if r.stage = bound; r.remote.Port() != 0 {
		r.stage = established
	}
	return nil
}

// pcbAddr reads a union of struct in6_addr and struct in_addr_4in6. An IPv6
// socket that is bound to or connected with an IPv4 address has the flag of IPv4
// alone.
func pcbAddr(b []byte, vflag byte, v6socket bool) netip.Addr {
	if vflag&inpIPv6 == 0 {
		v4 := netip.AddrFrom4([4]byte(b[12:]))
		if v6socket {
			return netip.AddrFrom16(v4.As16())
		}
		return v4
	}
	a := [16]byte(b)
	if !netip.AddrFrom16(a).IsLinkLocalUnicast() {
		return netip.AddrFrom16(a)
	}
	// The kernel keeps the interface's index inside of link-local addresses.
	index := binary.BigEndian.Uint16(a[2:])
	if a[2], a[3] = 0, 0; index == 0 {
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom16(a).WithZone(strconv.Itoa(int(index)))
}

// bsdStage translates a state of TCP (bsd/netinet/tcp_fsm.h).
func bsdStage(state uint32) stage {
	switch state {
	case 0: // CLOSED
		return bound
	case 1: // LISTEN
		return listening
	case 4: // ESTABLISHED
		return established
	case 10: // TIME_WAIT
		return timeWait
	case 2, 3, 5, 6, 7, 8, 9:
		return otherwise
	default:
		return unbound
	}
}
