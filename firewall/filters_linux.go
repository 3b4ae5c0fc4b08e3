package firewall

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netlink"
)

func filters(interfaces []monban.Interface, doors []monban.Door) (list []monban.Filter, gaps []monban.Gap) {
	miss := func(source string, err error) {
		gaps = append(gaps, monban.Gap{Source: source, Err: err.Error(), Hides: monban.HidesReach})
	}
	found, err := tcFilters(interfaces)
	if err != nil {
		miss("rtnetlink tc", err)
	}
	list = append(list, found...)
	attached, err := bpfPrograms(interfaces, doors)
	if err != nil {
		miss("bpf", err)
	}
	list = append(list, attached...)
	policies, err := ipsecPolicies()
	if err != nil {
		miss("xfrm", err)
	}
	list = append(list, policies...)
	const ipvs = "/proc/thread-self/net/ip_vs"
	text, err := os.ReadFile(ipvs)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		miss(ipvs, err)
	}
	if services := parseIPVS(string(text)); len(services) > 0 {
		miss(ipvs, errors.New("IPVS leads packets on to other machines: "+strings.Join(services, ", ")))
	}
	return list, gaps
}

// ipsecPolicies lists the policies that keep out what comes without IPsec.
func ipsecPolicies() (out []monban.Filter, err error) {
	c, err := netlink.Dial(unix.NETLINK_XFRM)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil // a kernel without IPsec
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	const getPolicy = 0x15                                                     // XFRM_MSG_GETPOLICY
	err = dumpAll(c, 1, getPolicy, make([]byte, 64), func(body []byte) error { // struct xfrm_userpolicy_id
		f, ok, err := parsePolicy(body)
		if ok && !slices.ContainsFunc(out, func(o monban.Filter) bool { return o.Name == f.Name && o.From == f.From }) {
			out = append(out, f)
		}
		return err
	})
	return out, err
}

