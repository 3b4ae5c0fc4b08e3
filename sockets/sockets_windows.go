package sockets

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/monban-dev/monban"
)

func doors(o Options) ([]monban.Door, []monban.Gap) {
	if o.NetNS != "" {
		return nil, []monban.Gap{noNetNS(o.NetNS)}
	}
	list := doorList{ports: o.Ports}
	api := openIPHelper()
	gaps := api.readAll(monban.HidesDoors, func(t winTable, r *row, raw []byte) {
		if r.stage != listening && r.stage != bound || !list.ports.contains(r.proto, r.local.Port()) {
			return
		}
		r.unit = api.service(t, raw)
		list.add(r)
	})
	return list.doors(), append(gaps, monban.Gap{Source: "GetExtendedTcpTable", Hides: monban.HidesDoors,
		Err: "does not promise to list TCP sockets that are bound but do not listen; " +
			"tells neither IPV6_V6ONLY nor which UDP sockets are connected"})
}

func traffic(o Options) ([]monban.Traffic, []monban.Gap) {
	if o.NetNS != "" {
		return nil, []monban.Gap{noNetNS(o.NetNS)}
	}
	t := newTally(o.Ports)
	gaps := openIPHelper().readAll(monban.HidesTraffic, func(_ winTable, r *row, _ []byte) { t.add(r) })
	list, short := t.result()
	return list, append(append(gaps, short...), monban.Gap{Source: "GetExtendedUdpTable",
		Err: "does not tell which UDP sockets are connected", Hides: monban.HidesTraffic})
}

// ipHelper is the part of iphlpapi.dll that tells sockets.
type ipHelper struct {
	tcpTable, udpTable   *windows.LazyProc
	tcp, tcp6, udp, udp6 *windows.LazyProc
}

func openIPHelper() ipHelper {
	dll := windows.NewLazySystemDLL("iphlpapi.dll")
	return ipHelper{
		tcpTable: dll.NewProc("GetExtendedTcpTable"),
		udpTable: dll.NewProc("GetExtendedUdpTable"),
		tcp:      dll.NewProc("GetOwnerModuleFromTcpEntry"),
		tcp6:     dll.NewProc("GetOwnerModuleFromTcp6Entry"),
		udp:      dll.NewProc("GetOwnerModuleFromUdpEntry"),
		udp6:     dll.NewProc("GetOwnerModuleFromUdp6Entry"),
	}
}

// readAll reads every table.
func (api ipHelper) readAll(hides monban.Subject, f func(winTable, *row, []byte)) (gaps []monban.Gap) {
	for _, t := range winTables() {
		b, err := api.table(t)
		if err == nil {
			err = t.read(b, func(r *row, raw []byte) { f(t, r, raw) })
		}
		if err != nil {
			gaps = append(gaps, monban.Gap{Source: t.name, Err: err.Error(), Hides: hides})
		}
	}
	return gaps
}

// The classes of tables: TCP_TABLE_OWNER_MODULE_ALL and UDP_TABLE_OWNER_MODULE.
const (
	tcpTableOwnerModuleAll = 8
	udpTableOwnerModule    = 2
)

// table returns the bytes of a table, which may grow between the question how
// large it is and the reading.
func (api ipHelper) table(t winTable) ([]byte, error) {
	proc, class := api.udpTable, uintptr(udpTableOwnerModule)
	if t.proto == monban.TCP {
		proc, class = api.tcpTable, tcpTableOwnerModuleAll
	}
	family := uintptr(windows.AF_INET)
	if t.v6 {
		family = windows.AF_INET6
	}
	if err := proc.Find(); err != nil {
		return nil, err
	}
	size := uint32(32 << 10)
	for range 8 {
		// Of 8-byte words, because the rows have 8-byte fields.
		buf := make([]uint64, size/8+1)
		size = uint32(8 * len(buf))
		const unordered = 0
		ret, _, _ := proc.Call(uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), unordered, family, class, 0)
		switch errno := windows.Errno(ret); errno {
		case windows.ERROR_SUCCESS:
			b := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), 8*len(buf))
			return b, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += size / 4
		default:
			return nil, fmt.Errorf("%s: %w", proc.Name, errno)
		}
	}
	return nil, errors.New("the table grows faster than it can be read")
}

// service returns the name of the Windows service that a row belongs to, "" if
// it belongs to none or the system does not tell. Only a row of a service has a
// tag in the first word of OwningModuleInfo.
func (api ipHelper) service(t winTable, raw []byte) string {
	entry := make([]uint64, t.size/8) // aligned as the API wants it
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&entry[0])), t.size), raw)
	if entry[t.module/8] == 0 {
		return ""
	}
	proc := api.ownerModule(t)
	if proc.Find() != nil {
		return ""
	}
	const basicInfo = 0         // TCPIP_OWNER_MODULE_INFO_BASIC
	buf := make([]uintptr, 512) // TCPIP_OWNER_MODULE_BASIC_INFO: two pointers, to strings behind them
	size := uint32(len(buf)) * uint32(unsafe.Sizeof(buf[0]))
	ret, _, _ := proc.Call(uintptr(unsafe.Pointer(&entry[0])), basicInfo, uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)))
	if windows.Errno(ret) != windows.ERROR_SUCCESS {
		return ""
	}
	return stringInside(buf, buf[0])
}

func (api ipHelper) ownerModule(t winTable) *windows.LazyProc {
	switch {
	case t.proto == monban.TCP && !t.v6:
		return api.tcp
	case t.proto == monban.TCP:
		return api.tcp6
	case !t.v6:
		return api.udp
	default:
		return api.udp6
	}
}

// stringInside returns the UTF-16 string that a pointer found in buf leads to,
// if it leads into buf.
func stringInside(buf []uintptr, p uintptr) string {
	words := unsafe.Slice((*uint16)(unsafe.Pointer(&buf[0])), len(buf)*int(unsafe.Sizeof(buf[0]))/2)
	offset := p - uintptr(unsafe.Pointer(&buf[0]))
	if p == 0 || offset%2 != 0 || offset/2 >= uintptr(len(words)) {
		return ""
	}
	return windows.UTF16ToString(words[offset/2:])
}

// look has nothing to gain here: the tables are read whole either way.
func look(Options) ([]monban.Door, []monban.Traffic, []monban.Gap, bool) {
	return nil, nil, nil, false
}