// tcFilters lists the interfaces with filters of tc(8) on what comes in or goes
// out.
func tcFilters(interfaces []monban.Interface) ([]monban.Filter, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names := map[int32]string{}
	for _, i := range interfaces {
		names[int32(i.Index)] = i.Name
	}
	var hosts []tcMessage
	seq := uint32(0)
	ask := func(kind uint16, body []byte, f func(tcMessage)) error {
		seq++
		return askTC(c, seq, kind, body, f)
	}
	err = ask(unix.RTM_GETQDISC, make([]byte, sizeTC), func(m tcMessage) {
		if m.kind == "clsact" || m.kind == "ingress" {
			hosts = append(hosts, m)
		}
	})
	if err != nil {
		return nil, err
	}
	var out []monban.Filter
	add := func(index int32, name string) {
		p := monban.Filter{Kind: "tc", Name: name, Device: names[index]}
		if p.Device != "" && !slices.ContainsFunc(out, func(o monban.Filter) bool { return o.Device == p.Device && o.Name == p.Name }) {
			out = append(out, p)
		}
	}
	for _, h := range hosts {
		if h.block {
			add(h.index, "a block of filters") // which block is a question of its own
			continue
		}
		for _, parent := range [...]uint32{clsactIn, clsactOut} {
			if parent == clsactOut && h.kind == "ingress" {
				continue
			}
			err := ask(unix.RTM_GETTFILTER, tcRequest(int(h.index), parent), func(m tcMessage) {
				if m.handle != 0 { // 0 is the head of a list
					add(h.index, strings.TrimSpace(m.kind+" "+m.name))
				}
			})
			if err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func askTC(c *netlink.Conn, seq uint32, kind uint16, body []byte, f func(tcMessage)) error {
	return dumpAll(c, seq, kind, body, func(body []byte) error {
		m, err := parseTC(body)
		if err == nil {
			f(m)
		}
		return err
	})
}

// dumpAll asks for a whole table.
func dumpAll(c *netlink.Conn, seq uint32, kind uint16, body []byte, f func([]byte) error) error {
	if err := c.Send(append(netlink.AppendHeader(nil, kind, netlink.Request|netlink.Dump, seq, len(body)), body...)); err != nil {
		return err
	}
	for {
		b, err := c.Receive()
		if err != nil {
			return err
		}
		done, err := netlink.Answers(b, seq, func(_ uint16, body []byte) error { return f(body) })
		if done || err != nil {
			return err
		}
	}
}

// BPF's commands and kinds of places (include/uapi/linux/bpf.h).
const (
	bpfFDByID, bpfInfoByFD, bpfQuery = 13, 15, 16

	cgroupIn, cgroupOut = 0, 1
	tcxIn, tcxOut       = 46, 47
	socketLookup        = 36

	queryEffective = 1
)

// bpfPrograms lists the programs on interfaces (tcx, since Linux 6.6) and on the
// cgroups of the doors' owners, with those above that see their packets, too.
//
// A socket has the cgroup of the process that made it, which is nearly always the
// one that holds it.
func bpfPrograms(interfaces []monban.Interface, doors []monban.Door) (out []monban.Filter, err error) {
tcx:
	for i := range interfaces {
		dev := &interfaces[i]
		for _, place := range [...]uint32{tcxIn, tcxOut} {
			names, err := attached(uint32(dev.Index), place, 0)
			switch {
			case errors.Is(err, unix.EINVAL): // a kernel without tcx
				break tcx
			case errors.Is(err, unix.ENODEV): // gone meanwhile
			case err != nil:
				return out, err
			}
			for _, name := range names {
				out = append(out, monban.Filter{Kind: "tcx", Name: name, Device: dev.Name})
			}
		}
	}
	steering, err := steeringPrograms()
	out = append(out, steering...)
	if err != nil {
		return out, err
	}
	byCgroup := map[string][]int{}
	asked := map[int]bool{} // 10,000 doors may have one owner
	for i := range doors {
		for _, o := range doors[i].Owners {
			if asked[o.PID] {
				continue
			}
			asked[o.PID] = true
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", o.PID))
			if err != nil {
				continue // it has ended, or is not ours to see: then its door has no owner worth asking for
			}
			if path := unifiedCgroup(string(text)); path != "" {
				byCgroup[path] = append(byCgroup[path], o.PID)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(byCgroup)) {
		pids := byCgroup[path]
		fd, err := openCgroup(path)
		if err != nil {
			continue // of a hierarchy that is mounted elsewhere, or gone
		}
		for _, place := range [...]uint32{cgroupIn, cgroupOut} {
			names, err := attached(uint32(fd), place, queryEffective)
			if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: a kernel without CONFIG_CGROUP_BPF
				unix.Close(fd)
				return out, err
			}
			for _, name := range names {
				out = append(out, monban.Filter{Kind: "cgroup", Name: name, PIDs: pids})
			}
		}
		unix.Close(fd)
	}
	return out, nil
}

// steeringPrograms lists the programs that choose the socket for what arrives in this
// network namespace (sk_lookup, since Linux 5.9).
func steeringPrograms() (out []monban.Filter, err error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	defer unix.Close(fd)
	names, err := attached(uint32(fd), socketLookup, 0)
	if errors.Is(err, unix.EINVAL) {
		return nil, nil // an older kernel
	}
	for _, name := range names {
		out = append(out, monban.Filter{Kind: "sk_lookup", Name: name})
	}
	return out, err
}

// openCgroup opens a directory of the unified hierarchy, where systemd and others
// mount it.
func openCgroup(path string) (fd int, err error) {
	for _, root := range [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if err = unix.Statfs(root, &fs); err != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		return unix.Open(root+path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	return -1, unix.ENOENT
}

// attached returns the names of the programs at a place of an interface or cgroup;
// a name that may not be seen is a number.
func attached(target, place, flags uint32) (names []string, err error) {
	var (
		ids [32]uint32
		pin runtime.Pinner
	)
	pin.Pin(&ids)
	defer pin.Unpin()
	query := struct {
		target, kind, flags, attachFlags uint32
		ids                              uint64
		count, _                         uint32
		_                                [24]byte
	}{target: target, kind: place, flags: flags, ids: uint64(uintptr(unsafe.Pointer(&ids[0]))), count: uint32(len(ids))}
	_, err = bpf(bpfQuery, unsafe.Pointer(&query), unsafe.Sizeof(query))
	if err != nil && !errors.Is(err, unix.ENOSPC) { // more than there is room for: some are enough
		return nil, err
	}
	for _, id := range ids[:min(int(query.count), len(ids))] {
		names = append(names, programName(id))
	}
	return names, nil
}

// programName returns what a BPF program is called.
func programName(id uint32) string {
	number := fmt.Sprintf("program %d", id)
	which := [4]uint32{id}
	fd, err := bpf(bpfFDByID, unsafe.Pointer(&which), unsafe.Sizeof(which))
	if err != nil {
		return number
	}
	defer unix.Close(int(fd))
	var (
		info [80]byte // struct bpf_prog_info, up to its name
		pin  runtime.Pinner
	)
	pin.Pin(&info)
	defer pin.Unpin()
	ask := struct {
		fd, size uint32
		info     uint64
	}{uint32(fd), uint32(len(info)), uint64(uintptr(unsafe.Pointer(&info[0])))}
	if _, err := bpf(bpfInfoByFD, unsafe.Pointer(&ask), unsafe.Sizeof(ask)); err != nil {
		return number
	}
	if name := cString(info[64:]); name != "" {
		return name
	}
	return number
}

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (uintptr, error) {
	r, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
	if errno != 0 {
		return 0, os.NewSyscallError("bpf", errno)
	}
	return r, nil
}
